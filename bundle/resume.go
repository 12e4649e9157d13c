package bundle

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"airlock/signing"
	"airlock/storage"
)

// writeState is what lies beside volumes that are being written, as canonical
// JSON: another run of the same plan goes on with its time, and, once all data
// is there, with its statement.
type writeState struct {
	Created string         `json:"created"`
	Key     storage.Digest `json:"key"` // of the plan
	Stated  []byte         `json:"stated,omitempty"`
}

// maxState bounds a state, and maxNote the note of a volume, in bytes.
const (
	maxState = 256 << 10
	maxNote  = MaxTables
)

const unfinished = "airlock-"

func (w *writer) prefix() string { return unfinished + w.key.Hex()[:16] }

// Unfinished lists what ended runs left in a folder: a pattern for the files of
// each.
func Unfinished(dir string) ([]string, error) {
	entries, err := os.ReadDir(dir)
	var out []string
	for _, e := range entries {
		name, isState := strings.CutSuffix(e.Name(), stateSuffix)
		if isState && strings.HasPrefix(name, unfinished) {
			out = append(out, filepath.Join(dir, name)+"*")
		}
	}
	return out, err
}

const stateSuffix = ".state"

// temporary is the name of a volume until all of them are there.
func (w *writer) temporary(v int) string { return fmt.Sprintf("%s.%03d.part", w.prefix(), v+1) }

func (w *writer) noteName(v int) string { return fmt.Sprintf("%s.%03d.blocks", w.prefix(), v+1) }

func (w *writer) stateName() string { return w.prefix() + stateSuffix }

func (w *writer) modified() time.Time {
	t, _ := signing.ParseTime(w.state.Created) // formatted by us, or checked in load
	return t
}

func (w *writer) load() error {
	raw, err := readFile(w.folder, w.stateName(), maxState)
	if err != nil {
		return err
	}
	if err := signing.UnmarshalCanonical(raw, &w.state); err != nil {
		return fmt.Errorf("%s: %w", w.stateName(), err)
	}
	if _, err := signing.ParseTime(w.state.Created); err != nil || w.state.Key != w.key {
		return fmt.Errorf("%s: is of another bundle", w.stateName())
	}
	return nil
}

func (w *writer) save() error {
	raw, err := signing.MarshalCanonical(w.state)
	if err != nil {
		return err
	}
	return writeFile(w.folder, w.stateName(), raw)
}

// note says that a volume's area is durable, and what its blocks are: their
// digests, and behind them the digest of all that.
func (w *writer) note(v int, blocks []storage.Digest) error {
	var raw []byte
	for _, b := range blocks {
		raw = append(raw, b[:]...)
	}
	sum := storage.DigestOf(raw)
	return writeFile(w.folder, w.noteName(v), append(raw, sum[:]...))
}

// noted returns the blocks of a volume that is there already.
func (w *writer) noted(v int) ([]storage.Digest, bool) {
	size, err := w.folder.Size(w.temporary(v))
	if (err != nil || size != w.layout.size(v)) && !w.named(v) {
		return nil, false
	}
	raw, err := readFile(w.folder, w.noteName(v), maxNote)
	from, to := w.layout.blocksOf(v)
	if err != nil || int64(len(raw)) != (to-from+1)*int64(digestSize) {
		return nil, false
	}
	list := raw[:len(raw)-digestSize]
	if storage.DigestOf(list) != storage.Digest(raw[len(list):]) {
		return nil, false
	}
	out := make([]storage.Digest, to-from)
	for i := range out {
		out[i] = storage.Digest(list[i*digestSize : (i+1)*digestSize])
	}
	return out, true
}

// named reports whether a run before gave a volume its name already.
func (w *writer) named(v int) bool {
	id, ok := w.signed()
	if !ok {
		return false
	}
	size, err := w.folder.Size(fileName(w.layout.doc, id, v))
	return err == nil && size == w.layout.size(v)
}

// signed returns the bundle that an earlier run signed.
func (w *writer) signed() (ID, bool) {
	a, err := signing.ParseAttestation(w.state.Stated)
	if err != nil {
		return ID{}, false
	}
	st, err := signing.ParseStatement(a.Payload())
	return ID(st.Subject), err == nil
}

// resume finds the volumes that an earlier run finished. An encrypted part can
// only be written from its beginning.
func (w *writer) resume() error {
	for w.first < w.layout.dataVolumes() {
		blocks, ok := w.noted(w.first)
		if !ok {
			break
		}
		w.blocks = append(w.blocks, blocks...)
		w.first++
	}
	for w.plan.Document.Encryption != nil && w.first < w.layout.dataVolumes() && w.inside(int64(w.first)*w.layout.doc.Volumes.Area) {
		w.first--
	}
	from, _ := w.layout.blocksOf(w.first)
	if w.first < w.layout.dataVolumes() {
		w.blocks = w.blocks[:from]
	}
	for v := range w.first {
		w.step(w.layout.area(v))
	}
	return nil
}

// inside reports whether a part goes on over a place in the run.
func (w *writer) inside(at int64) bool {
	if at == 0 {
		return false
	}
	for i, start := range w.layout.starts {
		if start >= at {
			return false
		}
		for s := range w.layout.slices(i) {
			if s.at >= at {
				return true
			}
		}
	}
	return false
}

// there is how many bytes an earlier run has written, at least.
func (w *writer) there() int64 {
	var sum int64
	for v := range w.layout.doc.Volumes.Count {
		if size, err := w.folder.Size(w.temporary(v)); err == nil {
			sum += size
		} else if w.named(v) {
			sum += w.layout.size(v)
		}
	}
	return sum
}

// readFile reads a small file of a folder.
func readFile(f Folder, name string, limit int64) ([]byte, error) {
	size, err := f.Size(name)
	if err != nil {
		return nil, err
	}
	if size > limit {
		return nil, fmt.Errorf("%s: %d bytes, at most %d are allowed", name, size, limit)
	}
	file, err := f.Open(name)
	if err != nil {
		return nil, err
	}
	b := make([]byte, size)
	_, err = io.ReadFull(io.NewSectionReader(file, 0, size), b)
	return b, errors.Join(err, file.Close())
}

// writeFile writes a small file durably, whole or not at all.
func writeFile(f Folder, name string, b []byte) error {
	temporary := name + ".new"
	file, err := f.Create(temporary)
	if err != nil {
		return err
	}
	_, err = file.Write(b)
	if err == nil {
		err = file.Sync()
	}
	if err = errors.Join(err, file.Close()); err != nil {
		return err
	}
	if err := f.Rename(temporary, name); err != nil {
		return err
	}
	return f.Sync()
}

// removeFile removes a file that may be gone.
func removeFile(f Folder, name string) error {
	if err := f.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}
