package agent

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"pgregory.net/rapid"

	"airlock/storage"
)

// memCell is a cell whose answers may be lost.
type memCell struct {
	value []byte
	n     int
	lose  func() bool // the answer to a swap that was made; nil for never
	first func()      // what somebody else does before the next swap; nil for nothing
	swaps int
}

func (c *memCell) tag() string {
	if c.n == 0 {
		return ""
	}
	return fmt.Sprint(c.n)
}

func (c *memCell) Load(context.Context) ([]byte, string, error) {
	return bytes.Clone(c.value), c.tag(), nil
}

func (c *memCell) Swap(_ context.Context, tag string, value []byte) (string, error) {
	if first := c.first; first != nil {
		c.first = nil
		first()
	}
	if tag != c.tag() {
		return "", storage.ErrConflict
	}
	c.n++
	c.swaps++
	c.value = bytes.Clone(value)
	if c.lose != nil && c.lose() {
		return "", storage.ErrUnclear
	}
	return c.tag(), nil
}

// clock is a machine's clock.
type clock struct{ at time.Time }

func newClock() *clock                 { return &clock{now} }
func (c *clock) Now() time.Time        { return c.at }
func (c *clock) sleep(d time.Duration) { c.at = c.at.Add(d) }

func agentOf(cell Cell, c *clock) *Desk {
	return NewDesk(cell, Agent{ID: NewID(), Label: "a machine", Patience: 45 * time.Second}, c.Now)
}

// holds reports whether an agent that looks has the rule.
func holds(t *testing.T, d *Desk) bool {
	t.Helper()
	all, err := d.Look(t.Context(), map[string]string{"conf/web": ""})
	if err != nil {
		t.Fatal(err)
	}
	return all["conf/web"].Held
}

const target = "ffeeddccbbaa99887766554433221100"

// TestTakeOver: a rule has one holder, who keeps it as long as it answers, whatever
// clocks say, and loses it after its patience; then nothing it says counts.
func TestTakeOver(t *testing.T) {
	cell, slow, fast := &memCell{}, newClock(), newClock()
	fast.sleep(time.Hour) // an hour apart
	a, b := agentOf(cell, slow), agentOf(cell, fast)
	if !holds(t, a) || holds(t, b) {
		t.Fatal("the first who looks holds it, and nobody else")
	}
	for range 20 { // both are there
		slow.sleep(15 * time.Second)
		fast.sleep(15 * time.Second)
		if !holds(t, a) || holds(t, b) {
			t.Fatal("it was taken from who answers")
		}
	}
	if all, _ := b.Look(t.Context(), map[string]string{"conf/web": ""}); !all["conf/web"].Alive || all["conf/web"].Label != "a machine" {
		t.Errorf("%+v, want somebody who is alive", all)
	}
	fence, err := a.Note(t.Context(), "conf/web", target, shared, Taken{Begun: 4, Epoch: 1})
	if err != nil || fence != 1 {
		t.Fatal(fence, err)
	}
	holds(t, b) // asks
	for range 2 {
		fast.sleep(15 * time.Second)
		if holds(t, b) {
			t.Fatal("it was taken before the holder's patience ended")
		}
	}
	fast.sleep(15 * time.Second)
	if !holds(t, b) {
		t.Fatal("nobody took over")
	}
	if taken, ok := b.Taken("conf/web", target, shared); !ok || taken.Begun != 4 {
		t.Errorf("%+v, %v: what was begun is not known", taken, ok)
	}
	if _, err := a.Note(t.Context(), "conf/web", target, shared, Taken{Entries: []int64{4}, Epoch: 1}); !errors.Is(err, ErrLost) {
		t.Errorf("who lost it speaks: %v", err)
	}
	if holds(t, a) {
		t.Error("two hold it")
	}
	if fence, err := b.Note(t.Context(), "conf/web", target, shared, Taken{Begun: 4, Epoch: 1}); err != nil || fence != 2 {
		t.Errorf("fence %d, want 2; %v", fence, err)
	}
	if err := b.Leave(t.Context()); err != nil || !holds(t, a) {
		t.Errorf("what was given back is not taken: %v", err)
	}
}

// TestTakeOverBesideOthers: who takes over while somebody else writes to the board does
// it then, and does not wait anew.
func TestTakeOverBesideOthers(t *testing.T) {
	cell, c := &memCell{}, newClock()
	a, b, beside := agentOf(cell, c), agentOf(cell, c), agentOf(cell, c)
	if !holds(t, a) || holds(t, b) {
		t.Fatal("the first who looks holds it")
	}
	if want := c.Now().Add(45 * time.Second); !b.Until().Equal(want) || !a.Until().IsZero() {
		t.Errorf("until %s, want %s", b.Until(), want)
	}
	c.sleep(45 * time.Second)
	cell.first = func() {
		if _, err := beside.Look(t.Context(), map[string]string{"conf/other": ""}); err != nil {
			t.Error(err)
		}
	}
	if !holds(t, b) || cell.first != nil {
		t.Error("it was not taken over")
	}
	if holds(t, b); !b.Until().IsZero() {
		t.Errorf("until %s: nobody owes an answer", b.Until())
	}
}

// TestSameHome: an agent of the very home that held a rule waits for nobody, unless
// something is half done.
func TestSameHome(t *testing.T) {
	for _, begun := range []int64{0, 4} {
		cell, c := &memCell{}, newClock()
		a, b := agentOf(cell, c), agentOf(cell, c)
		holds(t, a)
		if _, err := a.Note(t.Context(), "conf/web", target, shared, Taken{Begun: begun, Epoch: 1}); err != nil {
			t.Fatal(err)
		}
		all, err := b.Look(t.Context(), map[string]string{"conf/web": a.self.ID})
		if err != nil || all["conf/web"].Held != (begun == 0) {
			t.Errorf("begun %d: %+v, %v", begun, all, err)
		}
	}
}

// TestSameHolder: what a process took anew is not what it held before.
func TestSameHolder(t *testing.T) {
	cell, c := &memCell{}, newClock()
	a := agentOf(cell, c)
	holds(t, a)
	again := NewDesk(cell, a.self, c.Now)
	if all, err := again.Look(t.Context(), map[string]string{"conf/web": a.self.ID}); err != nil || all["conf/web"].Fence != 2 {
		t.Fatal(all, err)
	}
	if _, err := a.Note(t.Context(), "conf/web", target, shared, Taken{Epoch: 1}); !errors.Is(err, ErrLost) {
		t.Errorf("%v, want ErrLost", err)
	}
}

// TestQuiet: while nobody else is there an agent that looks writes nothing.
func TestQuiet(t *testing.T) {
	cell, c := &memCell{}, newClock()
	a := agentOf(cell, c)
	for range 100 {
		c.sleep(15 * time.Second)
		if !holds(t, a) {
			t.Fatal("it was lost")
		}
	}
	if cell.swaps != 1 {
		t.Errorf("%d swaps, want the one that took it", cell.swaps)
	}
}

// TestTakenOfTarget: what another program took is not what this one took.
func TestTakenOfTarget(t *testing.T) {
	a := agentOf(&memCell{}, newClock())
	holds(t, a)
	for _, program := range []string{target, NewID()} {
		if _, err := a.Note(t.Context(), "conf/web", program, shared, Taken{Entries: []int64{3}, Epoch: 1}); err != nil {
			t.Fatal(err)
		}
	}
	if got, ok := a.Taken("conf/web", target, shared); ok {
		t.Errorf("%+v", got)
	}
}

// TestNeverTwice runs agents that stop, sleep, lose answers and are put back, and
// hand updates to a program. An update comes to the program again only where
// whoever handed it out was silent from before it until another took over.
func TestNeverTwice(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		cell := &memCell{lose: func() bool { return rapid.IntRange(0, 9).Draw(t, "lost") == 0 }}
		c, ctx := newClock(), context.Background()
		var agents []*worker
		for range 3 {
			agents = append(agents, &worker{desk: agentOf(cell, c)})
		}
		ran, lastFence := map[int64]int{}, int64(0)
		again := 0
		t.Repeat(map[string]func(*rapid.T){
			"time": func(t *rapid.T) { c.sleep(time.Duration(rapid.IntRange(1, 60).Draw(t, "seconds")) * time.Second) },
			"look": func(t *rapid.T) {
				w := agents[rapid.IntRange(0, 2).Draw(t, "agent")]
				all, err := w.desk.Look(ctx, map[string]string{"conf/web": ""})
				if err != nil {
					t.Fatal(err)
				}
				w.begun = 0
				if w.held = all["conf/web"].Held; w.held {
					taken, _ := w.desk.Taken("conf/web", target, shared)
					w.taken, w.unclear = taken.Entries, taken.Begun
				}
			},
			"begin": func(t *rapid.T) {
				w := agents[rapid.IntRange(0, 2).Draw(t, "agent")]
				if !w.held || w.begun > 0 {
					return
				}
				next := int64(len(w.taken) + 1)
				fence, err := w.desk.Note(ctx, "conf/web", target, shared, Taken{Begun: next, Entries: w.taken, Epoch: 1})
				if errors.Is(err, ErrLost) {
					w.held = false
					return
				}
				if err != nil || fence < lastFence {
					t.Fatalf("fence %d after %d: %v", fence, lastFence, err)
				}
				lastFence = fence
				if w.unclear == next {
					again++
				}
				w.unclear, w.begun = 0, next
				ran[next]++
			},
			"end": func(t *rapid.T) {
				w := agents[rapid.IntRange(0, 2).Draw(t, "agent")]
				if w.begun == 0 {
					return
				}
				took := append(w.taken[:len(w.taken):len(w.taken)], w.begun)
				w.begun = 0
				_, err := w.desk.Note(ctx, "conf/web", target, shared, Taken{Entries: took, Epoch: 1})
				if errors.Is(err, ErrLost) {
					w.held = false
				} else if err != nil {
					t.Fatal(err)
				} else {
					w.taken = took
				}
			},
			"dies": func(t *rapid.T) { // or is put back: what comes is somebody else
				agents[rapid.IntRange(0, 2).Draw(t, "agent")] = &worker{desk: agentOf(cell, c)}
			},
			"": func(t *rapid.T) {
				twice := 0
				for n := int64(1); n <= int64(len(ran)); n++ {
					if ran[n] == 0 {
						t.Fatalf("update %d was passed over", n)
					}
					twice += ran[n] - 1
				}
				if twice > again {
					t.Fatalf("%d updates came again, of which %d were known to be half done", twice, again)
				}
			},
		})
	})
}

// worker is an agent of TestNeverTwice.
type worker struct {
	desk           *Desk
	held           bool
	taken          []int64
	begun, unclear int64
}
