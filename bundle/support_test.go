package bundle

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"airlock/feed"
	"airlock/feed/feedtest"
	"airlock/signing"
	"airlock/storage"
	"airlock/storage/storetest"
	"airlock/trust"
	"airlock/trust/trusttest"
)

// site is a Space that publishes, and the options for a bundle of its feed.
type site struct {
	*feedtest.World
	t        *testing.T
	receiver *trusttest.Space
}

func newSite(t *testing.T) *site {
	s := &site{World: feedtest.New(t, storage.Chunked(storage.NewMem())), t: t, receiver: trusttest.New(t, "acme/production")}
	s.Publish("file/motd@1", feedtest.Text("motd.txt", "hello"))
	s.Publish("file/motd@2", feedtest.Text("motd.txt", "hello again"), feedtest.Text("empty.txt", ""))
	s.Publish("file/gone@1", feedtest.Text("gone.txt", "withdrawn later"))
	s.Publish("file/tool@1", feedtest.File{Path: "tool.bin", Data: storetest.Random(1, 70_000)}, feedtest.Text("tool.txt", "a tool"))
	s.Withdraw("file/gone@1")
	return s
}

// chunkedSource is a world's source that tells how payloads are cut.
type chunkedSource struct{ *feedtest.Source }

func (s chunkedSource) Chunks(ctx context.Context, id feed.ID, d storage.Digest) (*storage.ChunkIndex, error) {
	o, ok := s.Store.Objects(id.Space.String()).(storage.Chunker)
	if !ok {
		return nil, fs.ErrNotExist
	}
	return o.Chunks(ctx, d)
}

// publishLarge publishes a payload that the store keeps in chunks.
func (s *site) publishLarge(ref string, data []byte) {
	s.t.Helper()
	check(s.t, s.Store.Objects(s.ID.Space.String()).Put(s.t.Context(), storage.RefOf(data), bytes.NewReader(data)))
	signed := s.Author.Publish(ref, feedtest.File{Path: "payload", Data: data})
	signed.Objects = signed.Objects[:1]
	s.Append(signed)
}

func (s *site) source() feed.Source { return chunkedSource{s.Source()} }

// state is what the site itself has accepted of its feed.
func (s *site) state() *feed.State {
	s.t.Helper()
	state, _, err := s.Follower(s.source()).Sync(s.t.Context(), s.ID)
	check(s.t, err)
	return state
}

func (s *site) options() Options {
	state := s.state()
	return Options{
		Creator:  Party{s.Space.Lineage(), s.Space.Name.String()},
		Audience: Party{s.receiver.Lineage(), s.receiver.Name.String()},
		Bound:    trust.Bound{Epoch: 1, Feed: s.ID.String(), Lineage: s.Space.Lineage()},
		Feeds:    []Feed{{State: state, Source: s.source()}},
		Block:    2048, Created: feedtest.Now,
	}
}

func (s *site) sign(ctx context.Context, st signing.Statement) (signing.Attestation, error) {
	return s.Space.Publisher.Sign(ctx, st)
}

// plan prepares a bundle that the test closes.
func (s *site) plan(o Options) *Plan {
	s.t.Helper()
	p, err := Prepare(s.t.Context(), o)
	check(s.t, err)
	s.t.Cleanup(func() { check(s.t, p.Close()) })
	return p
}

// write makes a bundle in a new folder.
func (s *site) write(o Options) (string, *Written) {
	s.t.Helper()
	dir := s.t.TempDir()
	folder, err := NewFolder(dir)
	check(s.t, err)
	w, err := Write(s.t.Context(), s.plan(o), folder, s.sign, nil)
	check(s.t, err)
	return dir, w
}

func open(t *testing.T, o OpenOptions, paths ...string) *Bundle {
	t.Helper()
	b, err := Open(t.Context(), paths, o)
	check(t, err)
	t.Cleanup(func() { check(t, b.Close()) })
	return b
}

// taken is all that a receiver gets of a feed: rows and files, as text.
func (s *site) taken(src feed.Source, state *feed.State) (string, error) {
	var out strings.Builder
	for r := range state.Index.Rows(0) {
		fmt.Fprintf(&out, "%+v\n", r)
	}
	rows, _ := (&planner{}).rows(Feed{State: state})
	err := (&feed.Follower{Source: src}).Fetch(s.t.Context(), state, rows, func(p *feed.Package) error {
		for i, l := range p.Manifest.Layers {
			text, err := feedtest.ReadAll(s.t.Context(), p, i)
			if err != nil {
				return err
			}
			fmt.Fprintf(&out, "%s %s %s\n", p.Row.Ref, l.Path, storage.DigestOf([]byte(text)))
		}
		return nil
	})
	return out.String(), err
}

// take lets a newcomer read the feed from a source.
func (s *site) take(src feed.Source) (string, error) {
	state, _, err := s.Follower(src).Sync(s.t.Context(), s.ID)
	if err != nil {
		return "", err
	}
	return s.taken(src, state)
}

// copyDir copies a folder's volumes.
func copyDir(t *testing.T, from string) string {
	t.Helper()
	to := t.TempDir()
	check(t, os.CopyFS(to, os.DirFS(from)))
	return to
}

func volumes(t *testing.T, dir string) []string {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(dir, "*"+Extension))
	check(t, err)
	slices.Sort(names)
	return names
}

func readAll(t *testing.T, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(name)
	check(t, err)
	return b
}

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func readBody(r io.ReadCloser, err error) ([]byte, error) {
	if err != nil {
		return nil, err
	}
	defer r.Close()
	var b bytes.Buffer
	_, err = b.ReadFrom(r)
	return b.Bytes(), err
}
