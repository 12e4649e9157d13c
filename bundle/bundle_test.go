package bundle

import (
	"archive/tar"
	"bytes"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"airlock/feed"
	"airlock/feed/feedtest"
	"airlock/storage"
	"airlock/storage/storetest"
	"airlock/trust"
)

// What a receiver takes from a bundle is what it would take from the store.
func TestRoundTrip(t *testing.T) {
	for name, change := range map[string]func(*Options){
		"one volume":   func(*Options) {},
		"many volumes": func(o *Options) { o.MaxVolume = 256 << 10 },
		"large blocks": func(o *Options) { o.Block = 1 << 20 },
	} {
		t.Run(name, func(t *testing.T) {
			s := newSite(t)
			text := storetest.Text(3, 3<<20)
			s.publishLarge("file/big@1", text)
			want, err := s.take(s.source())
			check(t, err)
			o := s.options()
			change(&o)
			dir, w := s.write(o)
			if many := o.MaxVolume > 0; many != (len(w.Files) > 2) {
				t.Fatalf("%d volumes", len(w.Files))
			}
			b := open(t, OpenOptions{}, dir)
			h, err := b.Verify(t.Context(), nil)
			check(t, err)
			if !h.Whole() || h.Err() != nil {
				t.Errorf("a new bundle is not whole: %v", h.Err())
			}
			got, err := s.take(b)
			check(t, err)
			if got != want {
				t.Errorf("from the bundle:\n%s\nfrom the store:\n%s", got, want)
			}
			if _, err := b.Chunks(t.Context(), s.ID, storage.DigestOf(text)); err != nil {
				t.Errorf("a large payload does not travel in frames: %v", err)
			}
		})
	}
}

// Volumes are as large as planned, and any tool can list them.
func TestVolumesAsPlanned(t *testing.T) {
	s := newSite(t)
	o := s.options()
	o.MaxVolume = 64 << 10
	p := s.plan(o)
	dir := t.TempDir()
	folder, err := NewFolder(dir)
	check(t, err)
	_, err = Write(t.Context(), p, folder, s.sign, nil)
	check(t, err)
	for i, name := range volumes(t, dir) {
		raw := readAll(t, name)
		if int64(len(raw)) != p.Sizes()[i] || int64(len(raw)) > o.MaxVolume {
			t.Errorf("volume %d has %d bytes, planned were %d", i+1, len(raw), p.Sizes()[i])
		}
		var names []string
		for r := tar.NewReader(bytes.NewReader(raw)); ; {
			h, err := r.Next()
			if errors.Is(err, io.EOF) {
				break
			}
			check(t, err)
			names = append(names, h.Name)
		}
		if names[0] != "manifest.json" || names[len(names)-1] != "copy/volume.txt" {
			t.Errorf("volume %d lists %v", i+1, names)
		}
		if base := filepath.Base(name); len(base) > 100 {
			t.Errorf("name %s is too long", base)
		}
	}
	if _, err := exec.LookPath("sha256sum"); err == nil {
		cmd := exec.Command("sha256sum", "-c", "--strict", "SHA256SUMS")
		cmd.Dir = dir
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("%v: %s", err, out)
		}
	}
}

// The same options give the same bytes, but for the statement.
func TestSameInputsSameBytes(t *testing.T) {
	s := newSite(t)
	dir, a := s.write(s.options())
	other, b := s.write(s.options())
	if a.ID != b.ID {
		t.Fatalf("bundles %s and %s", a.ID, b.ID)
	}
	x, y := readAll(t, volumes(t, dir)[0]), readAll(t, volumes(t, other)[0])
	frame := frameSize(int64(len(mustFormat(t, a.Document))), a.Document.Tables.Size)
	if !bytes.Equal(x[frame:len(x)-int(frame)-tarEnd], y[frame:len(y)-int(frame)-tarEnd]) {
		t.Error("two runs wrote other data")
	}
}

func mustFormat(t *testing.T, d *Document) []byte {
	t.Helper()
	raw, err := d.Format()
	check(t, err)
	return raw
}

// A slice brings a receiver from where it stands to the end, and names what is
// missing for one who stands before it.
func TestSlice(t *testing.T) {
	s := newSite(t)
	f := s.Follower(s.source())
	state, _, err := f.Sync(t.Context(), s.ID)
	check(t, err)
	have := Have{Size: state.Edge.Size(), Root: state.Edge.Root(), Packages: map[HeldVersion]bool{}}
	for r := range state.Index.Rows(0) {
		have.Packages[HeldVersion{r.Ref, r.Manifest}] = true
	}
	s.Publish("file/motd@3", feedtest.Text("motd.txt", "third"))
	o := s.options()
	o.Feeds[0].Have = have
	dir, w := s.write(o)
	if got := w.Document.Feeds[0]; got.From != have.Size || got.Root() != have.Root {
		t.Errorf("slice from %d", got.From)
	}
	b := open(t, OpenOptions{}, dir)
	f.Source = b
	state, report, err := f.Sync(t.Context(), s.ID)
	check(t, err)
	if report.From != have.Size || report.To != have.Size+1 {
		t.Errorf("synced from %d to %d", report.From, report.To)
	}
	var got []string
	check(t, f.Fetch(t.Context(), state, []feed.Row{state.Index.Row(have.Size)}, func(p *feed.Package) error {
		text, err := feedtest.ReadAll(t.Context(), p, 0)
		got = append(got, text)
		return err
	}))
	if strings.Join(got, "") != "third" {
		t.Errorf("got %q", got)
	}
	if _, _, err := f.Sync(t.Context(), s.ID); err != nil {
		t.Errorf("the same bundle again: %v", err)
	}
	_, err = s.take(b)
	if gap, ok := errors.AsType[*feed.GapError](err); !ok || gap.From != 0 || gap.To != have.Size {
		t.Errorf("a newcomer got %v", err)
	}
	for name, wrong := range map[string]Have{
		"ahead":     {Size: state.Edge.Size() + 1, Root: state.Edge.Root()},
		"forked":    {Size: state.Edge.Size(), Root: have.Root},
		"size only": {Size: have.Size},
	} {
		o.Feeds[0].Have = wrong
		_, err := Prepare(t.Context(), o)
		if (err == nil) != (name == "size only") || as[*AheadError](err) != (name == "ahead") || errors.Is(err, feed.ErrForked) != (name == "forked") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// What the receiver says it does not hold travels, though it has seen it.
func TestNeverTooLittle(t *testing.T) {
	s := newSite(t)
	o := s.options()
	state := o.Feeds[0].State
	o.Feeds[0].Have = Have{Size: state.Edge.Size(), Root: state.Edge.Root()}
	p := s.plan(o)
	var got []string
	for _, r := range p.Packages[0] {
		got = append(got, r.Ref.String())
	}
	if want := "file/motd@2 file/tool@1"; strings.Join(got, " ") != want {
		t.Errorf("carried: %v, want %s", got, want)
	}
}

// One manifest under two names is two packages: who holds the one gets the other.
func TestHeldByName(t *testing.T) {
	s := newSite(t)
	o := s.options()
	row, _ := o.Feeds[0].State.Index.State(feedtest.ParseRef("file/tool@1"))
	files := []feedtest.File{{Path: "tool.bin", Data: storetest.Random(1, 70_000)}, feedtest.Text("tool.txt", "a tool")}
	s.Append(s.Draft(s.Space.Publisher, "file/tool@1", files, func(p *feed.Publication) { p.Name, p.Previous = "twin", nil }))
	have := Have{Size: o.Feeds[0].State.Edge.Size(), Root: o.Feeds[0].State.Edge.Root(), Packages: map[HeldVersion]bool{{row.Ref, row.Manifest}: true}}
	o = s.options()
	o.Feeds[0].Have = have
	dir, _ := s.write(o)
	if raw, err := readBody(open(t, OpenOptions{}, dir).Object(t.Context(), s.ID, row.Manifest, 0)); err != nil || storage.DigestOf(raw) != row.Manifest {
		t.Errorf("the package under its second name: %v", err)
	}
}

// Filters drop payloads and no statement.
func TestFilter(t *testing.T) {
	s := newSite(t)
	o := s.options()
	o.Carry = func(_ feed.ID, r feed.Row) bool { return r.Ref.Name == "motd" }
	dir, _ := s.write(o)
	b := open(t, OpenOptions{}, dir)
	state, _, err := s.Follower(b).Sync(t.Context(), s.ID)
	check(t, err)
	if state.Edge.Root() != s.state().Edge.Root() {
		t.Error("the feed is another one")
	}
	row, _ := state.Index.State(feedtest.ParseRef("file/tool@1"))
	if _, err := b.Object(t.Context(), s.ID, row.Manifest, 0); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a payload that was left out: %v", err)
	}
	row, _ = state.Index.State(feedtest.ParseRef("file/motd@2"))
	if raw, err := readBody(b.Object(t.Context(), s.ID, row.Manifest, 0)); err != nil || storage.DigestOf(raw) != row.Manifest {
		t.Errorf("a manifest alone: %v", err)
	}
}

// The statement counts for the creator's key, and for no other bundle.
func TestAuthenticate(t *testing.T) {
	s := newSite(t)
	dir, w := s.write(s.options())
	b := open(t, OpenOptions{}, dir)
	f := s.Follower(b)
	_, _, err := f.Sync(t.Context(), s.ID)
	check(t, err)
	v, err := b.Authenticate(f.View)
	if err != nil || v.Person() != "alice" || storage.Digest(w.ID) != v.Statement().Subject {
		t.Errorf("authenticate: %v", err)
	}
	if err := b.Document().CheckAudience(s.receiver.Lineage()); err != nil {
		t.Error(err)
	}
	if err := b.Document().CheckAudience(s.Space.Lineage()); !as[*AudienceError](err) {
		t.Errorf("for another Space: %v", err)
	}
	if _, err := b.Authenticate(s.receiver.View(nil)); !errors.Is(err, trust.ErrUntrusted) {
		t.Errorf("by another Space's view: %v", err)
	}
	folder, err := NewFolder(t.TempDir())
	check(t, err)
	_, err = Write(t.Context(), s.plan(s.options()), folder, s.receiver.Publisher.Sign, nil)
	check(t, err)
	forged := open(t, OpenOptions{}, string(folder.(osFolder)))
	if _, err := forged.Authenticate(f.View); !errors.Is(err, trust.ErrUntrusted) {
		t.Errorf("signed by another: %v", err)
	}
}

func as[E error](err error) bool {
	_, ok := errors.AsType[E](err)
	return ok
}
