package log_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"pgregory.net/rapid"

	"airlock/feed"
	"airlock/feed/feedtest"
	"airlock/feed/log"
	"airlock/storage"
	"airlock/trust"
)

// names asks a log whether it speaks of some bytes.
func names(t *testing.T, l *log.Log, b []byte) bool {
	t.Helper()
	ok, err := l.Names(t.Context(), storage.DigestOf(b))
	must(t, err)
	return ok
}

// TestNames asks for everything that a feed speaks of, in full segments and
// before, by processes that wrote it and that did not, with the lists and
// without; and for what only the Space's store has.
func TestNames(t *testing.T) {
	w := feedtest.New(t, storage.NewMem())
	stray := []byte("of another feed of the Space")
	must(t, w.Store.Objects(w.ID.Space.String()).Put(t.Context(), storage.RefOf(stray), bytes.NewReader(stray)))
	other := process(t, log.Config{Store: w.Store, Key: w.Key, Fresh: time.Hour}).Feed(w.ID)
	var all [][]byte
	identities := map[int]bool{} // whose size no entry says
	speak := func(signed ...feedtest.Signed) {
		w.Append(signed...)
		for _, s := range signed {
			all = append(all, s.Objects...)
		}
	}
	speak(w.Author.Publish("file/a@1", feedtest.Text("a.txt", "one"), feedtest.Text("b.txt", "two")))
	w.Space.Next(func(id *trust.Identity) {})
	identities[len(all)] = true
	speak(w.Identity(2)...)
	check := func(l *log.Log, why string) {
		t.Helper()
		for i, b := range all {
			if !names(t, l, b) {
				t.Errorf("%s: object %d of %d is not named", why, i, len(all))
			}
		}
		if names(t, l, stray) || names(t, l, nil) {
			t.Errorf("%s: an object that no entry speaks of", why)
		}
	}
	usage := func(l *log.Log, packages int64) {
		t.Helper()
		got, err := l.Usage(t.Context())
		must(t, err)
		want, seen := int64(0), map[storage.Digest]bool{}
		for _, a := range entries(t, l) {
			want += int64(len(a.Bytes()))
		}
		for i, b := range all {
			if d := storage.DigestOf(b); !seen[d] && !identities[i] {
				seen[d] = true
				want += int64(len(b))
			}
		}
		if got.Packages != packages || got.Bytes != want {
			t.Errorf("%d packages and %d bytes, want %d and %d", got.Packages, got.Bytes, packages, want)
		}
	}
	usage(w.Log, 1)
	check(w.Log, "tail, own")
	check(other, "tail, another process")
	for i := range 300 {
		speak(w.Author.Publish(fmt.Sprintf("file/b@%d", i)))
	}
	check(w.Log, "grown, own")
	check(other, "grown, another process")
	usage(w.Log, 301)
	usage(other, 301)
	must(t, w.Logs.Close())
	check(process(t, log.Config{Store: w.Store, Key: w.Key}).Feed(w.ID), "by the lists")
	key := "log/acme/dev-qa/shared/e1/named/000"
	list, err := w.Store.Files.Get(t.Context(), key)
	must(t, err)
	usage(process(t, log.Config{Store: w.Store, Key: w.Key}).Feed(w.ID), 301)

	// Without the list it is made again, the same; a damaged one counts for nothing.
	for _, have := range [][]byte{nil, append(bytes.Clone(list), 1)} {
		mended := &overlaid{w.Store.Files, map[string][]byte{key: have}}
		store := *w.Store
		store.Files = mended
		check(process(t, log.Config{Store: &store, Key: w.Key}).Feed(w.ID), fmt.Sprintf("with a list of %d bytes", len(have)))
		if have == nil && !bytes.Equal(mended.files[key], list) {
			t.Error("the list was not made again as it was")
		}
	}
}

// overlaid are files of which some are others, or (nil) none.
type overlaid struct {
	storage.Files
	files map[string][]byte
}

func (o *overlaid) Get(ctx context.Context, key string) ([]byte, error) {
	b, ok := o.files[key]
	if !ok {
		return o.Files.Get(ctx, key)
	}
	if b == nil {
		return nil, fs.ErrNotExist
	}
	return b, nil
}

func (o *overlaid) Create(ctx context.Context, key string, b []byte) error {
	if _, ok := o.files[key]; !ok {
		return o.Files.Create(ctx, key, b)
	}
	o.files[key] = b
	return nil
}

// TestNamesLate: what is not there with its entry, as in a mirror of a medium
// that left it out, is named once it comes; and no list is kept before.
func TestNamesLate(t *testing.T) {
	store := storage.NewMem()
	now := feedtest.Now
	logs := process(t, log.Config{Store: store, Key: feedtest.Key(1)})
	l, a := opened(t, store, logs)
	late := a.Publish("file/late@1", feedtest.Text("late.txt", "late"))
	put := func(b []byte) {
		must(t, store.Objects(a.ID.Space.String()).Put(t.Context(), storage.RefOf(b), bytes.NewReader(b)))
	}
	put(late.Bytes())
	subs, err := feedtest.Submit(t.Context(), storage.NewMem(), a.ID, late)
	must(t, err)
	_, err = l.Append(t.Context(), 1, subs)
	must(t, err)
	_, err = l.Append(t.Context(), 1, newCheap(a).notes(t, store, 0, 300))
	must(t, err)
	must(t, logs.Close())
	if _, err := store.Files.Get(t.Context(), "log/acme/dev-qa/shared/e1/named/000"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a list that lacks something was kept: %v", err)
	}
	l = process(t, log.Config{Store: store, Key: feedtest.Key(1), Now: func() time.Time { return now }}).Feed(a.ID)
	if names(t, l, []byte("late")) {
		t.Error("a file is named before its manifest is there")
	}
	if !names(t, l, late.Objects[0]) {
		t.Error("the manifest is not named")
	}
	for _, b := range late.Objects {
		put(b)
	}
	now = now.Add(10 * time.Second)
	if !names(t, l, []byte("late")) {
		t.Error("a file is not named once its manifest came")
	}
}

// TestNamesReadsOnce: what entries speak of is read once for all who ask, also for
// those who asked before anybody had found the feed, and again only as far as it
// has grown.
func TestNamesReadsOnce(t *testing.T) {
	w := feedtest.New(t, storage.NewMem())
	for i := range 300 {
		w.Append(w.Author.Publish(fmt.Sprintf("file/a@%d", i)))
	}
	must(t, w.Logs.Close())
	reads := &counter{}
	logs := process(t, log.Config{Key: w.Key, Store: broken(w.Store, func(_ context.Context, op, key string) (error, error) {
		if op == "get" || op == "read" {
			reads.add("n")
			reads.add(key)
		}
		return nil, nil
	})})
	askers := make([]*log.Log, 20)
	for i := range askers {
		askers[i] = logs.Feed(w.ID)
	}
	var asking sync.WaitGroup
	for _, l := range askers {
		asking.Go(func() {
			if ok, err := l.Names(t.Context(), storage.DigestOf([]byte("stray"))); ok || err != nil {
				t.Errorf("%t, %v", ok, err)
			}
		})
	}
	asking.Wait()
	if n := reads.of("log/acme/dev-qa/shared/e1/named/000"); n != 1 {
		t.Errorf("the list was read %d times", n)
	}
	before := reads.of("n")
	if names(t, logs.Feed(w.ID), []byte("stray")) || reads.of("n") != before {
		t.Errorf("%d reads for what is not named, where nothing is new", reads.of("n")-before)
	}
	next := w.Author.Publish("file/a@300")
	_, err := feedtest.Append(t.Context(), w.Store, process(t, log.Config{Store: w.Store, Key: w.Key}).Feed(w.ID), w.ID, next)
	must(t, err)
	before = reads.of("n")
	if !names(t, logs.Feed(w.ID), next.Objects[0]) {
		t.Error("what is new is not named")
	}
	// The statement and its manifest: of the forty before it nothing.
	if n := reads.of("n") - before; n > 4 {
		t.Errorf("%d reads for one entry that is new", n)
	}
}

// TestAppendReadsOnce: what another process appended is read as far as it is new,
// before one's own comes after it.
func TestAppendReadsOnce(t *testing.T) {
	w := feedtest.New(t, storage.NewMem())
	for i := range 40 {
		w.Append(w.Author.Publish(fmt.Sprintf("file/a@%d", i)))
	}
	reads := &counter{}
	other := process(t, log.Config{Key: w.Key, Store: broken(w.Store, func(_ context.Context, op, _ string) (error, error) {
		if op == "get" {
			reads.add("n")
		}
		return nil, nil
	})}).Feed(w.ID)
	var before int
	for i := 40; i < 44; i += 2 {
		w.Append(w.Author.Publish(fmt.Sprintf("file/a@%d", i)))
		before = reads.of("n")
		_, err := feedtest.Append(t.Context(), w.Store, other, w.ID, w.Author.Publish(fmt.Sprintf("file/a@%d", i+1)))
		must(t, err)
	}
	if n := reads.of("n") - before; n > 4 {
		t.Errorf("%d reads for one entry that is new", n)
	}
}

// TestNamedExample: the bytes of docs/formats.md, and what is none.
func TestNamedExample(t *testing.T) {
	objects := []storage.Ref{storage.RefOf([]byte("b")), storage.RefOf([]byte("a"))}
	want, err := os.ReadFile("testdata/named.bin")
	must(t, err)
	if got := log.FormatNamed(log.Spoken(7, 5000, objects)); !bytes.Equal(got, want) {
		t.Errorf("%x", got)
	}
	got, err := log.ParseNamed(want)
	if err != nil || !bytes.Equal(log.FormatNamed(got), want) {
		t.Errorf("%v, %v", got, err)
	}
	twice := append(bytes.Clone(want), want[len(want)-40:]...)
	many, large := bytes.Clone(want), bytes.Clone(want)
	many[18], large[len(large)-8] = 2, 0xff
	long := bytes.Clone(want)
	long[20] = 1
	for _, bad := range [][]byte{nil, []byte("airlock-named 2\n" + strings.Repeat("\x00", 12)), want[:len(want)-1], want[:27], twice, many, large, long} {
		if _, err := log.ParseNamed(bad); err == nil {
			t.Errorf("%x was read", bad)
		}
	}
}

// TestNamedReads: what is written reads as the same.
func TestNamedReads(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		digests := rapid.SliceOfDistinct(rapid.Custom(func(t *rapid.T) storage.Ref {
			return storage.RefOf([]byte(rapid.String().Draw(t, "content")))
		}), rapid.ID).Draw(t, "digests")
		raw := log.FormatNamed(log.Spoken(rapid.Int64Range(0, 256).Draw(t, "publications"), 77, digests))
		if got, err := log.ParseNamed(raw); err != nil || !bytes.Equal(log.FormatNamed(got), raw) {
			t.Fatalf("%v, %v", got, err)
		}
	})
}

// FuzzNamed: what parses is written again as it came.
func FuzzNamed(f *testing.F) {
	f.Add(log.FormatNamed(log.Spoken(0, 0, nil)))
	f.Add(log.FormatNamed(log.Spoken(3, 10, []storage.Ref{storage.RefOf([]byte("b")), storage.RefOf([]byte("a"))})))
	f.Fuzz(func(t *testing.T, b []byte) {
		if got, err := log.ParseNamed(b); err == nil && !bytes.Equal(log.FormatNamed(got), b) {
			t.Errorf("%x is written as %x", b, log.FormatNamed(got))
		}
	})
}

// TestNamesStoreFails: while the store does not answer nothing is said.
func TestNamesStoreFails(t *testing.T) {
	w := feedtest.New(t, storage.NewMem())
	s := w.Author.Publish("file/a@1", feedtest.Text("a.txt", "one"))
	w.Append(s)
	gone := errors.New("the store is gone")
	var failing atomic.Bool
	failing.Store(true)
	store := broken(w.Store, func(_ context.Context, op, key string) (before, after error) {
		if failing.Load() && op == "get" && key == storage.DigestOf(s.Objects[0]).Hex() {
			return gone, nil
		}
		return nil, nil
	})
	l := process(t, log.Config{Store: store, Key: w.Key}).Feed(w.ID)
	if _, err := l.Names(t.Context(), storage.DigestOf(s.Objects[1])); !errors.Is(err, gone) {
		t.Errorf("got %v", err)
	}
	failing.Store(false)
	if !names(t, l, s.Objects[1]) {
		t.Error("not named once the store answers")
	}
	if _, err := process(t, log.Config{Store: store}).Feed(feed.ID{Space: w.ID.Space, Name: "none"}).Names(t.Context(), storage.Digest{}); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("of no feed: %v", err)
	}
}
