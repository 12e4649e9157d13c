package soak

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/tlog"

	"airlock/signing"
)

func idOf(n int) signing.ID { return signing.ID{byte(n >> 8), byte(n), 1} }

func rootOf(size int64) tlog.Hash { return tlog.Hash{byte(size), byte(size >> 8), 2} }

// good is a window of a feed that had 10 entries: statement n is entry n. Name a
// gets versions 10, 11 and 13, name b gets 12, in a batch with 13. The answer to 11
// was lost.
func good() *window {
	ms := time.Millisecond
	st := func(n int, name string, previous int) statement {
		s := statement{ID: idOf(n), Name: name, Version: fmt.Sprint(n)}
		if previous > 0 {
			s.Previous = idOf(previous)
		}
		return s
	}
	w := &window{From: 100 * time.Second, To: 100*time.Second + 100*ms, Base: 10, Heads: map[string]signing.ID{"a": idOf(7)},
		Loose: map[signing.ID]*op{}, Roots: map[int64]tlog.Hash{}}
	at := func(n int) time.Duration { return w.From + time.Duration(n)*ms }
	w.Ops = []*op{
		{Client: 1, Call: at(1), Ret: at(9), Batch: []statement{st(10, "a", 7)}, At: 10},
		{Client: 2, Call: at(2), Ret: at(20), Batch: []statement{st(90, "a", 7)}, Result: notHead, Head: idOf(10)},
		{Client: 3, Call: at(10), Ret: at(30), Batch: []statement{st(11, "a", 10)}, Result: unclear},
		{Client: 1, Call: at(40), Ret: at(50), Batch: []statement{st(12, "b", 0), st(13, "a", 11)}, At: 12},
		{Client: 2, Call: at(60), Ret: at(70), Batch: []statement{{ID: idOf(91), Name: "b", Version: "12", Previous: idOf(12)}}, Result: taken, At: 12},
		{Client: 4, Call: at(5), Ret: at(9), Result: seen, At: 10, Least: 9, Root: rootOf(10)},
		{Client: 4, Call: at(55), Ret: at(56), Result: seen, At: 14, Least: 10, Root: rootOf(14)},
		{Client: 5, Call: at(57), Ret: at(58), Result: seen, At: 11, Least: 11, Root: rootOf(11)}, // late, not too late
	}
	for n := 10; n <= 13; n++ {
		w.Log = append(w.Log, idOf(n))
	}
	for n := int64(9); n <= 14; n++ {
		w.Roots[n] = rootOf(n)
	}
	return w
}

func TestGoodHistory(t *testing.T) {
	w := good()
	if err := w.check(); err != nil {
		t.Error(err)
	}
	if heads := w.heads(); heads["a"] != idOf(13) || heads["b"] != idOf(12) || len(w.loose()) != 0 {
		t.Errorf("heads %v, %d that may come", heads, len(w.loose()))
	}

	w.Ops[2].Batch[0].ID = idOf(80) // given up, and not there
	w.Ops[3].Batch, w.Ops[3].At = w.Ops[3].Batch[:1], 11
	w.Ops[4].At, w.Ops[6].At, w.Ops[6].Root = 11, 12, rootOf(12)
	w.Log = w.Log[:2]
	w.Log[1] = idOf(12)
	if err := w.check(); err != nil {
		t.Error(err)
	}
	loose := w.loose()
	if loose[idOf(80)] == nil {
		t.Fatalf("%v may come", loose)
	}
	// It comes in the next window.
	next := &window{From: w.To, To: w.To + time.Second, Base: 12, Heads: w.heads(), Log: []signing.ID{idOf(80)}, Loose: loose}
	if err := next.check(); err != nil || len(next.loose()) != 0 {
		t.Errorf("%v, %d that may come", err, len(next.loose()))
	}
}

// TestBrokenHistory changes one thing of a good history at a time, and each must
// be seen.
func TestBrokenHistory(t *testing.T) {
	for _, test := range []struct {
		name   string
		change func(w *window)
		want   string
	}{
		{"lost", func(w *window) { w.Log = w.Log[:3]; w.Ops = w.Ops[:6] }, "committed at 12"},
		{"lost, the last of all", func(w *window) { w.Log = w.Log[:2]; w.Ops = w.Ops[:4] }, "committed at 12"},
		{"doubled", func(w *window) { w.Log = append(w.Log, idOf(10)) }, "the log is not what was said of it"},
		{"doubled, and put in the place of another", func(w *window) { w.Log[1] = idOf(10) }, "committed at 10"},
		{"elsewhere", func(w *window) { w.Log[2], w.Log[3] = w.Log[3], w.Log[2] }, "committed at 12"},
		{"half a batch", func(w *window) { w.Log = w.Log[:3]; w.Ops[3].Result = unclear; w.Ops = w.Ops[:4] }, "the log is not what was said of it"},
		{"two at one place", func(w *window) {
			w.Ops = append(w.Ops, &op{Client: 6, Call: w.From, Ret: w.To, Batch: []statement{{ID: idOf(70), Name: "c"}}, At: 10})
		}, "committed at 10"},
		{"from nowhere", func(w *window) { w.Log = append(w.Log, idOf(99)) }, "entry 14"},
		{"refused, and there", func(w *window) { w.Log = append(w.Log, idOf(90)) }, "entry 14"},
		{"against the chain", func(w *window) { w.Ops[0].Batch[0].Previous = idOf(6) }, "committed at 10"},
		{"committed before it was asked", func(w *window) { w.Ops[0].Call, w.Ops[0].Ret = w.Ops[3].Ret+1, w.Ops[3].Ret+2 }, "the log is not what was said of it"},
		{"refused for no reason", func(w *window) { w.Ops[1].Head = w.Ops[1].Batch[0].Previous }, "refused"},
		{"refused for what came later", func(w *window) { w.Ops[1].Head = idOf(13) }, "the newest is " + digits(idOf(13))},
		{"refused for what was long past", func(w *window) { w.Ops[1].Call, w.Ops[1].Ret = w.Ops[4].Call, w.Ops[4].Ret }, "the newest is " + digits(idOf(10))},
		{"taken by nothing", func(w *window) { w.Ops[4].At = 13 }, "entry 13 has the version"},
		{"went back", func(w *window) { w.Ops[6].Least = 15 }, "saw the log go back"},
		{"read ahead", func(w *window) { w.Ops[5].At, w.Ops[5].Root = 12, rootOf(12) }, "at a time at which the log was not so"},
		{"half a batch read", func(w *window) { w.Ops[6].At, w.Ops[6].Root = 13, rootOf(13) }, "half a batch"},
		{"more than there is", func(w *window) { w.Ops[6].At = 15 }, "more than there is"},
		{"too old", func(w *window) {
			w.To += 2 * maxStale
			w.Ops[7].Call, w.Ops[7].Ret = w.To-2, w.To-1
		}, "at a time at which the log was not so"},
		{"of before the window, too old", func(w *window) {
			w.To += 2 * maxStale
			w.Ops[7].At, w.Ops[7].Least, w.Ops[7].Root = 9, 9, rootOf(9)
			w.Ops[7].Call, w.Ops[7].Ret = w.To-2, w.To-1
		}, "at a time at which the log was not so"},
		{"another root", func(w *window) { w.Ops[6].Root = rootOf(13) }, "shown another log"},
	} {
		t.Run(test.name, func(t *testing.T) {
			w := good()
			test.change(w)
			err := w.check()
			if !asBroken(err) || !strings.Contains(err.Error(), test.want) {
				t.Fatalf("got %v, want a broken history that says %q", err, test.want)
			}
			t.Log(err)
		})
	}
}

// TestSmallestPiece breaks one of thousands of operations: the piece is a handful
// and has it.
func TestSmallestPiece(t *testing.T) {
	w := busy(rand.New(rand.NewPCG(1, 1)), 3000)
	if err := w.check(); err != nil {
		t.Fatal(err)
	}
	reads := slices.DeleteFunc(slices.Clone(w.Ops), func(o *op) bool { return o.Result != seen || o.At < 500 })
	bad := reads[len(reads)/2]
	bad.At += 200
	bad.Root = w.Roots[bad.At]
	err := w.check()
	if !asBroken(err) || !strings.Contains(err.Error(), bad.String()) || strings.Count(err.Error(), "\n") > 20 {
		t.Errorf("got %v, want a few lines with %s", err, bad)
	}
}

// busy is a window of n operations by 16 clients at once, all of which a log did.
func busy(random *rand.Rand, n int) *window {
	w := &window{Heads: map[string]signing.ID{}, Roots: map[int64]tlog.Hash{0: rootOf(0)}}
	heads := map[string]signing.ID{}
	var now time.Duration
	for i := range n {
		now += time.Millisecond
		o := &op{Client: i % 16, Call: now - within(random, 15*time.Millisecond), Ret: now + within(random, 15*time.Millisecond)}
		size := int64(len(w.Log))
		name := fmt.Sprint("n", random.IntN(4))
		st := statement{ID: idOf(i), Name: name, Version: fmt.Sprint(i), Previous: heads[name]}
		switch random.IntN(4) {
		case 0:
			o.Result, o.At, o.Root = seen, size, rootOf(size)
		case 1:
			st.Previous = idOf(1 << 15)
			o.Batch, o.Result, o.Head = []statement{st}, notHead, heads[name]
		default:
			o.Batch, o.At = []statement{st}, size
			if random.IntN(20) == 0 {
				o.Result = unclear
			}
			heads[name] = st.ID
			w.Log = append(w.Log, st.ID)
			w.Roots[size+1] = rootOf(size + 1)
		}
		w.Ops = append(w.Ops, o)
	}
	w.To = now + time.Second
	return w
}

// within returns a time below d.
func within(random *rand.Rand, d time.Duration) time.Duration {
	return time.Duration(random.Int64N(int64(d)))
}

func asBroken(err error) bool {
	_, ok := errors.AsType[*brokenError](err)
	return ok
}

// TestBrokenUpdates changes one thing of what a program was handed at a time, and each
// must be seen.
func TestBrokenUpdates(t *testing.T) {
	good := func() ([]update, map[signing.ID]int64, map[signing.ID]bool) {
		indices, given := map[signing.ID]int64{}, map[signing.ID]bool{}
		for n := range 10 {
			indices[idOf(n)], given[idOf(n)] = int64(n), true
		}
		return []update{
			{"f", "a", idOf(2), "x", 1}, {"f", "b", idOf(1), "y", 1},
			{"f", "a", idOf(5), "z", 2}, {"f", "a", idOf(2), "x", 1}, // of one that woke up too late
			{"f", "a", idOf(5), "z", 3}, {"f", "a", idOf(9), "w", 3},
		}, indices, given
	}
	if again, silent, err := checkUpdates(good()); again != 2 || silent != 0 || err != nil {
		t.Errorf("%d came again, %d are without a receipt, and %v", again, silent, err)
	}
	updates, indices, given := good()
	delete(given, idOf(9))
	if _, silent, err := checkUpdates(updates, indices, given); silent != 1 || err != nil {
		t.Errorf("%d are without a receipt, and %v", silent, err)
	}
	for want, change := range map[string]func(updates []update, indices map[signing.ID]int64){
		"went back from entry 5 to 4": func(u []update, _ map[signing.ID]int64) { u[4].statement = idOf(4) },
		"went back from entry 5 to 2": func(u []update, _ map[signing.ID]int64) { u[3].fence = 2 },
		"which is not in feed f":      func(_ []update, indices map[signing.ID]int64) { delete(indices, idOf(1)) },
	} {
		updates, indices, given := good()
		change(updates, indices)
		if _, _, err := checkUpdates(updates, indices, given); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want an error that says %q", err, want)
		}
	}
}
