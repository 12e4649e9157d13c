package log_test

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"sync"
	"testing"

	"airlock/feed/feedtest"
	"airlock/feed/log"
	"airlock/storage"
)

// TestStage: what callers stage at once is read back as it was, before its segment
// is written and after, by another process too, and takes fewer objects than
// statements.
func TestStage(t *testing.T) {
	store := storage.NewMem()
	puts := &counter{}
	c := log.Config{Key: feedtest.Key(1), Store: broken(store, func(_ context.Context, op, _ string) (error, error) {
		if op == "put" {
			puts.add("n")
		}
		return nil, nil
	})}
	l, a := opened(t, store, process(t, c))
	subs := newCheap(a).notes(t, storage.NewMem(), 0, 300) // nobody stores them but Stage
	var callers sync.WaitGroup
	for from := 0; from < len(subs); from += 10 {
		callers.Go(func() {
			some := subs[from : from+10]
			err := l.Stage(t.Context(), some)
			if err == nil {
				_, err = l.Append(t.Context(), 1, some)
			}
			if err != nil {
				t.Error(err)
			}
		})
	}
	callers.Wait()
	if n := puts.of("n"); n > 30 {
		t.Errorf("%d objects for 30 callers", n)
	}
	want := map[string]bool{}
	for _, s := range subs {
		want[string(s.Attestation.Bytes())] = true
	}
	for _, reader := range []*log.Log{l, process(t, log.Config{Store: store, Key: feedtest.Key(1)}).Feed(a.ID)} {
		found := 0
		for _, got := range entries(t, reader) {
			if want[string(got.Bytes())] {
				found++
			}
		}
		if found != len(want) {
			t.Errorf("%d of %d statements read back", found, len(want))
		}
	}
}

// TestStageSignedTwice: of two attestations of one statement that lie together the one
// is read back that became the entry.
func TestStageSignedTwice(t *testing.T) {
	store := storage.NewMem()
	l, a := opened(t, store, process(t, log.Config{Store: store, Key: feedtest.Key(1)}))
	both := append(newCheap(a).notes(t, storage.NewMem(), 0, 1), newCheap(a).notes(t, storage.NewMem(), 0, 1)...)
	if both[0].Entry.ID != both[1].Entry.ID || bytes.Equal(both[0].Attestation.Bytes(), both[1].Attestation.Bytes()) {
		t.Fatal("they are not one statement with two signatures")
	}
	must(t, l.Stage(t.Context(), both))
	for _, entry := range both {
		_, err := l.Append(t.Context(), 1, []log.Submission{entry})
		must(t, err)
		got := entries(t, l)
		if !bytes.Equal(got[len(got)-1].Bytes(), both[0].Attestation.Bytes()) {
			t.Error("the other one was read back")
		}
	}
}

// TestStageLost: an object without the statement that the cell says it holds is
// damage, and no missing feed.
func TestStageLost(t *testing.T) {
	store := storage.NewMem()
	l, a := opened(t, store, process(t, log.Config{Store: store, Key: feedtest.Key(1)}))
	subs := newCheap(a).notes(t, storage.NewMem(), 0, 3)
	must(t, l.Stage(t.Context(), subs[:2]))
	other := newCheap(a).notes(t, storage.NewMem(), 7, 1)
	lost := log.WithStoredOf(other[0], subs[0])
	accepted, err := l.Append(t.Context(), 1, append(subs[:2:2], lost))
	must(t, err)
	if _, err := l.Segment(t.Context(), 0, 0, int(accepted.Checkpoint.Size)); !errors.Is(err, log.ErrDamaged) || !strings.Contains(err.Error(), "does not hold statement") {
		t.Errorf("got %v", err)
	}
}
