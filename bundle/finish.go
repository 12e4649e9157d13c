package bundle

import (
	"bufio"
	"bytes"
	"cmp"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"strings"

	"airlock/storage"
)

// Names beside the volumes.
const (
	// Extension ends the name of every volume.
	Extension = ".airlock"
	sumsName  = "SHA256SUMS"
)

// fileName is the name of volume v, counted from 0: plain ASCII, at most 100
// characters, such as "dev-qa-shared-0-600-003of007-1f2e3d4c.airlock".
func fileName(d *Document, id ID, v int) string {
	_, space, _ := strings.Cut(d.Creator.Space, "/")
	s := d.Feeds[0]
	return fmt.Sprintf("%s-%s-%d-%d-%03dof%03d-%s%s", shortened(space), shortened(s.Feed.Name), s.From, s.To, v+1, d.Volumes.Count, id.Short(), Extension)
}

// shortened cuts a DNS label.
func shortened(label string) string {
	const most = 16
	return strings.Trim(label[:min(len(label), most)], "-")
}

// finish signs, puts the frames around the areas, gives the volumes their names
// and writes what lies beside them.
func (w *writer) finish() (*Written, error) {
	m, err := w.manifest()
	if err != nil {
		return nil, err
	}
	for v := range m.doc.Volumes.Count {
		if w.named(v) {
			continue
		}
		name := fileName(m.doc, m.id, v)
		if err := w.name(m, v, name); err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
	}
	if err := w.folder.Sync(); err != nil {
		return nil, err
	}
	return w.tidy(m)
}

// tidy writes what lies beside the volumes and removes what a run leaves for the
// next one: the state last, for it tells that one that all is done.
func (w *writer) tidy(m *manifest) (*Written, error) {
	out := &Written{ID: m.id, Document: m.doc, Resumed: w.first}
	for v := range m.doc.Volumes.Count {
		out.Files = append(out.Files, fileName(m.doc, m.id, v))
	}
	if err := w.beside(m, out.Files); err != nil {
		return nil, err
	}
	for v := range m.doc.Volumes.Count {
		if err := removeFile(w.folder, w.noteName(v)); err != nil {
			return nil, err
		}
	}
	return out, removeFile(w.folder, w.stateName())
}

// finished returns what an earlier run wrote, if it got as far as to give all
// volumes their names.
func (w *writer) finished() (*manifest, error) {
	id, ok := w.signed()
	for v := range w.layout.doc.Volumes.Count {
		ok = ok && w.named(v)
	}
	if !ok {
		return nil, nil
	}
	f, err := w.folder.Open(fileName(w.layout.doc, id, 0))
	if err != nil {
		return nil, err
	}
	h, err := readHead(f, w.layout.size(0))
	if err = errors.Join(err, f.Close()); err != nil {
		return nil, err
	}
	w.first = w.layout.doc.Volumes.Count
	return h.manifest, nil
}

// manifest completes the document and has it signed. What an earlier run signed
// is signed.
func (w *writer) manifest() (*manifest, error) {
	doc := *w.plan.Document
	tables := (&Tables{Parts: w.plan.Parts, Blocks: w.blocks}).Format()
	doc.Tables = storage.RefOf(tables)
	raw, err := doc.Format()
	if err != nil {
		return nil, err
	}
	id := ID(storage.DigestOf(raw))
	if earlier, ok := w.signed(); !ok || earlier != id {
		if w.state.Stated, err = w.statement(id); err != nil {
			return nil, err
		}
		if err := w.save(); err != nil {
			return nil, err
		}
	}
	m, err := newManifest(raw, w.state.Stated)
	if err != nil {
		return nil, err
	}
	m.tables = tables
	return m, nil
}

func (w *writer) statement(id ID) ([]byte, error) {
	st, err := Statement(id, w.plan.bound)
	if err != nil {
		return nil, err
	}
	a, err := w.sign(w.ctx, st)
	if err != nil {
		return nil, fmt.Errorf("signing the bundle: %w", err)
	}
	if len(a.Bytes()) > statedRoom {
		return nil, fmt.Errorf("the bundle's statement has %d bytes, at most %d are allowed", len(a.Bytes()), statedRoom)
	}
	return a.Bytes(), nil
}

// name writes the frames of a volume, and gives it its name once it is durable.
func (w *writer) name(m *manifest, v int, name string) error {
	file, err := w.folder.Open(w.temporary(v))
	if err != nil {
		return err
	}
	err = writeFrames(file, m, w.layout, v)
	if err == nil {
		err = file.Sync()
	}
	if err = errors.Join(err, file.Close()); err != nil {
		return err
	}
	w.step(2*w.layout.frame + tarEnd)
	return w.folder.Rename(w.temporary(v), name)
}

// writeFrames writes the frames around a volume's area.
func writeFrames(f io.WriterAt, m *manifest, l *layout, v int) error {
	for _, frame := range []struct {
		at     int64
		prefix string
	}{{0, ""}, {l.frame + l.area(v), copyPrefix}} {
		n, err := io.Copy(io.NewOffsetWriter(f, frame.at), m.frame(frame.prefix, v))
		if err != nil {
			return err
		}
		if n != l.frame {
			return fmt.Errorf("frame of %d bytes, planned were %d", n, l.frame)
		}
	}
	return nil
}

// beside writes what lies beside the volumes, for people and for sha256sum.
func (w *writer) beside(m *manifest, files []string) error {
	sums := map[string]storage.Digest{}
	for _, name := range files {
		sum, err := hashFile(w.folder, name)
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		sums[name] = sum
	}
	if err := writeSums(w.folder, sums); err != nil {
		return err
	}
	return w.texts(m, files, sums)
}

// hashFile reads a file back.
func hashFile(f Folder, name string) (storage.Digest, error) {
	size, err := f.Size(name)
	if err != nil {
		return storage.Digest{}, err
	}
	file, err := f.Open(name)
	if err != nil {
		return storage.Digest{}, err
	}
	h := sha256.New()
	_, err = io.CopyBuffer(struct{ io.Writer }{h}, io.NewSectionReader(file, 0, size), make([]byte, 1<<20))
	return storage.Digest(h.Sum(nil)), errors.Join(err, file.Close())
}

// maxSums bounds SHA256SUMS, in bytes.
const maxSums = 4 << 20

// writeSums writes SHA256SUMS, in which files of other bundles keep their lines.
func writeSums(f Folder, sums map[string]storage.Digest) error {
	raw, err := readFile(f, sumsName, maxSums)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	type line struct{ name, sum string }
	var lines []line
	for s := bufio.NewScanner(bytes.NewReader(raw)); s.Scan(); {
		sum, name, ok := strings.Cut(s.Text(), "  ")
		if _, err := storage.ParseHex(sum); !ok || err != nil {
			continue
		}
		if _, ours := sums[name]; !ours {
			lines = append(lines, line{name, sum})
		}
	}
	for name, sum := range sums {
		lines = append(lines, line{name, sum.Hex()})
	}
	slices.SortFunc(lines, func(a, b line) int { return cmp.Compare(a.name, b.name) })
	var out bytes.Buffer
	for _, l := range lines {
		fmt.Fprintf(&out, "%s  %s\n", l.sum, l.name)
	}
	return writeFile(f, sumsName, out.Bytes())
}
