package publish

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"sync"
	"testing"
	"time"

	"airlock/feed"
	"airlock/feed/feedtest"
	"airlock/internal/server"
	"airlock/storage"
	"airlock/trust"
	"airlock/trust/trusttest"
)

// site is a server, and a Space that publishes to it.
type site struct {
	t     *testing.T
	srv   *server.Server
	space *trusttest.Space
	id    feed.ID
}

func newSite(t *testing.T) *site {
	t.Helper()
	return siteOf(t, trusttest.New(t, "acme/dev-qa"))
}

func siteOf(t *testing.T, space *trusttest.Space) *site {
	t.Helper()
	s := &site{t: t, space: space,
		srv: server.New(server.Config{Store: storage.NewMem(), LogKey: feedtest.Key(1), Now: func() time.Time { return feedtest.Now }})}
	t.Cleanup(func() { _ = s.srv.Close() })
	s.id = feed.ID{Space: s.space.Name, Name: "shared"}
	if _, err := s.srv.Admit(context.Background(), server.Operator, s.space.File()); err != nil {
		t.Fatal(err)
	}
	return s
}

// publisher is one of the Space's people, with a state of their own.
func (s *site) publisher() *Publisher {
	s.t.Helper()
	return s.publisherWith(storage.NewMem())
}

func (s *site) publisherWith(state *storage.Store) *Publisher {
	own, to := s.space.History(), s.srv.Local()
	return &Publisher{Feed: s.id, To: to, Own: own, Sign: s.space.Publisher, State: state, Now: func() time.Time { return feedtest.Now },
		Sync: func(ctx context.Context) (*feed.State, error) {
			view, err := trust.NewView(own, nil)
			if err != nil {
				return nil, err
			}
			f := &feed.Follower{Source: to, View: view, State: state, Now: func() time.Time { return feedtest.Now }}
			got, _, err := f.Sync(ctx, s.id)
			return got, err
		}}
}

// pkg is a small package of kind file.
func pkg(t *testing.T, name, version, content string) Package {
	t.Helper()
	c := feed.ContentOf([]byte(content))
	m := feed.Manifest{Kind: "file", Title: name, Version: version, Layers: []feed.Layer{{Ref: c.Ref, Path: name, MediaType: "application/octet-stream"}}}
	raw, err := m.Format()
	if err != nil {
		t.Fatal(err)
	}
	return Package{Ref: feed.Ref{Kind: "file", Name: name, Version: version}, Title: name, Manifest: raw,
		Digest: storage.DigestOf(raw), Contents: []feed.Content{c}, Source: name}
}

func mustPublish(t *testing.T, p *Publisher, packages ...Package) []Result {
	t.Helper()
	results, err := p.Publish(context.Background(), packages)
	if err != nil {
		t.Fatal(err)
	}
	return results
}

func (s *site) state() *feed.State {
	s.t.Helper()
	state, err := s.publisher().Sync(context.Background())
	if err != nil {
		s.t.Fatal(err)
	}
	for r := range state.Index.Rows(0) {
		if r.Void != "" {
			s.t.Errorf("entry %d is void: %s", r.Index, r.Void)
		}
	}
	return state
}

// A feed is opened by its first publication; what is in is not published again.
func TestPublish(t *testing.T) {
	ctx := context.Background()
	s := newSite(t)
	p := s.publisher()
	a, b := pkg(t, "a", "1", "one"), pkg(t, "b", "1", "two")
	plan, err := p.Plan(ctx, []Package{a})
	if err != nil || !plan[0].New || plan[0].Index != -1 {
		t.Errorf("plan for a feed that is not there: %+v, %v", plan, err)
	}
	if _, err := p.Sync(ctx); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("planning opened the feed: %v", err)
	}
	if r := mustPublish(t, p, a); !r[0].New || r[0].Index != 2 {
		t.Errorf("first: %+v", r)
	}
	if r := mustPublish(t, p, a, b); r[0].New || r[0].Index != 2 || !r[1].New || r[1].Index != 3 {
		t.Errorf("again with another: %+v", r)
	}
	other := pkg(t, "a", "1", "changed")
	if plan, err := p.Plan(ctx, []Package{other}); !isVersionError(err) {
		t.Errorf("plan of another content: %+v, %v", plan, err)
	}
	if _, err := p.Publish(ctx, []Package{other}); !isVersionError(err) {
		t.Errorf("another content: %v", err)
	}
	if n := s.state().Index.Size(); n != 4 {
		t.Errorf("%d entries, want 4", n)
	}
}

// A feed that was seen in one place is not opened in another: planning says so
// as publishing does.
func TestElsewhere(t *testing.T) {
	ctx := context.Background()
	s := newSite(t)
	p := s.publisher()
	mustPublish(t, p, pkg(t, "a", "1", "one"))
	if _, err := p.Sync(ctx); err != nil {
		t.Fatal(err)
	}
	p = siteOf(t, s.space).publisherWith(p.State)
	b := pkg(t, "b", "1", "two")
	if plan, err := p.Plan(ctx, []Package{b}); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("plan: %+v, %v", plan, err)
	}
	sync, said := p.Sync, error(nil)
	p.Sync = func(ctx context.Context) (*feed.State, error) {
		state, err := sync(ctx)
		said = err
		return state, err
	}
	if _, err := p.Publish(ctx, []Package{b}); err == nil || err != said || !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("publish: %v, want what reading the feed gives: %v", err, said)
	}
}

func isVersionError(err error) bool {
	_, ok := errors.AsType[*feed.VersionError](err)
	return ok
}

func TestManyBatches(t *testing.T) {
	s := newSite(t)
	var packages []Package
	for i := range 1100 {
		packages = append(packages, pkg(t, fmt.Sprintf("p%d", i), "1", "content"))
	}
	results := mustPublish(t, s.publisher(), packages...)
	for i, r := range results {
		if !r.New || r.Ref != packages[i].Ref {
			t.Fatalf("result %d: %+v", i, r)
		}
	}
	if state := s.state(); state.Index.Size() != 2+1100 {
		t.Errorf("%d entries, want %d", state.Index.Size(), 2+1100)
	}
}

// Statements made on an old state are signed again on the newest.
func TestStaleState(t *testing.T) {
	s := newSite(t)
	alice, bob := s.publisher(), s.publisher()
	mustPublish(t, alice, pkg(t, "a", "1", "one"))
	mustPublish(t, bob, pkg(t, "a", "2", "two"))
	if r := mustPublish(t, alice, pkg(t, "a", "3", "three")); !r[0].New {
		t.Errorf("got %+v", r)
	}
	// What the other one published meanwhile is found, not doubled.
	if r := mustPublish(t, bob, pkg(t, "a", "3", "three")); r[0].New || r[0].Index != 4 {
		t.Errorf("got %+v", r)
	}
	s.state()
}

// A withdrawn version stays withdrawn, also for who has not heard of it.
func TestWithdrawn(t *testing.T) {
	ctx := context.Background()
	s := newSite(t)
	alice, bob := s.publisher(), s.publisher()
	a := pkg(t, "a", "1", "one")
	mustPublish(t, bob, a)
	mustPublish(t, alice, a)
	if _, err := bob.Withdraw(ctx, []feed.Ref{a.Ref}, "broken"); err != nil {
		t.Fatal(err)
	}
	for name, p := range map[string]*Publisher{"who withdrew": bob, "who did not hear": alice} {
		_, err := p.Publish(ctx, []Package{a})
		if v, ok := errors.AsType[*feed.VersionError](err); !ok || !v.Withdrawn {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := alice.Withdraw(ctx, []feed.Ref{a.Ref}, "again"); !isVersionError(err) {
		t.Errorf("withdrawn twice: %v", err)
	}
	if _, err := alice.Withdraw(ctx, []feed.Ref{{Kind: "file", Name: "never", Version: "1"}}, "x"); !isVersionError(err) {
		t.Errorf("withdrawing what never was: %v", err)
	}
}

// Many publishers of one Space open one feed and publish to the same names:
// each version is in once, in a chain that readers accept, and one of those
// who published the same thing is told that it was new.
func TestConcurrentPublishers(t *testing.T) {
	s := newSite(t)
	const people, versions = 8, 4
	var wg sync.WaitGroup
	var mu sync.Mutex
	fresh := map[feed.Ref]int{}
	for i := range people {
		p := s.publisher()
		wg.Go(func() {
			for v := range versions {
				own := pkg(t, "own", fmt.Sprintf("%d.%d", i, v), fmt.Sprint(i, v))
				shared := pkg(t, "shared", fmt.Sprintf("%d", v), fmt.Sprint(v))
				results, err := p.Publish(context.Background(), []Package{own, shared})
				if err != nil {
					t.Error(err)
					return
				}
				mu.Lock()
				for _, r := range results {
					if r.New {
						fresh[r.Ref]++
					}
				}
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	if got, want := s.state().Index.Size(), int64(2+people*versions+versions); got != want {
		t.Errorf("%d entries, want %d", got, want)
	}
	if len(fresh) != people*versions+versions {
		t.Errorf("%d packages were new to somebody, want %d", len(fresh), people*versions+versions)
	}
}

// Somebody else of the Space opened the feed, under another identity.
func TestOpenedByAnother(t *testing.T) {
	s := newSite(t)
	late := s.publisher()
	sync := late.Sync
	first := true
	late.Sync = func(ctx context.Context) (*feed.State, error) {
		if first {
			first = false
			state, err := sync(ctx)
			carol := s.space.Leaf("carol", trust.Publisher)
			s.space.Next(func(id *trust.Identity) { s.space.List(id, carol) })
			mustPublish(t, s.publisher(), pkg(t, "a", "1", "one"))
			return state, err
		}
		return sync(ctx)
	}
	if r := mustPublish(t, late, pkg(t, "b", "1", "two")); !r[0].New {
		t.Errorf("got %+v", r)
	}
	s.state()
}

// A lost answer does not make what was published old news.
func TestLostAnswer(t *testing.T) {
	s := newSite(t)
	p := s.publisher()
	p.To = &forgetful{Local: s.srv.Local()}
	if r := mustPublish(t, p, pkg(t, "a", "1", "one")); !r[0].New || r[0].Index != 2 {
		t.Errorf("got %+v", r)
	}
	if n := s.state().Index.Size(); n != 3 {
		t.Errorf("%d entries, want 3", n)
	}
}

// forgetful loses the answer to each batch and sends it again, as a client does.
type forgetful struct{ *server.Local }

func (f *forgetful) Publish(ctx context.Context, b feed.Batch) (feed.Accepted, error) {
	if _, err := f.Local.Publish(ctx, b); err != nil {
		return feed.Accepted{}, err
	}
	return f.Local.Publish(ctx, b)
}

// Identity versions go into a feed without a publisher's key, once, and not
// into a feed that nobody opened.
func TestCarry(t *testing.T) {
	ctx := context.Background()
	s := newSite(t)
	if err := s.publisher().Carry(ctx); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("no feed: %v", err)
	}
	mustPublish(t, s.publisher(), pkg(t, "a", "1", "one"))
	old := s.publisher()
	s.space.Next(s.space.Rotate)
	s.space.Next(func(id *trust.Identity) { s.space.Drop(id, s.space.Approver) })
	for range 2 {
		p := s.publisher()
		p.Sign = nil
		if err := p.Carry(ctx); err != nil {
			t.Fatal(err)
		}
		if state := s.state(); feed.Carried(state.InForce) != 3 || state.Edge.Size() != 3+3 {
			t.Errorf("carries version %d, %d entries", feed.Carried(state.InForce), state.Edge.Size())
		}
	}
	mustPublish(t, s.publisher(), pkg(t, "b", "1", "two"))
	if _, err := old.Publish(ctx, []Package{pkg(t, "c", "1", "three")}); !errors.Is(err, trust.ErrUntrusted) {
		t.Errorf("a leaf that was dropped: %v", err)
	}
}
