package main

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"slices"
	"sync"
	"time"

	"airlock/bundle"
	"airlock/feed"
	"airlock/feed/feedhttp"
	"airlock/internal/home"
	"airlock/internal/publish"
	"airlock/receipts"
	"airlock/signing"
)

// maxAnswered bounds the receipts in the answer to a push. The others go the way of
// those that are late.
const maxAnswered = 256

// arrivals are the pushes whose answer waits for what becomes of them.
type arrivals struct {
	mu        sync.Mutex
	following map[string][]string // feeds, by subscription to the inbox
	turns     int                 // that such have begun
	open      []*arrival
}

// arrival is what a push brought.
type arrival struct {
	slice   bundle.Slice
	index   *feed.Index     // of the feed
	turn    int             // the last that had begun then
	waiting map[string]bool // subscriptions that have not looked at it yet
	over    chan struct{}   // closed once all have
	said    []signing.Attestation
}

// follow says which feeds a subscription takes from the inbox; leave that it does
// no more.
func (l *arrivals) follow(name string, feeds []string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.following == nil {
		l.following = map[string][]string{}
	}
	l.following[name] = feeds
}

func (l *arrivals) leave(name string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.following, name)
	l.pass(name, func(*arrival) bool { return true })
}

// begin counts a turn of a subscription.
func (l *arrivals) begin() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.turns++
	return l.turns
}

// ended says that a turn is over, whatever it came to.
func (l *arrivals) ended(name string, turn int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.pass(name, func(a *arrival) bool { return a.turn < turn })
}

// looked says that a subscription did what it does with feeds of these sizes, and
// handed out its receipts.
func (l *arrivals) looked(name string, known map[feed.ID]int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.pass(name, func(a *arrival) bool { return known[a.slice.Feed] >= a.slice.To })
}

// pass takes a subscription from what it need not be waited for with. The caller
// has the lock.
func (l *arrivals) pass(name string, is func(*arrival) bool) {
	for _, a := range l.open {
		if a.waiting[name] && is(a) {
			if delete(a.waiting, name); len(a.waiting) == 0 {
				close(a.over)
			}
		}
	}
}

// add returns an arrival of a push. What is handed out from now on may be about it.
func (l *arrivals) add(s bundle.Slice, index *feed.Index) *arrival {
	l.mu.Lock()
	defer l.mu.Unlock()
	a := &arrival{slice: s, index: index, turn: l.turns, waiting: map[string]bool{}, over: make(chan struct{})}
	for name, feeds := range l.following {
		if slices.ContainsFunc(feeds, func(f string) bool { return matchFeed(f, s.Feed) }) {
			a.waiting[name] = true
		}
	}
	if len(a.waiting) == 0 {
		close(a.over)
	}
	l.open = append(l.open, a)
	return a
}

// remove ends an arrival and returns the receipts about what it brought, in their
// order.
func (l *arrivals) remove(a *arrival) []signing.Attestation {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.open = slices.DeleteFunc(l.open, func(o *arrival) bool { return o == a })
	return a.said
}

// hand hands out signed receipts, of which each push gets those about what it
// brought.
func (l *arrivals) hand(signed []signing.Attestation) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.open) == 0 {
		return
	}
	for _, s := range signed {
		st, err := signing.ParseStatement(s.Payload())
		if err != nil {
			continue // it was made here, and is sent all the same
		}
		r, err := receipts.Parse(st)
		if err != nil {
			continue
		}
		for _, a := range l.open {
			if a.brought(r.Publication) && len(a.said) < maxAnswered && !slices.ContainsFunc(a.said, func(o signing.Attestation) bool { return o.ID() == s.ID() }) {
				a.said = append(a.said, s)
			}
		}
	}
}

// brought reports whether a push brought an entry.
func (a *arrival) brought(p receipts.Publication) bool {
	at, ok := a.index.Holds(p.Statement)
	return ok && p.Feed == a.slice.Feed && p.Epoch == a.slice.Epoch && at >= a.slice.From && at < a.slice.To
}

// answer waits until all has been done with what a push brought that is done at
// once, and returns the receipts as a batch for the Space's receipts feed; nil where
// there are none in time. They are kept and sent as ever, whatever becomes of the
// answer.
func (in *inbox) answer(ctx context.Context, a *arrival, operator []byte, wait time.Duration) []byte {
	t := time.NewTimer(wait)
	defer t.Stop()
	select {
	case <-a.over:
	case <-t.C:
	case <-ctx.Done():
	}
	said := in.arrivals.remove(a)
	if len(said) == 0 || wait == 0 || ctx.Err() != nil {
		return nil // who does not wait does not know of receipts
	}
	b, err := in.batch(ctx, said, operator)
	if err != nil {
		in.notAnswered(count(len(said), "receipt", "receipts"), err)
	}
	return b
}

func (in *inbox) notAnswered(what string, err error) {
	_, hint := outcomeOf(err)
	in.note("airlock: warning: %s not in the answer to a push: %s (%s)", what, oneLine(err.Error()), hint)
}

// batch makes of receipts what can be brought to the server of an operator; nil where
// the Space's receipts feed is, or may be, in the log of another one.
func (in *inbox) batch(ctx context.Context, said []signing.Attestation, operator []byte) ([]byte, error) {
	out, err := in.openPost(ctx)
	if err != nil {
		return nil, err
	}
	to := publish.Publisher{Feed: out.feed(), To: logOfOther{key: operator}, Own: out.own, Now: in.now}
	if to.State, err = in.home.State(ctx); err != nil {
		return nil, err
	}
	if ours, err := in.isOurLog(ctx, to, operator); err != nil || !ours {
		return nil, err
	}
	if to.Sign, err = in.home.Publisher(in.unasked); err != nil {
		return nil, err
	}
	for {
		b, err := to.Batch(ctx, said)
		if err != nil {
			return nil, err
		}
		raw, err := feedhttp.FormatBatch(b, feedhttp.MaxPushReceipts)
		if !as[*feedhttp.LimitError](err) || len(said) == 1 {
			return raw, err
		}
		said = said[:len(said)/2]
	}
}

// isOurLog reports whether an operator's log is the one of the Space's receipts feed:
// as it was followed here, or where it never was, because no other is known.
func (in *inbox) isOurLog(ctx context.Context, p publish.Publisher, operator []byte) (bool, error) {
	state, err := feed.LoadState(ctx, p.State, p.Own.Lineage(), p.Feed)
	if err == nil {
		return bytes.Equal(state.LogKey, operator), nil
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return false, err
	}
	if _, elsewhere := in.destination(in.sending); elsewhere {
		return false, nil // it is opened there
	}
	servers, err := in.home.Servers()
	return !slices.ContainsFunc(servers, func(s home.Server) bool { return !bytes.Equal(s.LogKey, operator) }), err
}

// logOfOther is a log to which somebody else appends.
type logOfOther struct {
	readOnly
	key []byte
}

func (l logOfOther) LogKey(context.Context) ([]byte, error) { return l.key, nil }
