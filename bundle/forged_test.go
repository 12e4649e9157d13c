package bundle

import (
	"archive/tar"
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"airlock/feed"
	"airlock/storage"
)

// forge makes another bundle out of one of a single volume, all of it signed
// and each digest right: what a creator could send who means no good.
func (s *site) forge(dir string, change func(d *Document, x *Tables, area []byte) []byte) string {
	s.t.Helper()
	b := open(s.t, OpenOptions{}, dir)
	raw := readAll(s.t, volumes(s.t, dir)[0])
	area := bytes.Clone(raw[b.layout.frame : b.layout.frame+b.layout.area(0)])
	doc, tables := *b.Document(), &Tables{Parts: append([]Part{}, b.tables.Parts...)}
	area = change(&doc, tables, area)
	for rest := area; len(rest) > 0; rest = rest[min(int64(len(rest)), doc.Block):] {
		tables.Blocks = append(tables.Blocks, storage.DigestOf(rest[:min(int64(len(rest)), doc.Block)]))
	}
	doc.Tables = storage.RefOf(tables.Format())
	text := mustFormat(s.t, &doc)
	st, err := Statement(ID(storage.DigestOf(text)), s.options().Bound)
	check(s.t, err)
	a, err := s.sign(s.t.Context(), st)
	check(s.t, err)
	m, err := newManifest(text, a.Bytes())
	check(s.t, err)
	m.tables = tables.Format()
	var out bytes.Buffer
	_, err = out.ReadFrom(m.frame("", 0))
	check(s.t, err)
	out.Write(area)
	_, err = out.ReadFrom(m.frame(copyPrefix, 0))
	check(s.t, err)
	out.Write(make([]byte, tarEnd))
	to := s.t.TempDir()
	check(s.t, os.WriteFile(filepath.Join(to, "forged"+Extension), out.Bytes(), 0o600))
	return to
}

// Tar headers that lead other tools elsewhere are seen, whoever signed them; a
// reader of ours follows none.
func TestHostileHeaders(t *testing.T) {
	s := newSite(t)
	want, err := s.take(s.source())
	check(t, err)
	dir, _ := s.write(s.options())
	for name, change := range map[string]func(h *tar.Header){
		"link":      func(h *tar.Header) { h.Typeflag, h.Linkname, h.Size = tar.TypeSymlink, "../../etc/passwd", 0 },
		"hard link": func(h *tar.Header) { h.Typeflag, h.Linkname, h.Size = tar.TypeLink, "/etc/passwd", 0 },
		"device":    func(h *tar.Header) { h.Typeflag, h.Size = tar.TypeBlock, 0 },
		"upwards":   func(h *tar.Header) { h.Name = "../../evil" },
		"absolute":  func(h *tar.Header) { h.Name = "/etc/cron.d/evil" },
		"duplicate": func(h *tar.Header) { h.Name = "manifest.json" },
		"size":      func(h *tar.Header) { h.Size += 512 },
		"mode":      func(h *tar.Header) { h.Mode = 0o4755 },
	} {
		t.Run(name, func(t *testing.T) {
			forged := s.forge(dir, func(_ *Document, _ *Tables, area []byte) []byte {
				h, err := tar.NewReader(bytes.NewReader(area)).Next()
				check(t, err)
				change(h)
				var b bytes.Buffer
				check(t, tar.NewWriter(&b).WriteHeader(h))
				copy(area, b.Bytes()[:tarBlock])
				return area
			})
			b := open(t, OpenOptions{}, forged)
			if _, err := b.Verify(t.Context(), nil); !errors.Is(err, ErrMalformed) || !strings.Contains(err.Error(), "tar header at byte 0") {
				t.Errorf("verify: %v", err)
			}
			if got, err := s.take(b); err != nil || got != want {
				t.Errorf("taking: %v", err)
			}
		})
	}
}

// A bundle whose parts are not what it promises brings nothing in.
func TestForgedBundles(t *testing.T) {
	s := newSite(t)
	dir, _ := s.write(s.options())
	other := newSite(t)
	foreign, _ := other.write(other.options())
	for name, change := range map[string]func(d *Document, x *Tables, area []byte) []byte{
		"ten million entries": func(d *Document, x *Tables, area []byte) []byte {
			id := d.Feeds[0].Feed
			c, err := s.Key.Sign(id.Origin(1), 10_000_000, feed.Edge{}.Root())
			check(t, err)
			d.Feeds[0].To, d.Feeds[0].Note = 10_000_000, string(c.Note)
			return area
		},
		"a statement left out": func(_ *Document, x *Tables, area []byte) []byte {
			x.Parts[0].Count--
			return area
		},
		"parts of another": func(_ *Document, _ *Tables, area []byte) []byte {
			b := open(t, OpenOptions{}, foreign)
			raw := readAll(t, volumes(t, foreign)[0])
			return raw[b.layout.frame:][:len(area)]
		},
		"a part cut": func(_ *Document, x *Tables, area []byte) []byte {
			x.Parts[0].Size -= 100
			return area
		},
		"a part longer": func(_ *Document, x *Tables, area []byte) []byte {
			x.Parts[0].Size += 100
			return area
		},
		"an object that is another": func(_ *Document, x *Tables, area []byte) []byte {
			for i := range x.Parts {
				if x.Parts[i].Kind == Object {
					x.Parts[i].Of = storage.Digest{1}
				}
			}
			return area
		},
	} {
		t.Run(name, func(t *testing.T) {
			b, err := Open(t.Context(), []string{s.forge(dir, change)}, OpenOptions{})
			if err != nil {
				if !errors.Is(err, ErrMalformed) {
					t.Errorf("opening: %v", err)
				}
				return
			}
			defer b.Close()
			f := s.Follower(b)
			state, _, err := f.Sync(t.Context(), s.ID)
			if err == nil {
				_, err = s.taken(b, state)
			} else if _, err := feed.LoadState(t.Context(), f.State, s.Space.Lineage(), s.ID); !errors.Is(err, os.ErrNotExist) {
				t.Errorf("a state was kept: %v", err)
			}
			if err == nil {
				t.Error("a receiver took it")
			}
		})
	}
}

// Statements that a courier filtered out, however he says it, leave a gap or a
// wrong root.
func TestStatementsFiltered(t *testing.T) {
	s := newSite(t)
	for range feed.SegmentSize {
		s.Append(s.Unknown("note", false, int(s.state().Edge.Size())))
	}
	dir, _ := s.write(s.options())
	forged := s.forge(dir, func(d *Document, x *Tables, area []byte) []byte {
		d.Feeds[0].From, d.Feeds[0].Base = feed.SegmentSize, &storage.Digest{}
		x.Parts = x.Parts[1:]
		size := tarBlock + padded(open(t, OpenOptions{}, dir).tables.Parts[0].Size)
		return area[size:]
	})
	if _, err := s.take(open(t, OpenOptions{}, forged)); !as[*feed.GapError](err) {
		t.Errorf("without the first segment: %v", err)
	}
}

// Folders, links and other things that are named as volumes are not opened.
func TestOddFiles(t *testing.T) {
	s := newSite(t)
	dir, _ := s.write(s.options())
	name := volumes(t, dir)[0]
	away := filepath.Join(t.TempDir(), "volume")
	check(t, os.Rename(name, away))
	if err := os.Symlink(away, name); err != nil {
		t.Skip(err)
	}
	check(t, os.Mkdir(filepath.Join(dir, "folder"+Extension), 0o700))
	if _, err := Open(t.Context(), []string{dir}, OpenOptions{}); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a link was followed: %v", err)
	}
	check(t, os.WriteFile(filepath.Join(dir, "other"+Extension), []byte("no tar file"), 0o600))
	if _, err := Open(t.Context(), []string{dir}, OpenOptions{}); !errors.Is(err, ErrMalformed) {
		t.Errorf("no volume: %v", err)
	}
	if b := open(t, OpenOptions{}, dir, away); len(b.Unread()) != 1 {
		t.Errorf("unread: %v", b.Unread())
	}
}
