package server_test

import (
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"airlock/feed"
	"airlock/feed/feedhttp"
	"airlock/feed/feedtest"
	"airlock/internal/server"
	"airlock/storage"
	"airlock/storage/storetest"
	"airlock/trust"
)

// twoFeeds is a world of two feeds that are pushed to an inbox, once the first is there.
// The head of the second cannot be read while fails says so.
func twoFeeds(t *testing.T, fails func() bool, change func(*server.Config)) (w *world, second *feedtest.Author, in *inbox) {
	t.Helper()
	store := storage.NewMem()
	w = newWorld(t, store)
	w.mustSend(w.Opening()...)
	second = feedtest.AuthorOf(t, w.Space, "second")
	if _, err := w.srv.Publish(t.Context(), reader, batch(second.ID, second.Opening()...)); err != nil {
		t.Fatal(err)
	}
	w.store = storetest.WithFaults(store, func(c storetest.Call) storetest.Fault {
		if c.Op == "Load" && c.Key == "log/"+second.ID.String() && fails() {
			return storetest.Fault{Before: storetest.ErrServer}
		}
		return storetest.Fault{}
	})
	w.pushing(change)
	in = w.inbox()
	w.receiver(in.http.URL, "acme/dev-qa/*")
	w.comes("the first feed", func() bool { return w.push().Taken[w.ID].Size == w.size() })
	return w, second, in
}

// unread reports whether the problem of a push is that a head could not be read.
func unread(p server.Push, of *feedtest.Author) bool {
	return p.State == server.Retrying && strings.Contains(p.Problem, of.ID.String()) && strings.Contains(p.Problem, storetest.ErrServer.Error())
}

// A head that cannot be read is a problem that is shown, and soon tried again.
func TestPushUnreadHead(t *testing.T) {
	var fails atomic.Bool
	fails.Store(true)
	w, second, _ := twoFeeds(t, fails.Load, nil)
	w.comes("a second attempt", func() bool { return unread(w.push(), second) && w.push().Attempts > 1 })
	fails.Store(false)
	w.comes("the second feed", func() bool { return w.push().State == server.Pushed && w.push().Taken[second.ID].Size == 2 })
}

// A head that cannot be read keeps nobody from the other feeds, however long it is:
// what is new there is pushed at once, and nothing is given up for it.
func TestPushUnreadHeadAlone(t *testing.T) {
	var fails atomic.Bool
	fails.Store(true)
	w, second, in := twoFeeds(t, fails.Load, func(c *server.Config) { c.Pushing.Retry = time.Hour })
	for i := range 2 {
		before := w.push().Attempts
		w.clock.add(25 * time.Hour)
		w.mustSend(w.Publish(fmt.Sprintf("file/a@%d", i)))
		w.comes("what is new", func() bool { return w.push().Taken[w.ID].Size == w.size() && w.push().Attempts > before })
	}
	if p := w.push(); !unread(p, second) {
		t.Errorf("%+v", p)
	}
	in.do(func() {
		in.answer = func(feedhttp.Taken) (feedhttp.Taken, error) { return feedhttp.Taken{}, feedhttp.ErrBusy }
	})
	w.mustSend(w.Publish("file/b@1"))
	w.comes("another problem", func() bool { return strings.Contains(w.push().Problem, "busy") })
	if p := w.push(); p.State != server.Retrying {
		t.Errorf("given up after the first failure: %+v", p)
	}
}

// What the inbox refuses of one feed keeps nobody from the others, however long it
// does: what is new there is pushed at once, and nothing is given up for it. The one
// that is refused is asked for again at its own time.
func TestPushRefusedFeed(t *testing.T) {
	w, second, in := twoFeeds(t, func() bool { return false }, nil)
	w.comes("both", func() bool { return w.push().State == server.Pushed && len(w.push().Taken) == 2 })
	refused := &trust.DeniedError{Reason: trust.Untrusted, Rule: "allow", Thing: "inbox", Why: "acme/dev-qa is not trusted here"}
	in.do(func() { in.without = map[feed.ID]error{second.ID: refused} })
	if _, err := w.srv.Publish(t.Context(), reader, batch(second.ID, second.Publish("file/b@1"))); err != nil {
		t.Fatal(err)
	}
	w.comes("a second refusal", func() bool { p := w.push(); return p.State == server.Retrying && p.Attempts > 1 })
	for i := range 2 {
		w.clock.add(25 * time.Hour)
		w.mustSend(w.Publish(fmt.Sprintf("file/a@%d", i)))
		w.comes("what is new", func() bool { return w.push().Taken[w.ID].Size == w.size() })
	}
	before := w.push()
	w.comes("another refusal", func() bool { return w.push().Attempts > before.Attempts })
	if p := w.push(); p.State != server.Retrying || !strings.HasPrefix(p.Problem, "not all feeds are taken: feed "+second.ID.String()) || !strings.Contains(p.Problem, "not trusted here") {
		t.Errorf("%+v", p)
	}
	in.do(func() { in.without = nil })
	w.comes("what was refused", func() bool {
		p := w.push()
		return p.State == server.Pushed && p.Problem == "" && p.Taken[second.ID].Size == int64(len(second.Opening()))+1
	})
}

// Of feeds that are refused each has its own time: news of others do not have the inbox
// asked for them again.
func TestPushRefusedWaits(t *testing.T) {
	w, second, in := twoFeeds(t, func() bool { return false }, func(c *server.Config) { c.Pushing.Retry = time.Hour })
	w.comes("both", func() bool { return w.push().State == server.Pushed && len(w.push().Taken) == 2 })
	in.do(func() {
		in.without = map[feed.ID]error{second.ID: &feedhttp.ConflictError{Why: "it has something else"}}
	})
	if _, err := w.srv.Publish(t.Context(), reader, batch(second.ID, second.Publish("file/b@1"))); err != nil {
		t.Fatal(err)
	}
	w.comes("a refusal", func() bool { return w.push().State == server.Retrying })
	for i := range 3 {
		w.mustSend(w.Publish(fmt.Sprintf("file/a@%d", i)))
		w.comes("what is new", func() bool { return w.push().Taken[w.ID].Size == w.size() })
	}
	asked := 0
	in.do(func() {
		for _, s := range in.slices {
			if s.Feed == second.ID && s.From > 0 {
				asked++
			}
		}
	})
	if asked != 1 || w.push().Attempts != 1 {
		t.Errorf("asked for it %d times, %d attempts", asked, w.push().Attempts)
	}
}

// Where the inbox refuses all that there is, it is given up in time.
func TestPushRefusedWhole(t *testing.T) {
	w, second, in := twoFeeds(t, func() bool { return false }, nil)
	w.comes("both", func() bool { return w.push().State == server.Pushed && len(w.push().Taken) == 2 })
	refused := &trust.DeniedError{Reason: trust.Untrusted, Rule: "allow", Thing: "inbox", Why: "acme/dev-qa is not trusted here"}
	in.do(func() { in.without = map[feed.ID]error{w.ID: refused, second.ID: refused} })
	w.mustSend(w.Publish("file/a@1"))
	if _, err := w.srv.Publish(t.Context(), reader, batch(second.ID, second.Publish("file/b@1"))); err != nil {
		t.Fatal(err)
	}
	w.comes("both refusals", func() bool {
		p := w.push()
		return p.State == server.Retrying && !strings.Contains(p.Problem, "not all feeds")
	})
	w.clock.add(25 * time.Hour)
	w.comes("its end", func() bool { return w.push().State == server.Failed })
}

// A head that was read is read again in time, whatever else is new: that it cannot be
// any more is found.
func TestPushReadsOldHeads(t *testing.T) {
	var fails atomic.Bool
	var failed atomic.Int64
	w, second, _ := twoFeeds(t, func() bool {
		if fails.Load() {
			failed.Add(1)
		}
		return fails.Load()
	}, nil)
	w.comes("both", func() bool { return w.push().State == server.Pushed && len(w.push().Taken) == 2 })
	fails.Store(true)
	w.comes("the end of the last look that saw it", func() bool { return failed.Load() > 0 })
	w.clock.add(2 * time.Minute)
	w.mustSend(w.Publish("file/a@1"))
	w.comes("the trouble", func() bool { return unread(w.push(), second) })
}

// One new entry costs reading the head of its feed, however many are pushed.
func TestPushReadsOnlyNews(t *testing.T) {
	const feeds = 60
	asked := &calls{of: map[storetest.Call]int{}}
	w := newWorld(t, storetest.WithFaults(storage.NewMem(), asked.count))
	var last *feedtest.Author
	for i := range feeds {
		last = feedtest.AuthorOf(t, w.Space, fmt.Sprint("feed-", i))
		if _, err := w.srv.Publish(t.Context(), reader, batch(last.ID, last.Opening()...)); err != nil {
			t.Fatal(err)
		}
	}
	pushes := w.pushing(func(c *server.Config) { c.Recheck = time.Hour }) // that looks at all, too
	w.receiver(w.inbox().http.URL, "acme/dev-qa/*")
	w.comes("all of it", func() bool { return w.push().State == server.Pushed && len(w.push().Taken) == feeds })
	asked.taken("Load", "log/")
	for i := range 2 {
		if _, err := pushes.Publish(t.Context(), reader, batch(last.ID, last.Publish(fmt.Sprintf("file/a@%d", i)))); err != nil {
			t.Fatal(err)
		}
		w.comes("the new entry", func() bool { return w.push().Taken[last.ID].Size == int64(3+i) })
	}
	n := 0
	for _, of := range asked.taken("Load", "log/") {
		n += of
	}
	if n > 20 {
		t.Errorf("%d heads were read for two entries of one of %d feeds", n, feeds)
	}
}
