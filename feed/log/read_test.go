package log_test

import (
	"errors"
	"fmt"
	"io/fs"
	"math"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"

	"airlock/feed"
	"airlock/feed/feedtest"
	"airlock/feed/log"
	"airlock/storage"
	"airlock/storage/storetest"
)

// TestReadPast asks for parts that are not there, with numbers chosen to
// overflow.
func TestReadPast(t *testing.T) {
	store := storage.NewMem()
	l, _ := opened(t, store, process(t, log.Config{Store: store, Key: feedtest.Key(1)}))
	ctx := t.Context()
	for _, n := range []int64{-1, 0, 1, 1 << 46, 1 << 54, 1<<54 + 1, 1 << 55, 1 << 56, math.MaxInt64, math.MinInt64} {
		for _, width := range []int{-1, 0, 3, 256, 257, math.MaxInt} {
			for what, read := range map[string]func() ([]byte, error){
				"segment": func() ([]byte, error) { return l.Segment(ctx, n, 0, width) },
				"pack":    func() ([]byte, error) { return l.Pack(ctx, n, 0, width) },
				"entries": func() ([]byte, error) { return l.Entries(ctx, n, width) },
			} {
				if b, err := read(); !errors.Is(err, log.ErrNotYet) {
					t.Errorf("%s %d, width %d: %d bytes, %v", what, n, width, len(b), err)
				}
			}
			for _, level := range []int{-1, 0, 1, 2, 6, 7, math.MaxInt} {
				if b, err := l.Tile(ctx, level, n, width); !errors.Is(err, log.ErrNotYet) {
					t.Errorf("tile %d/%d, width %d: %d bytes, %v", level, n, width, len(b), err)
				}
			}
		}
	}
	if _, err := l.Segment(ctx, 0, 0, 2); err != nil {
		t.Error(err)
	}
	for _, from := range []int{math.MinInt, -1, 2, 3, math.MaxInt} {
		if b, err := l.Segment(ctx, 0, from, 2); !errors.Is(err, log.ErrNotYet) {
			t.Errorf("segment from %d: %d bytes, %v", from, len(b), err)
		}
	}
	none := process(t, log.Config{Store: store, Key: feedtest.Key(1)}).Feed(feed.ID{Name: "none"})
	if _, err := none.Head(ctx, 0); err == nil {
		t.Error("a feed without a name has a head")
	}
}

func TestNoFeed(t *testing.T) {
	store := storage.NewMem()
	_, a := opened(t, store, process(t, log.Config{Store: store, Key: feedtest.Key(1)}))
	logs := process(t, log.Config{Store: store})
	if _, err := logs.Feed(feed.ID{Space: a.ID.Space, Name: "none"}).Head(t.Context(), 0); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("got %v, want fs.ErrNotExist", err)
	}
}

// TestEntries checks the bundles that other readers of logs take (C2SP
// tlog-tiles): each entry after its length as two bytes.
func TestEntries(t *testing.T) {
	store := storage.NewMem()
	l, a := opened(t, store, process(t, log.Config{Store: store, Key: feedtest.Key(1)}))
	_, err := l.Append(t.Context(), 1, newCheap(a).notes(t, store, 0, 300))
	must(t, err)
	all := entries(t, l)
	for _, c := range []struct{ n, width int }{{0, 1}, {0, 256}, {1, 46}} {
		b, err := l.Entries(t.Context(), int64(c.n), c.width)
		must(t, err)
		for i := range c.width {
			want := feed.LogEntry(all[c.n*256+i])
			size := int(b[0])<<8 | int(b[1])
			if string(b[2:2+size]) != string(want) {
				t.Fatalf("entry %d of bundle %d is %q, want %q", i, c.n, b[2:2+size], want)
			}
			b = b[2+size:]
		}
		if len(b) > 0 {
			t.Errorf("bundle %d: %d bytes are left", c.n, len(b))
		}
	}
}

// TestReadOnlyNews reads what is new in a segment, which costs as much as is new.
func TestReadOnlyNews(t *testing.T) {
	store := storage.NewMem()
	var gets atomic.Int64
	counted := storetest.WithFaults(store, func(c storetest.Call) storetest.Fault {
		if c.Port == "objects" && c.Op == "Get" {
			gets.Add(1)
		}
		return storetest.Fault{}
	})
	l, a := opened(t, counted, process(t, log.Config{Store: counted, Key: feedtest.Key(1)}))
	notes := newCheap(a).notes(t, store, 0, 100)
	for _, one := range notes {
		_, err := l.Append(t.Context(), 1, []log.Submission{one})
		must(t, err)
	}
	all, err := l.Segment(t.Context(), 0, 0, 101)
	must(t, err)
	whole, err := feed.ParseSegment(all, 0, 101)
	must(t, err)
	gets.Store(0)
	b, err := l.Segment(t.Context(), 0, 99, 101)
	must(t, err)
	news, err := feed.ParseSegment(b, 99, 2)
	must(t, err)
	if diff := cmp.Diff(whole.Statements[99:], news.Statements); diff != "" {
		t.Errorf("the last two of the segment (-whole +news):\n%s", diff)
	}
	if _, err := l.Pack(t.Context(), 0, 99, 101); err != nil {
		t.Error(err)
	}
	if n := gets.Load(); n > 6 {
		t.Errorf("%d objects were read for two entries", n)
	}
}

// TestPack reads the small objects of a segment, when it is full and before,
// and finds the large ones left out.
func TestPack(t *testing.T) {
	w := feedtest.New(t, storage.NewMem())
	large := make([]byte, feed.MaxPacked+1)
	small := feedtest.Text("small.txt", "hello")
	w.Publish("file/a@1", small, feedtest.File{Path: "large.bin", Data: large})
	b, err := w.Log.Pack(t.Context(), 0, 0, 3)
	must(t, err)
	pack, err := feed.ParsePack(b)
	must(t, err)
	if got, ok := pack.Object(storage.DigestOf(small.Data)); !ok || string(got) != "hello" {
		t.Errorf("small file: %q, %v", got, ok)
	}
	if _, ok := pack.Object(storage.DigestOf(large)); ok {
		t.Error("a large file is in the pack")
	}
	if b, err := w.Log.Pack(t.Context(), 0, 0, 2); err != nil || len(b) > 100 {
		t.Errorf("pack of a segment without publications: %d bytes, %v", len(b), err)
	}
	for i := range 256 {
		w.Publish(fmt.Sprintf("file/b@%d", i))
	}
	must(t, w.Logs.Close())
	b, _, err = w.Store.Cells.Load(t.Context(), "pack/acme/dev-qa/shared/e1/000")
	must(t, err)
	pack, err = feed.ParsePack(b)
	must(t, err)
	if _, ok := pack.Object(storage.DigestOf([]byte("file/b@252"))); !ok {
		t.Error("the last file of the segment is missing from its pack")
	}
	if _, ok := pack.Object(storage.DigestOf([]byte("file/b@253"))); ok {
		t.Error("a file of the next segment is in the pack")
	}
}

// TestDamaged takes parts out of a store: what must be there and is not is
// damage, not a feed that does not exist.
func TestDamaged(t *testing.T) {
	store := storage.NewMem()
	logs := log.New(log.Config{Store: store, Key: feedtest.Key(1)})
	l, a := opened(t, store, logs)
	c := newCheap(a)
	_, err := l.Append(t.Context(), 1, c.notes(t, store, 0, 700))
	must(t, err)
	must(t, logs.Close())
	logs = log.New(log.Config{Store: store, Key: feedtest.Key(1)}) // lets go of what was written
	_, err = logs.Feed(a.ID).Append(t.Context(), 1, c.notes(t, store, 700, 1))
	must(t, err)
	must(t, logs.Close())
	subs := c.notes(t, store, 701, 1)

	without := func(prefix string) *log.Log {
		return process(t, log.Config{Key: feedtest.Key(1), Store: missing(store, prefix)}).Feed(a.ID)
	}
	for _, prefix := range []string{"log/acme/dev-qa/shared/e1/segment/", ""} {
		l := without(prefix)
		if _, err := l.Append(t.Context(), 1, subs); !errors.Is(err, log.ErrDamaged) || errors.Is(err, fs.ErrNotExist) {
			t.Errorf("append without %q: %v, want ErrDamaged alone", prefix, err)
		}
	}
	if _, err := without("log/acme/dev-qa/shared/e1/tile/").Tile(t.Context(), 0, 0, 256); !errors.Is(err, log.ErrDamaged) {
		t.Errorf("tile: %v, want ErrDamaged", err)
	}
	if _, err := without("pack/").Pack(t.Context(), 0, 0, 256); err != nil {
		t.Errorf("a pack that is missing is made anew: %v", err)
	}
}
