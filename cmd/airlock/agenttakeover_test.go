package main

import (
	"context"
	"fmt"
	"io"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"airlock/internal/agent"
	"airlock/internal/home"
)

// sharedBoard is a board in memory for several at once.
type sharedBoard struct {
	memBoard
	mu sync.Mutex
}

func (b *sharedBoard) Load(ctx context.Context) ([]byte, string, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.memBoard.Load(ctx)
}

func (b *sharedBoard) Swap(ctx context.Context, tag string, value []byte) (string, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.memBoard.Swap(ctx, tag, value)
}

// attend has a subscriber work with a board, and says when it holds its rule.
func attend(ctx context.Context, t *testing.T, h *home.Home, board *sharedBoard, self agent.Agent, n int, holds func()) {
	a := &app{streams: streams{err: io.Discard}, now: time.Now, open: h}
	r := &subscriber{app: a, home: h, rules: []*puller{{rule: "web"}}, lease: lease{self: self, held: map[string]int64{}, learn: map[string]bool{}}}
	r.sub.Name, r.sub.Every = fmt.Sprintf("conf-%d", n), 15*time.Second
	r.mark, r.full, r.desk = r.watermark(), time.Now(), agent.NewDesk(board, self, time.Now)
	for ctx.Err() == nil {
		moved := r.moved.next()
		all, err := r.lookAround(ctx, r.desk)
		if err != nil {
			t.Error(err)
			return
		}
		if r.hangUp == nil {
			r.answerOthers(ctx, all)
		}
		r.stand(all)
		if len(r.held) > 0 {
			holds()
		}
		r.rest(ctx, nil, moved)
	}
}

// TestTakeOverAll: an agent has all the work of one that died after its takeover and a
// third of that, whenever it died and however many subscriptions there are.
func TestTakeOverAll(t *testing.T) {
	h, err := home.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	const subscriptions, takeover = 16, 50 * time.Second // no multiple of how often they look
	for dies := 100 * time.Second; dies < 120*time.Second; dies += 1700 * time.Millisecond {
		synctest.Test(t, func(t *testing.T) {
			board, begun := &sharedBoard{}, time.Now()
			ctx, end := context.WithCancel(t.Context())
			first, kill := context.WithCancel(ctx)
			var working sync.WaitGroup
			one, other := newSelf(takeover), newSelf(takeover)
			taken := make(chan int, 100*subscriptions)
			for n := range subscriptions {
				working.Go(func() { attend(first, t, h, board, one, n, func() {}) })
			}
			time.Sleep(10*time.Second + time.Duration(dies)/31)
			for n := range subscriptions {
				working.Go(func() { attend(ctx, t, h, board, other, n, func() { taken <- n }) })
			}
			time.Sleep(time.Until(begun.Add(dies)))
			if len(taken) > 0 {
				t.Error("it was taken from who is there")
			}
			kill()
			time.Sleep(takeover + takeover/3 + time.Second)
			has := map[int]bool{}
			for len(taken) > 0 {
				has[<-taken] = true
			}
			if len(has) < subscriptions {
				t.Errorf("died after %s: %d of %d rules were taken over in time", dies, len(has), subscriptions)
			}
			end()
			working.Wait()
		})
	}
}
