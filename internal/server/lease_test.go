package server

import (
	"errors"
	"testing"
	"time"

	"pgregory.net/rapid"

	"airlock/storage"
	"airlock/storage/storetest"
)

// Whatever processes come, stop for a while and go on, and whatever answers of the
// store are lost: never do two of them hold a lease at one time, and each that
// takes it has a term of its own, later than all before.
func TestLease(t *testing.T) {
	const every = time.Second
	rapid.Check(t, func(rt *rapid.T) {
		now := time.Now()
		fault := storetest.Fault{}
		store := storetest.WithFaults(storage.NewMem(), func(c storetest.Call) storetest.Fault {
			if c.Op != "Swap" {
				return storetest.Fault{}
			}
			return fault
		})
		start := func(id string) *lease {
			l := newLease(store.Cells, "push/lease", id, every)
			l.now = func() time.Time { return now }
			return l
		}
		all := []*lease{start("a"), start("b"), start("")}
		last := int64(0)
		holder := map[int64]*lease{} // by term
		for range rapid.IntRange(1, 60).Draw(rt, "steps") {
			now = now.Add(time.Duration(rapid.IntRange(0, 2500).Draw(rt, "ms")) * time.Millisecond)
			fault = rapid.SampledFrom([]storetest.Fault{{}, {}, {}, {Before: storetest.ErrServer}, {After: storetest.ErrServer}}).Draw(rt, "fault")
			who := rapid.IntRange(0, len(all)-1).Draw(rt, "who")
			switch rapid.IntRange(0, 9).Draw(rt, "what") {
			case 0:
				_ = all[who].release(t.Context())
			case 1:
				all[who] = start(all[who].id) // killed, and begun again
			default:
				_ = all[who].beat(t.Context())
			}
			var holds *lease
			for _, l := range all {
				term := l.term()
				if term == 0 {
					continue
				}
				if holds != nil {
					rt.Fatalf("two hold it, for terms %d and %d", holds.term(), term)
				}
				if holds = l; holder[term] != nil && holder[term] != l {
					rt.Fatalf("term %d has two holders", term)
				}
				if holder[term] = l; term < last {
					rt.Fatalf("term %d after %d", term, last)
				}
				last = term
			}
		}
	})
}

// A holder that says nothing any more loses the lease to another one in time, and
// one that gives it back at once.
func TestLeaseTaken(t *testing.T) {
	now := time.Now()
	store := storage.NewMem()
	a, b := newLease(store.Cells, "push/lease", "", time.Second), newLease(store.Cells, "push/lease", "", time.Second)
	a.now = func() time.Time { return now }
	b.now = a.now
	beat := func(l *lease) int64 {
		if err := l.beat(t.Context()); err != nil {
			t.Fatal(err)
		}
		return l.term()
	}
	for range 10 {
		if beat(a) != 1 || beat(b) != 0 {
			t.Fatal("the first does not keep it")
		}
		now = now.Add(time.Second)
	}
	for range 4 {
		if beat(b) != 0 {
			t.Fatal("it was taken from a holder who may be there yet")
		}
		now = now.Add(time.Second)
	}
	if a.term() != 0 {
		t.Error("a holder who said nothing believes that it holds it")
	}
	if beat(b) != 2 || beat(a) != 0 {
		t.Error("it was not taken")
	}
	if err := b.release(t.Context()); err != nil || beat(a) != 3 {
		t.Errorf("it was not given back: %v", err)
	}
	if _, _, err := store.Cells.Load(t.Context(), "push/lease"); err != nil {
		t.Error(err)
	}
	if _, err := store.Cells.Swap(t.Context(), "push/lease", a.tag, []byte("x")); err != nil {
		t.Fatal(err)
	}
	if err := b.beat(t.Context()); err == nil || errors.Is(err, storage.ErrConflict) {
		t.Errorf("what is no lease: %v", err)
	}
}
