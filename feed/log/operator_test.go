package log_test

import (
	"context"
	"errors"
	"os"
	"strings"
	"sync"
	"testing"

	"airlock/feed"
	"airlock/feed/feedtest"
	"airlock/feed/log"
	"airlock/storage"
)

// TestClaim: who writes first to a store is its operator, of those who come at once
// too, and nobody else begins a feed there.
func TestClaim(t *testing.T) {
	store := storage.NewMem()
	var all []*log.Logs
	errs := make([]error, 8)
	var looked sync.WaitGroup // all have, before one writes
	looked.Add(len(errs))
	atOnce := broken(store, func(_ context.Context, op, key string) (error, error) {
		if op == "create" && key == "operator" {
			looked.Done()
			looked.Wait()
		}
		return nil, nil
	})
	for i := range errs {
		all = append(all, process(t, log.Config{Store: atOnce, Key: feedtest.Key(byte(i + 1))}))
	}
	var together sync.WaitGroup
	for i, l := range all {
		together.Go(func() { errs[i] = l.Claim(t.Context()) })
	}
	together.Wait()
	var first []int
	for i, err := range errs {
		if err == nil {
			first = append(first, i)
		} else if !errors.Is(err, log.ErrForeignKey) {
			t.Errorf("%d: %v", i, err)
		}
	}
	if len(first) != 1 {
		t.Fatalf("operators: %v", first)
	}
	for i, l := range all {
		a := feedtest.NewAuthor(t, "acme/dev-qa/shared")
		a.Key = feedtest.Key(byte(i + 1))
		want := errs[i]
		if _, err := feedtest.Append(t.Context(), store, l.Feed(a.ID), a.ID, a.Opening()...); (err == nil) != (want == nil) || err != nil && !errors.Is(err, log.ErrForeignKey) {
			t.Errorf("%d begins a feed: %v", i, err)
		}
	}
	must(t, process(t, log.Config{Store: store, Key: feedtest.Key(byte(first[0] + 1))}).Claim(t.Context()))
}

// TestBeginClaims: where nobody said so before, who begins a feed is the operator.
func TestBeginClaims(t *testing.T) {
	store := storage.NewMem()
	opened(t, store, process(t, log.Config{Store: store, Key: feedtest.Key(1)}))
	b := feedtest.NewAuthor(t, "acme/other/shared")
	b.Key = feedtest.Key(2)
	l := process(t, log.Config{Store: store, Key: b.Key}).Feed(b.ID)
	if _, err := feedtest.Append(t.Context(), store, l, b.ID, b.Opening()...); !errors.Is(err, log.ErrForeignKey) {
		t.Errorf("another one begins a feed: %v", err)
	}
	want, err := os.ReadFile("testdata/operator.txt")
	must(t, err)
	if got, err := store.Files.Get(t.Context(), "operator"); err != nil || string(got) != string(want) {
		t.Errorf("%q, want %q; %v", got, want, err)
	}
}

// without is a store in which nobody said whose it is.
func without(store *storage.Store) *storage.Store {
	out, mem := *store, storage.NewMem()
	out.Files = mem.Files
	return &out
}

// TestOperatorByFeeds: without a record the feeds tell whose a store is, but for those
// that it mirrors.
func TestOperatorByFeeds(t *testing.T) {
	ctx := t.Context()
	written := storage.NewMem()
	logs := log.New(log.Config{Store: written, Key: feedtest.Key(1)})
	_, a := opened(t, written, logs)
	must(t, logs.Close())
	mirrored := storage.NewMem()
	tape, _ := tapeOf(t, 3)
	_, _, err := process(t, log.Config{Store: mirrored}).Feed(tape.ID).Mirror(ctx, tape, headOf(t, tape), 1)
	must(t, err)
	for _, c := range []struct {
		name   string
		store  *storage.Store
		key    feed.LogKey
		denied bool
	}{
		{"its own", written, feedtest.Key(1), false},
		{"another's", written, feedtest.Key(2), true},
		{"another's, without a key", written, feed.LogKey{}, true},
		{"mirrored", mirrored, feedtest.Key(2), false},
		{"mirrored, without a key", mirrored, feed.LogKey{}, false},
		{"empty", storage.NewMem(), feed.LogKey{}, false},
	} {
		store := without(c.store)
		for id, err := range c.store.Files.List(ctx, "feeds/", "") {
			must(t, err)
			must(t, store.Files.Create(ctx, id, nil))
		}
		err := process(t, log.Config{Store: store, Key: c.key}).CheckOperator(ctx)
		if e, ok := errors.AsType[*log.OperatorError](err); ok != c.denied || ok && (e.Feed != a.ID || !strings.Contains(e.Error(), "its feed "+a.ID.String()+" is signed with another log key")) || !ok && err != nil {
			t.Errorf("%s: %v", c.name, err)
		}
	}
}

// TestOperatorError says whose key is which.
func TestOperatorError(t *testing.T) {
	e := &log.OperatorError{Store: "s", Key: storage.DigestOf([]byte("theirs"))}
	for _, mine := range []storage.Digest{{}, storage.DigestOf([]byte("mine"))} {
		e.Mine = mine
		if text := e.Error(); !strings.Contains(text, e.Key.String()) || (mine != storage.Digest{}) != strings.Contains(text, mine.String()) {
			t.Error(text)
		}
	}
}
