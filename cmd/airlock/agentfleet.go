package main

import (
	"context"
	"errors"
	"sync"
	"time"

	"airlock/internal/agent"
	"airlock/internal/home"
	"airlock/storage"
)

// fleet is the subscriptions of a home, each followed by a goroutine of its own.
type fleet struct {
	*app
	home     *home.Home
	options  agentOptions
	self     agent.Agent
	writing  sync.Mutex // to the streams of all
	pushed   bell       // rung when the inbox took something in
	arrivals arrivals   // what it answers when that was applied
}

// bell tells all who wait that something came.
type bell struct {
	mu   sync.Mutex
	rung chan struct{} // closed by the next ring; nil where nobody waits
}

// next is closed by the next ring.
func (b *bell) next() <-chan struct{} {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.rung == nil {
		b.rung = make(chan struct{})
	}
	return b.rung
}

func (b *bell) ring() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.rung != nil {
		close(b.rung)
		b.rung = nil
	}
}

// once makes one scan of each subscription, whatever becomes of the others.
func (f *fleet) once(ctx context.Context) error {
	all, err := f.home.Subscriptions()
	if err != nil {
		return err
	}
	if len(all) == 0 {
		return usage("%s has no subscription", "airlock subscription add NAME --feed FEED --into FOLDER", f.home.Path())
	}
	var first error
	for _, s := range all {
		err := f.subscriber(s).once(ctx)
		if ctx.Err() != nil {
			return errInterrupted
		}
		if err == nil {
			continue
		}
		if first == nil {
			first = err
			continue
		}
		_, hint := outcomeOf(err)
		f.note("airlock: warning: subscription %s: %s (%s)", s.Name, oneLine(err.Error()), hint)
	}
	if !f.options.dryRun && f.options.receipts.to != receiptsOff {
		_, err := f.herald().once(ctx)
		if err != nil && !errors.Is(err, home.ErrNoSpace) && !errors.Is(err, errNowhere) {
			f.note("airlock: warning: holdings: %s", oneLine(err.Error()))
		}
	}
	return first
}

// look is how often the files of subscriptions are looked at.
const look = 2 * time.Second

// run follows the subscriptions until ctx ends, and takes up what changes in their
// files.
func (f *fleet) run(ctx context.Context) error {
	f.note("following the subscriptions of %s", f.home.Path())
	defer f.note("stopped")
	var working sync.WaitGroup
	defer working.Wait()
	ctx, end := context.WithCancelCause(ctx)
	defer end(nil) // after an error nobody else tells those who work
	if f.options.inbox != "" {
		in, err := f.openInbox(ctx)
		if err != nil {
			return err
		}
		working.Go(func() { end(errors.Join(in.serve(ctx, f.options.inbox), in.close())) })
	}
	working.Go(func() { f.herald().run(ctx) })
	crew := map[string]*member{}
	mark := f.home.SubscriptionsMark()
	if err := f.man(ctx, crew, &working); err != nil {
		return err
	}
	if len(crew) == 0 {
		f.note("there is no subscription yet: airlock subscription add NAME --feed FEED --into FOLDER")
	}
	for sleep(ctx, look) {
		now := f.home.SubscriptionsMark()
		if now == mark {
			continue
		}
		if err := f.man(ctx, crew, &working); err != nil {
			return err
		}
		mark = now
	}
	if cause := context.Cause(ctx); !errors.Is(cause, context.Canceled) {
		return cause // of the inbox
	}
	return nil
}

// member is a subscription that is followed, or was.
type member struct {
	said storage.Digest // its file
	end  context.CancelFunc
	gone chan struct{} // closed once nobody works at it any more
}

// man begins with subscriptions that are new or changed, and ends with those that
// are gone. What is begun is brought to its end before somebody else goes on.
func (f *fleet) man(ctx context.Context, crew map[string]*member, working *sync.WaitGroup) error {
	all, err := f.home.Subscriptions()
	if err != nil {
		return err
	}
	there := map[string]bool{}
	for _, s := range all {
		there[s.Name] = true
		old := crew[s.Name]
		if old != nil && old.said == s.Digest {
			continue
		}
		m := &member{said: s.Digest, gone: make(chan struct{})}
		var stop context.Context
		stop, m.end = context.WithCancel(ctx)
		crew[s.Name] = m
		working.Go(func() {
			defer close(m.gone)
			defer m.end()
			if old != nil {
				old.end()
				<-old.gone
			}
			f.subscriber(s).run(ctx, stop)
		})
	}
	for name, m := range crew {
		if !there[name] {
			m.said = storage.Digest{}
			m.end()
		}
	}
	return nil
}
