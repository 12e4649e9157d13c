package log_test

import (
	"context"
	"errors"
	"io/fs"
	"slices"
	"testing"

	"airlock/feed"
	"airlock/feed/feedtest"
	"airlock/feed/log"
	"airlock/signing"
	"airlock/storage"
)

// TestAppend publishes and withdraws, and checks that each answer proves what
// it says and that the log holds it.
func TestAppend(t *testing.T) {
	w := feedtest.New(t, storage.NewMem())
	var sent []signing.Attestation
	for _, s := range w.Opening() {
		sent = append(sent, s.Attestation)
	}
	for _, ref := range []string{"file/a@1", "file/a@2", "file/b@1"} {
		s := w.Author.Publish(ref)
		sent = append(sent, s.Attestation)
		wantProof(t, w, w.Append(s), s)
	}
	s := w.Author.Withdraw("file/a@1")
	sent = append(sent, s.Attestation)
	wantProof(t, w, w.Append(s), s)

	both := []feedtest.Signed{w.Author.Publish("file/c@1"), w.Author.Publish("file/c@2")}
	sent = append(sent, both[0].Attestation, both[1].Attestation)
	wantProof(t, w, w.Append(both...), both...)

	got := entries(t, w.Log)
	if len(got) != len(sent) {
		t.Fatalf("the log has %d entries, %d were sent", len(got), len(sent))
	}
	for i := range sent {
		if got[i].ID() != sent[i].ID() {
			t.Errorf("entry %d is %s, want %s", i, got[i].ID(), sent[i].ID())
		}
	}
}

func wantProof(t *testing.T, w *feedtest.World, got feed.Accepted, sent ...feedtest.Signed) {
	t.Helper()
	var statements []signing.Attestation
	for _, s := range sent {
		statements = append(statements, s.Attestation)
	}
	if err := got.Verify(w.ID, w.Key.Public(), statements); err != nil {
		t.Errorf("answer: %v", err)
	}
}

// TestAppendRules tries what the log must refuse, each on a feed that holds
// file/a@1, file/a@2 and the withdrawn file/b@1. A refused batch leaves nothing.
func TestAppendRules(t *testing.T) {
	w := feedtest.New(t, storage.NewMem())
	first := w.Author.Publish("file/a@1")
	w.Append(first)
	w.Publish("file/a@2")
	w.Publish("file/b@1")
	w.Withdraw("file/b@1")
	w.Publish("file/c@1.0-rc")
	by := w.Space.Publisher
	other := []feedtest.File{feedtest.Text("content", "something else")}
	publish := func(ref string, change func(*feed.Publication)) []feedtest.Signed {
		return []feedtest.Signed{w.Draft(by, ref, other, change)}
	}
	unknown := signing.ID(storage.DigestOf([]byte("nobody")))
	var version *feed.VersionError
	var chain *feed.ChainError
	var again *log.OpenedError
	second := feedtest.AuthorOf(t, w.Space, "shared")
	second.Key = feedtest.Key(9)

	for _, c := range []struct {
		name  string
		batch []feedtest.Signed
		want  any
	}{
		{"other content for a version", publish("file/a@2", nil), &version},
		{"other content for a version in other case", publish("file/c@1.0-RC", nil), &version},
		{"the same content once more", []feedtest.Signed{w.Draft(by, "file/a@2", nil, nil)}, &version},
		{"a version that was withdrawn", publish("file/b@1", nil), &version},
		{"no previous where there is one", publish("file/a@3", func(p *feed.Publication) { p.Previous = nil }), &chain},
		{"previous skips one", publish("file/a@3", func(p *feed.Publication) { id := first.ID(); p.Previous = &id }), &chain},
		{"previous that nobody knows", publish("file/a@3", func(p *feed.Publication) { p.Previous = &unknown }), &chain},
		{"previous where there is none", publish("file/new@1", func(p *feed.Publication) { p.Previous = &unknown }), &chain},
		{"withdrawal of nothing", []feedtest.Signed{w.DraftWithdrawal(by, "file/new@7", func(x *feed.Withdrawal) { x.Previous = &unknown })}, &version},
		{"second withdrawal", []feedtest.Signed{w.DraftWithdrawal(by, "file/b@1", func(x *feed.Withdrawal) { x.Reason = "again" })}, &version},
		{"second opening", second.Opening()[:1], &again},
		{"a good one before a bad one", append([]feedtest.Signed{w.Draft(by, "file/good@1", nil, nil)}, publish("file/b@1", nil)...), &version},
	} {
		t.Run(c.name, func(t *testing.T) {
			before := len(entries(t, w.Log))
			_, err := feedtest.Append(t.Context(), w.Store, w.Log, w.ID, c.batch...)
			if !errors.As(err, c.want) {
				t.Errorf("got %v, want a %T", err, c.want)
			}
			if after := len(entries(t, w.Log)); after != before {
				t.Errorf("%d entries became %d", before, after)
			}
		})
	}
	if chain == nil || chain.Head != nil {
		t.Errorf("a chain error about a new name has head %v", chain)
	}
}

// TestAppendNamesTheHead checks that a refused publisher learns what to build on.
func TestAppendNamesTheHead(t *testing.T) {
	w := feedtest.New(t, storage.NewMem())
	head := w.Author.Publish("file/a@1")
	w.Append(head)
	late := w.Draft(w.Space.Publisher, "file/a@2", nil, func(p *feed.Publication) { p.Previous = nil })
	_, err := feedtest.Append(t.Context(), w.Store, w.Log, w.ID, late)
	var chain *feed.ChainError
	if !errors.As(err, &chain) || chain.Head == nil || *chain.Head != head.ID() || chain.HeadIndex != 2 {
		t.Errorf("got %v, want the head %s at 2", err, head.ID())
	}
}

// TestAppendAgain repeats submissions: they keep their index, and nothing is added.
func TestAppendAgain(t *testing.T) {
	w := feedtest.New(t, storage.NewMem())
	a, b := w.Author.Publish("file/a@1"), w.Author.Publish("file/b@1")
	w.Append(a)
	for _, c := range []struct {
		batch   []feedtest.Signed
		indices []int64
		added   int
	}{
		{[]feedtest.Signed{a}, []int64{2}, 0},
		{[]feedtest.Signed{a, b}, []int64{2, 3}, 1},
		{[]feedtest.Signed{b, a, b}, []int64{3, 2, 3}, 0},
		{w.Opening(), []int64{0, 1}, 0},
	} {
		got := w.Append(c.batch...)
		if !slices.Equal(got.Indices, c.indices) || got.Added != c.added || got.Checkpoint.Size < 3 {
			t.Errorf("got indices %v, %d added, checkpoint of %d; want %v, %d", got.Indices, got.Added, got.Checkpoint.Size, c.indices, c.added)
		}
	}
	if n := len(entries(t, w.Log)); n != 4 {
		t.Errorf("%d entries, want 4", n)
	}
}

func TestAppendBounds(t *testing.T) {
	store := storage.NewMem()
	logs := process(t, log.Config{Store: store, Key: feedtest.Key(1)})
	l, a := opened(t, store, logs)
	c := newCheap(a)
	subs := c.notes(t, store, 0, log.MaxBatch+1)
	for _, n := range []int{0, log.MaxBatch + 1} {
		if _, err := l.Append(t.Context(), 1, subs[:n]); err == nil {
			t.Errorf("a batch of %d was taken", n)
		}
	}
	got, err := l.Append(t.Context(), 1, subs[:log.MaxBatch])
	if err != nil || got.Added != log.MaxBatch {
		t.Errorf("largest batch: %d added, %v", got.Added, err)
	}
	if _, err := l.Append(t.Context(), 2, subs[log.MaxBatch:]); !errors.As(err, new(*log.EpochError)) {
		t.Errorf("another epoch: got %v, want an *EpochError", err)
	}
	if _, err := logs.Feed(feed.ID{Space: a.ID.Space, Name: "other"}).Append(t.Context(), 1, subs[:1]); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a feed that was not opened: got %v, want fs.ErrNotExist", err)
	}
}

// TestGroupEpochs queues openings for two epochs behind one commit, so that
// they are one group: only the first may open the feed.
func TestGroupEpochs(t *testing.T) {
	store, gate := storage.NewMem(), newGate()
	logs := process(t, log.Config{Store: broken(store, gate.fault), Key: feedtest.Key(1)})
	a := feedtest.NewAuthor(t, "acme/dev-qa/shared")
	l := logs.Feed(a.ID)
	subs, err := feedtest.Submit(t.Context(), store, a.ID, a.Opening()...)
	must(t, err)
	c := newCheap(a).notes(t, store, 0, 1)

	gate.close("load")
	first := appendAsync(t.Context(), l, 1, c) // refused, but holds the committer
	gate.waitUntilHeld()
	second := appendAsync(t.Context(), l, 1, subs)
	waitQueued(t, l, 1)
	third := appendAsync(t.Context(), l, 2, c)
	waitQueued(t, l, 2)
	gate.open()
	if err := <-first; !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("first: %v", err)
	}
	if err := <-second; err != nil {
		t.Errorf("opening: %v", err)
	}
	if err := <-third; !errors.As(err, new(*log.EpochError)) {
		t.Errorf("another epoch in the same group: got %v, want an *EpochError", err)
	}
	if h, err := l.Head(t.Context(), 0); err != nil || h.Epoch != 1 || h.Checkpoint.Size != 2 {
		t.Errorf("head %+v, %v", h, err)
	}
}

// TestGroup queues requests behind a slow commit: they are committed by one
// swap, the bad one among them is refused alone, and every answer has its proof.
func TestGroup(t *testing.T) {
	store, gate, swaps := storage.NewMem(), newGate(), &counter{}
	logs := process(t, log.Config{Key: feedtest.Key(1), Store: broken(store, func(ctx context.Context, op, key string) (error, error) {
		if op == "swap" {
			swaps.add(key)
		}
		return gate.fault(ctx, op, key)
	})})
	l, a := opened(t, store, logs)
	var batches [][]log.Submission
	var statements [][]signing.Attestation
	for _, ref := range []string{"file/a@1", "file/b@1", "file/c@1", "file/d@1"} {
		s := a.Publish(ref)
		if ref == "file/c@1" {
			unknown := s.ID()
			s = a.Draft(a.Space.Publisher, ref, nil, func(p *feed.Publication) { p.Previous = &unknown })
		}
		subs, err := feedtest.Submit(t.Context(), store, a.ID, s)
		must(t, err)
		batches, statements = append(batches, subs), append(statements, []signing.Attestation{s.Attestation})
	}
	gate.close("swap")
	var answers []<-chan error
	accepted := make([]feed.Accepted, len(batches))
	for i, subs := range batches {
		done := make(chan error, 1)
		go func() {
			var err error
			accepted[i], err = l.Append(t.Context(), 1, subs)
			done <- err
		}()
		if i == 0 {
			gate.waitUntilHeld()
		} else {
			waitQueued(t, l, i)
		}
		answers = append(answers, done)
	}
	before := swaps.of("log/acme/dev-qa/shared")
	gate.open()
	for i, done := range answers {
		err := <-done
		if bad := i == 2; bad != errors.As(err, new(*feed.ChainError)) {
			t.Errorf("request %d: %v", i, err)
		} else if !bad {
			if err := accepted[i].Verify(a.ID, a.Key.Public(), statements[i]); err != nil {
				t.Errorf("answer %d: %v", i, err)
			}
		}
	}
	if n := swaps.of("log/acme/dev-qa/shared") - before; n != 1 {
		t.Errorf("%d swaps for what was queued, want 1", n)
	}
}

// TestAppendCanceled gives up on requests: in the queue nothing is committed
// for them, and the others are not held up.
func TestAppendCanceled(t *testing.T) {
	store, gate := storage.NewMem(), newGate()
	logs := process(t, log.Config{Key: feedtest.Key(1), Store: broken(store, gate.fault)})
	l, a := opened(t, store, logs)
	subs := newCheap(a).notes(t, store, 0, 3)
	gate.close("swap")
	first := appendAsync(t.Context(), l, 1, subs[:1])
	gate.waitUntilHeld()
	ctx, cancel := context.WithCancel(t.Context())
	second := appendAsync(ctx, l, 1, subs[1:2])
	waitQueued(t, l, 1)
	third := appendAsync(t.Context(), l, 1, subs[2:])
	waitQueued(t, l, 2)
	cancel()
	if err := <-second; !errors.Is(err, context.Canceled) {
		t.Errorf("canceled: got %v", err)
	}
	gate.open()
	if err := errors.Join(<-first, <-third); err != nil {
		t.Error(err)
	}
	got := entries(t, l)
	if len(got) != 4 || got[3].ID() != subs[2].Entry.ID {
		t.Errorf("%d entries, the canceled one among them", len(got))
	}
}
