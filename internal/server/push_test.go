package server_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"airlock/bundle"
	"airlock/feed"
	"airlock/feed/feedhttp"
	"airlock/feed/feedtest"
	"airlock/internal/agent"
	"airlock/internal/server"
	"airlock/storage"
	"airlock/trust"
)

// inbox is the other end of a push: it believes what it is sent.
type inbox struct {
	t    *testing.T
	dir  string // for what comes
	keys [][]byte
	http *httptest.Server

	mu      sync.Mutex // guards what follows
	has     map[feed.ID]feedhttp.Taken
	slices  []bundle.Slice // that came
	asked   []feedhttp.PushReceipts
	behind  func(feedhttp.PushReceipts) *feedhttp.Taken // with its receipts feed
	without map[feed.ID]error                           // why it does not take these
	agents  []string                                    // User-Agent of each request
	answer  func(feedhttp.Taken) (feedhttp.Taken, error)
	said    func(bundle.Slice) []byte // receipts of what came
	instead http.HandlerFunc
}

func (w *world) inbox() *inbox {
	in := &inbox{t: w.t, dir: w.t.TempDir(), keys: [][]byte{w.Key.Public()}, has: map[feed.ID]feedhttp.Taken{}}
	h, err := feedhttp.New(feedhttp.Config{Inbox: in})
	if err != nil {
		w.t.Fatal(err)
	}
	in.http = httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		in.mu.Lock()
		in.agents = append(in.agents, r.UserAgent())
		instead := in.instead
		in.mu.Unlock()
		if instead != nil {
			instead(rw, r)
			return
		}
		h.ServeHTTP(rw, r)
	}))
	w.t.Cleanup(func() { in.http.Close(); h.Close() })
	return in
}

func (in *inbox) Take(ctx context.Context, _ feedhttp.Caller, r io.Reader, asked feedhttp.PushReceipts) (feedhttp.PushAnswer, error) {
	head, err := bundle.ReadStreamHead(r, in.keys)
	if err != nil {
		return feedhttp.PushAnswer{}, err
	}
	in.mu.Lock()
	defer in.mu.Unlock()
	s := head.Slice
	in.slices, in.asked = append(in.slices, s), append(in.asked, asked)
	have := feedhttp.PushAnswer{Taken: in.has[s.Feed]}
	if in.behind != nil {
		if have.Behind = in.behind(asked); have.Behind != nil {
			return have, nil
		}
	}
	if err := in.without[s.Feed]; err != nil {
		return have, err
	}
	if in.answer != nil {
		have.Taken, err = in.answer(have.Taken)
		return have, err
	}
	if s.From != have.Size || s.From > 0 && *s.Base != have.Root {
		return have, nil
	}
	spool, err := os.CreateTemp(in.dir, "")
	if err != nil {
		return have, err
	}
	defer spool.Close()
	if _, err := bundle.ReadStream(ctx, r, head, spool); err != nil {
		return have, err
	}
	in.has[s.Feed] = feedhttp.Taken{Epoch: s.Epoch, Root: storage.Digest(s.Checkpoint().Root), Size: s.To}
	have.Taken = in.has[s.Feed]
	if in.said != nil && asked.Wait > 0 {
		have.Receipts = in.said(s)
	}
	return have, nil
}

// do changes or reads what the inbox has.
func (in *inbox) do(what func()) {
	in.mu.Lock()
	defer in.mu.Unlock()
	what()
}

// pushing starts a server that pushes.
func (w *world) pushing(change func(*server.Config)) *server.Server {
	c := server.Config{Recheck: every, Pushing: server.Pushing{On: true, To: []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32")}, Self: agent.Agent{Patience: 4 * every}, Retry: every, Version: "a"}}
	if change != nil {
		change(&c)
	}
	s := w.start(c)
	if err := s.Join(w.t.Context()); err != nil {
		w.t.Fatal(err)
	}
	return s
}

// receiver is an admitted Space to which everything is pushed.
func (w *world) receiver(url string, feeds ...feed.Pattern) server.Push {
	w.t.Helper()
	return w.pushTo(feedtest.NewAuthor(w.t, "acme/production/shared"), url, feeds...)
}

func (w *world) pushTo(a *feedtest.Author, url string, feeds ...feed.Pattern) server.Push {
	w.t.Helper()
	w.admit(a)
	p, err := w.srv.AddPush(w.t.Context(), server.Operator, server.Push{Space: a.ID.Space, URL: url, Feeds: feeds})
	if err != nil {
		w.t.Fatal(err)
	}
	return p
}

// push returns how the one push stands.
func (w *world) push() server.Push {
	w.t.Helper()
	all, err := w.srv.Pushes(w.t.Context(), server.Operator)
	if err != nil || len(all) != 1 {
		w.t.Fatalf("%+v, %v", all, err)
	}
	return all[0]
}

// comes waits for something.
func (w *world) comes(what string, is func() bool) {
	w.t.Helper()
	for end := time.Now().Add(20 * time.Second); !is(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			w.t.Fatalf("%s did not come: %+v, %+v", what, w.push(), w.push().Receipts)
		}
	}
}

// What grows is pushed, from where the inbox says that it stands, and nothing that
// the Space may not read.
func TestPushes(t *testing.T) {
	w := newWorld(t, storage.NewMem())
	w.mustSend(append(w.Opening(), w.Publish("file/a@1"))...)
	hidden := feedtest.AuthorOf(t, w.Space, "hidden")
	if _, err := w.srv.Publish(t.Context(), reader, batch(hidden.ID, hidden.Opening()...)); err != nil {
		t.Fatal(err)
	}
	if err := w.srv.SetAudience(t.Context(), server.Operator, hidden.ID, feedhttp.Audience{}); err != nil {
		t.Fatal(err)
	}
	other := feedtest.AuthorOf(t, w.Space, "other")
	if _, err := w.srv.Publish(t.Context(), reader, batch(other.ID, other.Opening()...)); err != nil {
		t.Fatal(err)
	}
	in := w.inbox()
	w.pushing(nil)
	w.receiver(in.http.URL, "*/*/shared", "*/*/hidden")
	size := w.size()
	w.comes("the first stream", func() bool { return w.push().Taken[w.ID].Size == size })
	w.mustSend(w.Publish("file/a@2"))
	w.comes("the second", func() bool { return w.push().Taken[w.ID].Size == size+1 })
	in.do(func() {
		if len(in.slices) != 2 || in.slices[0].From != 0 || in.slices[1].From != size || in.slices[1].To != size+1 {
			t.Errorf("streams of %+v", in.slices)
		}
		delete(in.has, w.ID) // it lost what it had
	})
	w.mustSend(w.Publish("file/a@3"))
	w.comes("all of it again", func() bool { return w.push().Taken[w.ID].Size == size+2 })
	in.do(func() {
		if n := len(in.slices); n != 4 || in.slices[3].From != 0 {
			t.Errorf("%d streams, the last from %d", n, in.slices[n-1].From)
		}
	})
	if p := w.push(); p.State != server.Pushed || len(p.Taken) != 1 {
		t.Errorf("%+v", p)
	}
	production := trust.Space{Organisation: "acme", Name: "production"}
	if err := w.srv.Dismiss(t.Context(), server.Operator, production); err != nil {
		t.Fatal(err)
	}
	w.mustSend(w.Publish("file/a@4"))
	w.comes("the dismissal", func() bool { return strings.Contains(w.push().Problem, "is not admitted here any more") })
	in.do(func() {
		if in.has[w.ID].Size != size+2 {
			t.Error("something was pushed to a Space that was dismissed")
		}
	})
	if err := w.srv.RemovePush(t.Context(), server.Operator, w.push().ID); err != nil {
		t.Fatal(err)
	}
	if err := w.srv.RemovePush(t.Context(), server.Operator, "000000000000"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("one that is not there: %v", err)
	}
}

// What fails is tried again, given up visibly after a time, and begun anew where
// it is said again.
func TestPushGivesUp(t *testing.T) {
	w := newWorld(t, storage.NewMem())
	w.mustSend(w.Opening()...)
	in := w.inbox()
	in.answer = func(feedhttp.Taken) (feedhttp.Taken, error) { return feedhttp.Taken{}, feedhttp.ErrBusy }
	srv := w.pushing(nil)
	p := w.receiver(in.http.URL, "acme/*/shared")
	w.comes("a second attempt", func() bool { p := w.push(); return p.State == server.Retrying && p.Attempts > 1 })
	if n := counted(t, srv); n != "retrying 1" {
		t.Error(n)
	}
	w.clock.add(25 * time.Hour)
	w.comes("its end", func() bool { return w.push().State == server.Failed })
	if got := w.push(); got.ID != p.ID || !strings.Contains(got.Problem, "busy") || got.Since.IsZero() || counted(t, srv) != "failed 1" {
		t.Errorf("%+v, %s", got, counted(t, srv))
	}
	in.do(func() { in.answer = nil })
	w.again(p)
	w.comes("what was given up", func() bool { return w.push().State == server.Pushed && w.push().Taken[w.ID].Size == w.size() })
}

// Of a push nobody says that all came in before something was tried.
func TestPushUntried(t *testing.T) {
	w := newWorld(t, storage.NewMem())
	w.mustSend(w.Opening()...)
	in := w.inbox()
	asked, answer := make(chan struct{}), make(chan struct{})
	in.answer = func(feedhttp.Taken) (feedhttp.Taken, error) {
		close(asked)
		<-answer
		return feedhttp.Taken{}, feedhttp.ErrBusy
	}
	srv := w.pushing(nil)
	w.receiver(in.http.URL, "acme/*/shared")
	<-asked
	if p := w.push(); p.State != server.Untried || !p.Since.IsZero() || counted(t, srv) != "untried 1" {
		t.Errorf("%+v, %s", p, counted(t, srv))
	}
	in.answer = nil // the inbox holds its lock
	close(answer)
	w.comes("all of it", func() bool { p := w.push(); return p.State == server.Pushed && !p.Since.IsZero() })
}

// A server that begins anew does not wait for what others tried before it.
func TestPushNotLate(t *testing.T) {
	w := newWorld(t, storage.NewMem())
	w.mustSend(w.Opening()...)
	in := w.inbox()
	in.answer = func(feedhttp.Taken) (feedhttp.Taken, error) { return feedhttp.Taken{}, feedhttp.ErrBusy }
	first := w.pushing(nil)
	p := w.receiver(in.http.URL, "*/*/*")
	w.comes("an attempt", func() bool { return w.push().Attempts > 0 })
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	raw, tag, err := w.store.Cells.Load(t.Context(), "push/"+p.ID)
	if err == nil {
		_, err = w.store.Cells.Swap(t.Context(), "push/"+p.ID, tag, regexp.MustCompile(`"tried":\d+`).ReplaceAll(raw, []byte(`"tried":30`)))
	}
	if err != nil {
		t.Fatal(err)
	}
	in.do(func() {
		in.answer = func(feedhttp.Taken) (feedhttp.Taken, error) {
			in.answer = nil // the next one is taken
			return feedhttp.Taken{}, feedhttp.ErrBusy
		}
	})
	w.pushing(nil)
	w.comes("a second attempt", func() bool { return w.push().State == server.Pushed && w.push().Taken[w.ID].Size == w.size() })
}

// counted returns of which states a server counts how many pushes.
func counted(t *testing.T, srv *server.Server) string {
	t.Helper()
	registry := prometheus.NewRegistry()
	if err := srv.Register(registry); err != nil {
		t.Fatal(err)
	}
	all, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, family := range all {
		for _, m := range family.GetMetric() {
			if n := m.GetGauge().GetValue(); family.GetName() == "airlock_pushes" && n > 0 {
				out = append(out, fmt.Sprintf("%s %v", m.GetLabel()[0].GetValue(), n))
			}
		}
	}
	return strings.Join(out, ", ")
}

// again says a push again.
func (w *world) again(p server.Push) {
	w.t.Helper()
	again, err := w.srv.AddPush(w.t.Context(), server.Operator, server.Push{Space: p.Space, URL: p.URL, Feeds: p.Feeds})
	if err != nil || again.ID != p.ID || again.State != server.Untried {
		w.t.Fatalf("%+v, %v", again, err)
	}
}

// Of two servers one pushes, the other goes on where that one ends, and one that
// cannot reach the store any more writes nothing.
func TestPushOneServer(t *testing.T) {
	w := newWorld(t, storage.NewMem())
	w.mustSend(w.Opening()...)
	in := w.inbox()
	first := w.pushing(nil)
	w.receiver(in.http.URL, "*/*/*")
	w.comes("the first", func() bool { return w.push().Taken[w.ID].Size == w.size() })
	w.pushing(func(c *server.Config) { c.Pushing.Version = "b" })
	for i := range 10 {
		w.mustSend(w.Publish("file/a@" + string(rune('0'+i))))
		w.comes("more", func() bool { return w.push().Taken[w.ID].Size == w.size() })
	}
	in.do(func() {
		for _, agent := range in.agents {
			if agent != "airlock-server/a" {
				t.Errorf("%s pushes too", agent)
			}
		}
		in.agents = nil
	})
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	w.mustSend(w.Publish("file/b@1"))
	w.comes("what the second pushes", func() bool { return w.push().Taken[w.ID].Size == w.size() })
	in.do(func() {
		if len(in.agents) != 1 || in.agents[0] != "airlock-server/b" {
			t.Errorf("pushed by %v", in.agents)
		}
	})
}

// An inbox that never says the same, one that takes nothing, and one that says that
// it has more than there is, end in a problem that names it.
func TestPushOddInbox(t *testing.T) {
	for want, answer := range map[string]func(feedhttp.Taken) (feedhttp.Taken, error){
		"takes nothing of it":              func(feedhttp.Taken) (feedhttp.Taken, error) { return feedhttp.Taken{}, nil },
		"each time that it has something":  oddAnswers(),
		"was an older store put back":      func(feedhttp.Taken) (feedhttp.Taken, error) { return feedhttp.Taken{Epoch: 1, Size: 99}, nil },
		"a credential is needed":           func(feedhttp.Taken) (feedhttp.Taken, error) { return feedhttp.Taken{}, feedhttp.ErrUnauthorized },
		"is sent by no operator whose ser": func(feedhttp.Taken) (feedhttp.Taken, error) { return feedhttp.Taken{}, errNoOperator },
	} {
		w := newWorld(t, storage.NewMem())
		w.mustSend(w.Opening()...)
		in := w.inbox()
		in.answer = answer
		w.pushing(nil)
		w.receiver(in.http.URL, "*/*/*")
		w.comes(want, func() bool { return strings.Contains(w.push().Problem, want) })
	}
}

var errNoOperator = &trust.DeniedError{Reason: trust.Untrusted, Rule: bundle.RuleOperator, Thing: "stream", Why: "is sent by no operator whose server this Space joined"}

// oddAnswers have a root of their own each.
func oddAnswers() func(feedhttp.Taken) (feedhttp.Taken, error) {
	n := byte(0)
	return func(feedhttp.Taken) (feedhttp.Taken, error) {
		n++
		return feedhttp.Taken{Epoch: 2, Root: storage.Digest{n}}, nil
	}
}

// Nothing goes to an address that is not allowed, whatever name or redirect leads
// there.
func TestPushAddresses(t *testing.T) {
	for name, c := range map[string]struct {
		to   string // allowed
		url  func(*inbox) string
		want string
	}{
		"by number":       {"10.0.0.0/8", func(in *inbox) string { return in.http.URL }, "127.0.0.1 is no public address"},
		"by name":         {"10.0.0.0/8", func(in *inbox) string { return "https://localhost:" + port(in) }, "is no public address"},
		"over a redirect": {"127.0.0.1/32", func(in *inbox) string { return in.http.URL }, "127.0.0.2 is no public address"},
	} {
		w := newWorld(t, storage.NewMem())
		w.mustSend(w.Opening()...)
		in := w.inbox()
		came := 0
		in.instead = func(rw http.ResponseWriter, r *http.Request) {
			in.do(func() { came++ })
			http.Redirect(rw, r, "http://127.0.0.2:"+port(in)+r.URL.Path, http.StatusTemporaryRedirect)
		}
		w.pushing(func(c2 *server.Config) { c2.Pushing.To = []netip.Prefix{netip.MustParsePrefix(c.to)} })
		w.receiver(c.url(in), "*/*/*")
		w.comes(name, func() bool { return strings.Contains(w.push().Problem, c.want) })
		in.do(func() {
			if name != "over a redirect" && came > 0 {
				t.Errorf("%s: it was asked", name)
			}
		})
	}
}

func port(in *inbox) string { return in.http.URL[strings.LastIndex(in.http.URL, ":")+1:] }

// What is pushed administrators say, of Spaces that were admitted.
func TestPushAdministrators(t *testing.T) {
	w := newWorld(t, storage.NewMem())
	p := server.Push{Space: w.ID.Space, URL: "https://inbox.acme.example", Feeds: []feed.Pattern{"*/*/*"}}
	for _, c := range []feedhttp.Caller{{}, {Role: feedhttp.Enrolled, Space: w.ID.Space}, {Role: feedhttp.Administrator, Feeds: []feed.Pattern{"*/*/*"}}, {Role: feedhttp.Peer}} {
		_, add := w.srv.AddPush(t.Context(), c, p)
		_, list := w.srv.Pushes(t.Context(), c)
		for _, err := range []error{add, list, w.srv.RemovePush(t.Context(), c, "000000000000")} {
			wantDenied(t, err, server.RuleCaller)
		}
	}
	p.Space.Name = "nobody"
	_, err := w.srv.AddPush(t.Context(), server.Operator, p)
	wantDenied(t, err, server.RuleAdmission)
	p.Space, p.URL = w.ID.Space, "http://inbox.acme.example"
	if _, err := w.srv.AddPush(t.Context(), server.Operator, p); !isRequestError(err) {
		t.Errorf("http to another machine: %v", err)
	}
}
