package bundle

import (
	"archive/tar"
	"bytes"
	"encoding/hex"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"airlock/signing"
	"airlock/storage"
)

const (
	tarBlock = 512
	tarEnd   = 2 * tarBlock // of zeros, behind the last entry
)

// A frame stands before and behind the data of each volume, so that a volume
// is known by either. It is tar entries too, behind "copy/" the second time:
//
//	manifest.json     the document
//	attestation.json  the creator's statement about it, a Sigstore bundle
//	tables.bin        see Tables
//	padding           zeros, so that all frames of a bundle have one size
//	volume.txt        "airlock-volume 1\n", the bundle's ID in 64 digits,
//	                  "\n<number> of <count>\nframe <its bytes>\n", each number
//	                  with leading zeros: 3, 3 and 12 digits
const (
	manifestName = "manifest.json"
	statedName   = "attestation.json"
	tablesName   = "tables.bin"
	paddingName  = "padding"
	volumeName   = "volume.txt"
	copyPrefix   = "copy/"

	// statedRoom is what a frame has for the statement, in bytes.
	statedRoom = 8 << 10

	volumeForm = "airlock-volume 1\n%s\n%03d of %03d\nframe %012d\n"
)

// manifest is what all volumes of a bundle say alike.
type manifest struct {
	raw      []byte // the document
	stated   []byte // the attestation
	tables   []byte
	doc      *Document
	id       ID
	modified time.Time
}

// newManifest checks that the parts belong together, but for the tables.
func newManifest(raw, stated []byte) (*manifest, error) {
	m := &manifest{raw: raw, stated: stated, id: ID(storage.DigestOf(raw))}
	var err error
	if m.doc, err = ParseDocument(raw); err != nil {
		return nil, err
	}
	m.modified, _ = signing.ParseTime(m.doc.Created)
	a, err := signing.ParseAttestation(stated)
	if err != nil {
		return nil, malformed("bundle %s: statement: %w", m.id.Short(), err)
	}
	st, err := signing.ParseStatement(a.Payload())
	if err != nil {
		return nil, malformed("bundle %s: statement: %w", m.id.Short(), err)
	}
	if st.Kind != signing.Bundle || st.Subject != storage.Digest(m.id) {
		return nil, malformed("bundle %s: the statement with it is about another thing: %s %s", m.id.Short(), st.Kind, st.Subject)
	}
	return m, nil
}

// frameSize returns the bytes of a frame.
func frameSize(document, tables int64) int64 {
	return 5*tarBlock + padded(document) + statedRoom + padded(tables) + tarBlock
}

// frame returns the frame of volume v, counted from 0.
func (m *manifest) frame(prefix string, v int) io.Reader {
	size := frameSize(int64(len(m.raw)), m.doc.Tables.Size)
	padding := make([]byte, statedRoom-padded(int64(len(m.stated))))
	text := fmt.Appendf(nil, volumeForm, storage.Digest(m.id).Hex(), v+1, m.doc.Volumes.Count, size)
	var all []io.Reader
	for _, e := range []struct {
		name string
		data []byte
	}{{manifestName, m.raw}, {statedName, m.stated}, {tablesName, m.tables}, {paddingName, padding}, {volumeName, text}} {
		n := int64(len(e.data))
		all = append(all, bytes.NewReader(tarHeader(prefix+e.name, n, m.modified)), bytes.NewReader(e.data), bytes.NewReader(make([]byte, padded(n)-n)))
	}
	return io.MultiReader(all...)
}

// tarHeader returns the header of an entry of our own, in the one form in
// which there is one.
func tarHeader(name string, size int64, modified time.Time) []byte {
	var b bytes.Buffer
	// Names are short and sizes below 8 GiB, so this cannot fail.
	_ = tar.NewWriter(&b).WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: name, Size: size, Mode: 0o444, ModTime: modified, Format: tar.FormatUSTAR})
	return b.Bytes()
}

func partName(part, slice int) string { return fmt.Sprintf("parts/%07d.%04d", part, slice) }
func parityName(n int64) string       { return fmt.Sprintf("parity/%04d", n) }

// head is what one volume says of itself.
type head struct {
	*manifest
	volume int   // counted from 0
	at     int64 // of the frame that was read, in the file
	frame  int64 // bytes of it
}

// readHead reads a volume's frame, or the copy at its end where the first one
// is no good.
func readHead(r io.ReaderAt, size int64) (*head, error) {
	h, err := readFrame(r, size, 0, "")
	if err == nil {
		return h, nil
	}
	var text [tarBlock]byte
	if _, readErr := r.ReadAt(text[:], size-tarEnd-tarBlock); readErr != nil {
		return nil, err
	}
	_, _, _, frame, parseErr := parseVolume(text[:])
	if parseErr != nil || frame > size-tarEnd {
		return nil, err
	}
	h, copyErr := readFrame(r, size, size-tarEnd-frame, copyPrefix)
	if copyErr != nil {
		return nil, err
	}
	return h, nil
}

// readFrame reads the frame at an offset, without its tables. Whether the other
// bytes of it are as they must be is for Verify.
func readFrame(r io.ReaderAt, size, at int64, prefix string) (*head, error) {
	raw, err := readEntry(r, at, manifestName, prefix, MaxDocument)
	if err != nil {
		return nil, err
	}
	next := at + tarBlock + padded(int64(len(raw)))
	stated, err := readEntry(r, next, statedName, prefix, statedRoom)
	if err != nil {
		return nil, err
	}
	m, err := newManifest(raw, stated)
	if err != nil {
		return nil, err
	}
	h := &head{manifest: m, at: at, frame: frameSize(int64(len(raw)), m.doc.Tables.Size)}
	if h.frame > size {
		return nil, malformed("bundle %s: a frame of %d bytes in a file of %d", m.id.Short(), h.frame, size)
	}
	var text [tarBlock]byte
	if _, err := r.ReadAt(text[:], at+h.frame-tarBlock); err != nil {
		return nil, malformed("bundle %s: %w", m.id.Short(), err)
	}
	id, number, count, frame, err := parseVolume(text[:])
	if err != nil || id != m.id || count != m.doc.Volumes.Count || number < 1 || number > count || frame != h.frame {
		return nil, malformed("bundle %s: %s says that this is number %d of %d of bundle %s", m.id.Short(), volumeName, number, count, id.Short())
	}
	h.volume = number - 1
	return h, nil
}

// readEntry reads a small tar entry that must stand at an offset.
func readEntry(r io.ReaderAt, at int64, name, prefix string, limit int64) ([]byte, error) {
	var header [tarBlock]byte
	if _, err := r.ReadAt(header[:], at); err != nil {
		return nil, malformed("%s: %w", name, err)
	}
	got, _, _ := bytes.Cut(header[:100], []byte{0})
	if string(got) != prefix+name {
		return nil, malformed("no volume of a bundle: %.40q stands where %s must", got, prefix+name)
	}
	// Seven or eleven octal digits, as in every header of ours.
	size, err := strconv.ParseInt(strings.TrimRight(string(header[124:136]), "\x00 "), 8, 64)
	if err != nil || size < 0 || size > limit {
		return nil, malformed("%s: size %.12q, at most %d bytes are allowed", name, header[124:136], limit)
	}
	b := make([]byte, size)
	if _, err := r.ReadAt(b, at+tarBlock); err != nil {
		return nil, malformed("%s: %w", name, err)
	}
	return b, nil
}

// parseVolume reads what volume.txt says.
func parseVolume(b []byte) (id ID, number, count int, frame int64, err error) {
	b = bytes.TrimRight(b, "\x00")
	var digits string
	if _, err = fmt.Sscanf(string(b), volumeForm, &digits, &number, &count, &frame); err != nil {
		return id, 0, 0, 0, err
	}
	raw, err := hex.DecodeString(digits)
	if err == nil && len(raw) == len(id) {
		id = ID(raw)
	}
	if string(fmt.Appendf(nil, volumeForm, storage.Digest(id).Hex(), number, count, frame)) != string(b) {
		err = fmt.Errorf("%s: %.100q", volumeName, b)
	}
	return id, number, count, frame, err
}
