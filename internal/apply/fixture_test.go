package apply

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"iter"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"airlock/feed"
	"airlock/signing"
	"airlock/storage"
	"airlock/trust"
)

var testNow = time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)

func testClock() time.Time { return testNow }

// shelf is a feed that was followed: its index, and a source of its objects.
type shelf struct {
	tb      testing.TB
	id      feed.ID
	lineage trust.Lineage
	index   *feed.Index
	objects map[storage.Digest][]byte
	// open, where set, is where objects come from.
	open func(storage.Digest) (io.ReadCloser, error)
}

func newShelf(tb testing.TB, id string) *shelf {
	tb.Helper()
	parsed, err := feed.ParseID(id)
	ok(tb, err)
	s := &shelf{tb: tb, id: parsed, lineage: trust.Lineage(storage.DigestOf([]byte(id))), index: feed.NewIndex(), objects: map[storage.Digest][]byte{}}
	s.add(feed.Row{What: feed.IsOpening})
	return s
}

func ok(tb testing.TB, err error) {
	if err != nil {
		tb.Helper()
		tb.Fatal(err)
	}
}

func (s *shelf) add(r feed.Row) feed.Row {
	r.Index = s.index.Size()
	r.ID = signing.ID(storage.DigestOf([]byte(s.id.String() + strconv.FormatInt(r.Index, 10))))
	s.index.Add(r)
	return r
}

// files is what a package holds, by path.
type files map[string]string

func parseRef(s string) feed.Ref {
	name, version, _ := strings.Cut(s, "@")
	kind, name, _ := strings.Cut(name, "/")
	return feed.Ref{Kind: kind, Name: name, Version: version}
}

// publish adds "<kind>/<name>@<version>".
func (s *shelf) publish(ref string, content files) feed.Row {
	s.tb.Helper()
	r := parseRef(ref)
	m := feed.Manifest{Kind: r.Kind, Title: r.Name, Version: r.Version}
	for _, name := range slices.Sorted(maps.Keys(content)) {
		b := []byte(content[name])
		s.objects[storage.DigestOf(b)] = b
		m.Layers = append(m.Layers, feed.Layer{Ref: storage.RefOf(b), Path: name, MediaType: "text/plain"})
	}
	return s.publishManifest(r, m)
}

func (s *shelf) publishManifest(r feed.Ref, m feed.Manifest) feed.Row {
	s.tb.Helper()
	raw, err := m.Format()
	ok(s.tb, err)
	s.objects[storage.DigestOf(raw)] = raw
	return s.add(feed.Row{What: feed.IsPublication, Ref: r, Manifest: storage.DigestOf(raw), ManifestSize: int64(len(raw))})
}

func (s *shelf) withdraw(ref string) feed.Row {
	s.tb.Helper()
	have, found := s.index.State(parseRef(ref))
	if !found {
		s.tb.Fatalf("%s is not there to be withdrawn", ref)
	}
	return s.add(feed.Row{What: feed.IsWithdrawal, Ref: parseRef(ref), Manifest: have.Manifest})
}

func (s *shelf) head() Head {
	return Head{Epoch: 1, Size: s.index.Size(), Root: storage.DigestOf([]byte(fmt.Sprint(s.id, s.index.Size()))), Lineage: s.lineage}
}

func (s *shelf) Checkpoint(context.Context, feed.ID) (feed.Checkpoint, error) {
	return feed.Checkpoint{}, errors.New("not asked for")
}

func (s *shelf) Segments(context.Context, feed.ID, int64, int64) iter.Seq2[feed.Segment, error] {
	return nil
}

func (s *shelf) Object(_ context.Context, _ feed.ID, d storage.Digest, off int64) (io.ReadCloser, error) {
	if b, found := s.objects[d]; found {
		return io.NopCloser(bytes.NewReader(b[off:])), nil
	}
	if s.open != nil {
		return s.open(d)
	}
	return nil, fmt.Errorf("object %s: %w", d, os.ErrNotExist)
}

func (s *shelf) state() *feed.State {
	return &feed.State{ID: s.id, Lineage: s.lineage, Epoch: 1, Index: s.index}
}

// fetch is a Fetch.
func (s *shelf) fetch(ctx context.Context, rows []feed.Row, each func(*feed.Package) error) error {
	f := &feed.Follower{Source: s}
	return f.Fetch(ctx, &feed.State{ID: s.id}, rows, each)
}

// sync is what is to be done for a plan.
func (s *shelf) sync(plan []Action) Sync { return Sync{s.id, s.head(), plan, s.fetch} }

// anyone is a view that lets in everything.
func anyone() *trust.View { return new(trust.View) }

// pull chooses everything, plans and applies.
func (s *shelf) pull(ctx context.Context, to Target, prune bool) ([]Action, []Outcome, error) {
	return s.pullSelected(ctx, to, Selection{}, prune)
}

func (s *shelf) pullSelected(ctx context.Context, to Target, sel Selection, prune bool) ([]Action, []Outcome, error) {
	plan, err := s.plan(ctx, to, sel, prune)
	if err != nil {
		return nil, nil, err
	}
	done := to.Apply(ctx, s.sync(plan))[0]
	return plan, done.Outcomes, done.Err
}

func (s *shelf) plan(ctx context.Context, to Target, sel Selection, prune bool) ([]Action, error) {
	installed, err := to.Installed(ctx, s.id)
	if err != nil {
		return nil, err
	}
	may := Consent{Prune: prune}
	if d, ok := to.(*Dir); ok {
		may.Force = d.Force
	}
	return Plan(s.id, Choose(s.state(), anyone(), sel, testNow), installed, may), nil
}

// shelves are feeds that are applied as one.
type shelves []*shelf

// pull chooses everything of all feeds, plans, and applies it at once.
func (all shelves) pull(ctx context.Context, to Target, prune bool) error {
	var syncs []Sync
	for _, s := range all {
		plan, err := s.plan(ctx, to, Selection{}, prune)
		if err != nil {
			return err
		}
		syncs = append(syncs, s.sync(plan))
	}
	return to.Apply(ctx, syncs...)[0].Err
}

func (s *shelf) mustPull(to Target, prune bool) []string {
	s.tb.Helper()
	plan, _, err := s.pull(context.Background(), to, prune)
	ok(s.tb, err)
	return texts(plan)
}

func texts(plan []Action) []string {
	var out []string
	for _, l := range Describe(plan) {
		out = append(out, l.String())
	}
	return out
}

func openDir(tb testing.TB, path string) *Dir {
	tb.Helper()
	d, err := OpenDir(path, testClock)
	ok(tb, err)
	return d
}

// tree returns the files below a folder that are not in .airlock, and its
// folders with a slash behind.
func tree(tb testing.TB, dir string) files {
	tb.Helper()
	out := files{}
	ok(tb, filepath.WalkDir(dir, func(name string, e os.DirEntry, err error) error {
		rel, _ := filepath.Rel(dir, name)
		rel = filepath.ToSlash(rel)
		switch {
		case err != nil:
			return err
		case rel == ".":
		case rel == ownFolder:
			return filepath.SkipDir
		case e.IsDir():
			out[rel+"/"] = ""
		case e.Type()&os.ModeSymlink != 0:
			target, err := os.Readlink(name)
			out[rel] = "-> " + target
			return err
		default:
			b, err := os.ReadFile(name)
			out[rel] = string(b)
			return err
		}
		return nil
	}))
	return out
}

// plainTree is tree without the folders.
func plainTree(tb testing.TB, dir string) files {
	tb.Helper()
	t := tree(tb, dir)
	maps.DeleteFunc(t, func(name, _ string) bool { return strings.HasSuffix(name, "/") })
	return t
}

func write(tb testing.TB, name, content string) {
	tb.Helper()
	ok(tb, os.MkdirAll(filepath.Dir(name), 0o777))
	ok(tb, os.WriteFile(name, []byte(content), 0o666))
}

// pattern is an endless stream of bytes, cut at n.
type pattern struct{ n, at int64 }

func (p *pattern) Read(b []byte) (int, error) {
	if p.at >= p.n {
		return 0, io.EOF
	}
	n := int(min(int64(len(b)), p.n-p.at))
	for i := range n {
		b[i] = byte((p.at + int64(i)) >> 8)
	}
	p.at += int64(n)
	return n, nil
}

func patternRef(n int64) storage.Ref {
	h := sha256.New()
	_, _ = io.Copy(h, &pattern{n: n})
	return storage.Ref{Digest: storage.Digest(h.Sum(nil)), Size: n}
}
