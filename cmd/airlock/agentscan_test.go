package main

import (
	"context"
	"errors"
	"io"
	"slices"
	"sync"
	"testing"
	"time"

	"airlock/feed"
	"airlock/internal/home"
	"airlock/trust"
	"airlock/trust/trusttest"
)

// TestTurnAfterChange: where what decides about packages has changed, all feeds are
// looked at, whichever of them grew; approvals are read with such a turn alone.
func TestTurnAfterChange(t *testing.T) {
	h, err := home.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	now := time.Date(2026, 11, 22, 3, 0, 0, 0, time.UTC)
	a := &app{streams: streams{out: &whole{}, err: io.Discard}, now: func() time.Time { return now }, open: h}
	r := &subscriber{app: a, home: h, sub: home.Subscribed{Name: "web"}, conn: &conn{}, arrivals: &arrivals{}, known: map[feed.ID]int64{}}
	for _, c := range []struct {
		name  string
		mark  string
		feeds []feed.ID
		all   bool
	}{
		{"first", r.watermark(), nil, true},
		{"news", r.watermark(), []feed.ID{}, false},
		{"news after a change", "other", []feed.ID{}, true},
	} {
		r.full, r.mark, r.options.approvals = time.Time{}, c.mark, nil
		if failed, _ := r.turn(t.Context(), c.feeds); failed != nil || r.full.Equal(now) != c.all {
			t.Errorf("%s: all %v, want %v; %v", c.name, r.full.Equal(now), c.all, failed)
		}
		r.options.approvals, r.mark = []string{t.TempDir() + "/none"}, r.watermark()
		if c.mark != r.mark {
			continue
		}
		if failed, _ := r.turn(t.Context(), c.feeds); (failed != nil) != c.all {
			t.Errorf("%s: approvals that are not there: %v", c.name, failed)
		}
	}
}

func TestMatchFeed(t *testing.T) {
	for _, c := range []struct {
		pattern, feed string
		want          bool
	}{
		{"acme/dev-qa/shared", "acme/dev-qa/shared", true},
		{"acme/dev-qa/shared", "acme/dev-qa/other", false},
		{"acme/*/shared", "acme/dev-qa/shared", true},
		{"acme/*/shared", "other/dev-qa/shared", false},
		{"acme/team-*/shared", "acme/team-a/shared", true},
		{"acme/team-*/shared", "acme/dev-qa/shared", false},
		{"*/*/*", "acme/dev-qa/shared", true},
		{"*/*/*", "acme/dev-qa/receipts", false},
		{"acme/*/rec*", "acme/dev-qa/receipts", false},
		{"acme/*/receipts", "acme/dev-qa/receipts", true},
		{"acme/dev-qa/receipts", "acme/dev-qa/receipts", true},
	} {
		id, err := feed.ParseID(c.feed)
		if err != nil {
			t.Fatal(err)
		}
		if got := matchFeed(c.pattern, id); got != c.want {
			t.Errorf("%s of %s: %v, want %v", c.pattern, c.feed, got, c.want)
		}
	}
}

// tellsAll is a place that tells of all its feeds, whatever it is asked for.
type tellsAll struct {
	place
	all   []feed.ID
	asked []trust.Space
	times int
}

func (p *tellsAll) Feeds(_ context.Context, of ...trust.Space) ([]feed.ID, error) {
	p.asked, p.times = of, p.times+1
	return p.all, nil
}

// TestPatterns: patterns are about trusted Spaces, which alone the source is asked
// for, and whatever it says.
func TestPatterns(t *testing.T) {
	h, err := home.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"acme/dev-qa", "acme/other", "beta/dev-qa"} {
		s := trusttest.New(t, name)
		if err := h.AddTrust(s.History(), trust.NewPolicy(s.Name, s.Lineage())); err != nil {
			t.Fatal(err)
		}
	}
	var there []feed.ID
	for _, name := range []string{"acme/dev-qa/shared", "acme/dev-qa/own", "acme/stranger/shared", "beta/dev-qa/shared"} {
		id, err := feed.ParseID(name)
		if err != nil {
			t.Fatal(err)
		}
		there = append(there, id)
	}
	p := &tellsAll{all: there}
	r := &subscriber{app: &app{now: time.Now}, home: h, conn: &conn{place: p}}
	for pattern, want := range map[string][]feed.ID{"acme/*/shared": there[:1], "gamma/*/shared": nil} {
		p.times = 0
		r.sub.Feeds = []string{pattern}
		got, err := r.feeds(t.Context())
		if err != nil || !slices.Equal(got, want) || p.times != len(want) {
			t.Errorf("%s: %v, %v after %d questions, want %v", pattern, got, err, p.times, want)
		}
	}
	if want := []trust.Space{{Organisation: "acme", Name: "dev-qa"}, {Organisation: "acme", Name: "other"}}; !slices.Equal(p.asked, want) {
		t.Errorf("asked for %v, want %v", p.asked, want)
	}
}

// TestFeedsOf: a command without feeds asks the source for those of the Spaces that it
// means, and for none where it means none.
func TestFeedsOf(t *testing.T) {
	h, err := home.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	there := []feed.ID{{Space: trust.Space{Organisation: "acme", Name: "dev-qa"}, Name: "shared"}, {Space: trust.Space{Organisation: "acme", Name: "stranger"}, Name: "shared"}}
	p, a := &tellsAll{all: there}, &app{now: time.Now, open: h}
	feedsOf := func() ([]feed.ID, error) { return a.feedsOf(t.Context(), &conn{place: p}, nil, "trusted") }
	for name, ask := range map[string]func() ([]feed.ID, error){
		"of trusted Spaces":  feedsOf,
		"that were followed": func() ([]feed.ID, error) { return a.feedsToShow(t.Context(), &conn{place: p}, nil) },
	} {
		if got, err := ask(); err == nil || p.times > 0 {
			t.Errorf("feeds %s: %v, %v after %d questions, and none is meant", name, got, err, p.times)
		}
	}
	s := trusttest.New(t, "acme/dev-qa")
	if err := h.AddTrust(s.History(), trust.NewPolicy(s.Name, s.Lineage())); err != nil {
		t.Fatal(err)
	}
	if got, err := feedsOf(); err != nil || !slices.Equal(got, there[:1]) || !slices.Equal(p.asked, []trust.Space{there[0].Space}) {
		t.Errorf("%v, %v, asked for %v", got, err, p.asked)
	}
}

// TestRetry: what fails is tried again later each time, but soon where something came,
// and by an agent that is begun again, whatever failed before.
func TestRetry(t *testing.T) {
	h, err := home.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	now := time.Date(2026, 11, 22, 3, 0, 0, 0, time.UTC)
	a := &app{streams: streams{out: &whole{to: io.Discard, mu: new(sync.Mutex)}, err: io.Discard}, now: func() time.Time { return now }, open: h}
	begin := func() *subscriber {
		r := &subscriber{app: a, home: h, sub: home.Subscribed{Name: "web"}, arrivals: &arrivals{}, known: map[feed.ID]int64{}, base: &puller{app: a}}
		r.sub.Every = 15 * time.Second
		return r
	}
	fails := func(r *subscriber) time.Duration {
		r.settle(t.Context(), errors.New("no answer"))
		return r.retry.Sub(now)
	}
	r := begin()
	if first := fails(r); first < 7*time.Second || first > 15*time.Second {
		t.Errorf("first tried again after %s", first)
	}
	for range 8 {
		fails(r)
	}
	if late := fails(r); late < 150*time.Second || r.state.Problem.Count != 10 {
		t.Errorf("after %d failures tried again after %s", r.state.Problem.Count, late)
	}
	r.report(t.Context(), []*prepared{{doc: pulledDoc{From: 3, To: 3}}})
	if late := fails(r); late < 150*time.Second {
		t.Errorf("though nothing came tried again after %s", late)
	}
	r.report(t.Context(), []*prepared{{doc: pulledDoc{From: 3, To: 4}}})
	if soon := fails(r); soon > 15*time.Second {
		t.Errorf("though something came tried again after %s", soon)
	}
	fails(r)
	again := begin()
	again.state = r.state
	if soon := fails(again); soon > 15*time.Second || again.state.Problem.Count != 14 {
		t.Errorf("begun again, after %d failures tried again after %s", again.state.Problem.Count, soon)
	}
}
