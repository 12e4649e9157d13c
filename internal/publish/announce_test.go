package publish

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"airlock/feed"
	"airlock/feed/feedtest"
	"airlock/feed/log"
	"airlock/signing"
	"airlock/storage"
)

// notes are n statements of a kind that nobody knows.
func (s *site) notes(n int) func(uint64) ([]signing.Statement, []feed.Content, error) {
	a := feedtest.AuthorOf(s.t, s.space, s.id.Name)
	return func(uint64) (out []signing.Statement, _ []feed.Content, _ error) {
		for i := range n {
			st, err := signing.ParseStatement(a.Unknown("note", false, i).Payload())
			if err != nil {
				return nil, nil, err
			}
			out = append(out, st)
		}
		return out, nil, nil
	}
}

// entries returns the indices of results, as text, and whether each is new.
func entries(results []Result) string {
	out := ""
	for _, r := range results {
		out += fmt.Sprintf("%d:%v ", r.Index, r.New)
	}
	return out
}

// TestAnnounce says things about no package: into a feed that it opens, and then
// more of the same, of which the feed takes what is new.
func TestAnnounce(t *testing.T) {
	s := newSite(t)
	p := s.publisher()
	for _, c := range []struct {
		n    int
		want string
	}{{2, "2:true 3:true "}, {2, "2:false 3:false "}, {3, "2:false 3:false 4:true "}} {
		got, err := p.Announce(t.Context(), s.notes(c.n))
		if err != nil || entries(got) != c.want {
			t.Errorf("%d notes: %s, %v; want %s", c.n, entries(got), err, c.want)
		}
	}
	mustPublish(t, p, pkg(t, "a", "1", "a"))
	bad := errors.New("no")
	if _, err := p.Announce(t.Context(), func(uint64) ([]signing.Statement, []feed.Content, error) { return nil, nil, bad }); err != bad {
		t.Errorf("got %v, want the draft's error", err)
	}
}

// TestAnnounceLostAnswer finds what a try committed whose answer was lost, and
// does not say it twice.
func TestAnnounceLostAnswer(t *testing.T) {
	s := newSite(t)
	p := s.publisher()
	p.To = &forgetful{Local: s.srv.Local()}
	got, err := p.Announce(t.Context(), s.notes(2))
	if err != nil || entries(got) != "2:true 3:true " {
		t.Errorf("got %s, %v", entries(got), err)
	}
	if n := s.state().Index.Size(); n != 4 {
		t.Errorf("%d entries, want 4", n)
	}
}

// TestAnnounceTogether has several people of the Space open the feed at once.
func TestAnnounceTogether(t *testing.T) {
	s := newSite(t)
	errs := make(chan error)
	for range 4 {
		p := s.publisherWith(storage.NewMem())
		go func() {
			got, err := p.Announce(context.Background(), s.notes(3))
			if err == nil && len(got) != 3 {
				err = fmt.Errorf("%d results", len(got))
			}
			errs <- err
		}()
	}
	for range 4 {
		if err := <-errs; err != nil && !errors.Is(err, log.ErrBusy) {
			t.Error(err)
		}
	}
	state, err := s.publisher().Sync(t.Context())
	if err != nil || state.Edge.Size() != 5 {
		t.Errorf("feed of %d entries, %v; want 5", state.Edge.Size(), err)
	}
}
