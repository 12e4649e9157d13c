package log_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"golang.org/x/mod/sumdb/tlog"

	"airlock/feed"
	"airlock/feed/feedtest"
	"airlock/feed/log"
	"airlock/storage"
	"airlock/trust"
)

// TestTiles grows a log past 65,536 entries and compares root, tiles and
// entries with x/mod's own tree at sizes around every border.
func TestTiles(t *testing.T) {
	store := storage.NewMem()
	logs := log.New(log.Config{Store: store, Key: feedtest.Key(1)})
	l, a := opened(t, store, logs)
	carol := listed(a, "carol")
	_, err := feedtest.Append(t.Context(), store, l, a.ID, a.Identity(2)...)
	must(t, err)
	c, ref := newCheapBy(a, carol), &reference{}
	for _, s := range entries(t, l) {
		ref.add(t, feed.LeafHash(s))
	}
	sizes := []int64{2, 3, 255, 256, 257, 511, 512, 513, 1024, 5000, 65535, 65536, 65537, 65792, 66000}
	for _, size := range sizes {
		for ref.size < size {
			subs := c.versions(t, store, int(ref.size), int(min(size-ref.size, log.MaxBatch)))
			_, err := l.Append(t.Context(), 1, subs)
			must(t, err)
			for _, s := range subs {
				ref.add(t, feed.LeafHash(s.Attestation))
			}
		}
		wantTiles(t, l, ref)
	}
	must(t, logs.Close())
	l = process(t, log.Config{Store: store, Key: feedtest.Key(1)}).Feed(a.ID)
	wantTiles(t, l, ref) // all from the store
	for _, key := range []string{"tile/0/000", "tile/0/256", "tile/1/000", "segment/000", "segment/256", "index/000"} {
		if _, err := store.Files.Get(t.Context(), "log/acme/dev-qa/shared/e1/"+key); err != nil {
			t.Error(err)
		}
	}
	if _, err := store.Files.Get(t.Context(), "log/acme/dev-qa/shared/e1/tile/1/001"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a tile that is not full was written: %v", err)
	}
	wantColdStart(t, store, a, c, ref)
	revoke(a, carol, 3)
	wantRevokedBehindPages(t, store, a, c)
}

// wantTiles compares the log with the reference at its present size.
func wantTiles(t *testing.T, l *log.Log, ref *reference) {
	t.Helper()
	h, err := l.Head(t.Context(), 0)
	must(t, err)
	root, err := tlog.TreeHash(ref.size, ref)
	must(t, err)
	if h.Checkpoint.Size != ref.size || h.Checkpoint.Root != root || h.Edge.Root() != root {
		t.Fatalf("size %d, root %s; want %d, %s", h.Checkpoint.Size, h.Checkpoint.Root, ref.size, root)
	}
	for level := range 3 {
		for count := ref.size >> (8 * level); count > 0; {
			for _, n := range []int64{0, (count - 1) / 256 / 2, (count - 1) / 256} {
				for _, width := range []int64{1, 2, 137, 255, 256} {
					tile := tlog.Tile{H: 8, L: level, N: n, W: int(min(width, count-n*256))}
					want, err := tlog.ReadTileData(tile, ref)
					must(t, err)
					if got, err := l.Tile(t.Context(), level, n, tile.W); err != nil || !bytes.Equal(got, want) {
						t.Fatalf("at size %d: tile %s differs: %v", ref.size, tile.Path(), err)
					}
				}
			}
			break
		}
		count := ref.size >> (8 * level)
		if _, err := l.Tile(t.Context(), level, count/256, int(count%256)+1); !errors.Is(err, log.ErrNotYet) {
			t.Errorf("at size %d: a hash past the end of level %d: %v", ref.size, level, err)
		}
	}
}

// wantColdStart appends through a process that has no index yet: it must know
// all names and statements, and read pages instead of every segment.
func wantColdStart(t *testing.T, store *storage.Store, a *feedtest.Author, c *cheap, ref *reference) {
	t.Helper()
	for _, pages := range []bool{true, false} {
		reads := &counter{}
		cold := broken(store, func(_ context.Context, op, key string) (error, error) {
			if op == "read" && strings.Contains(key, "/index/") && !pages {
				return fs.ErrNotExist, nil
			}
			if op == "read" && strings.Contains(key, "/segment/") {
				reads.add("segments")
			}
			return nil, nil
		})
		l := process(t, log.Config{Store: cold, Key: feedtest.Key(1)}).Feed(a.ID)
		old := newCheap(a).versions(t, store, 300, 1) // as in the beginning, but not the first of its name
		_, err := l.Append(t.Context(), 1, old)
		for errors.Is(err, storage.ErrAway) { // what was read counts, so who asks again comes through
			_, err = l.Append(t.Context(), 1, old)
		}
		if !errors.As(err, new(*feed.VersionError)) {
			t.Errorf("pages %v: a version from the first page once more: %v", pages, err)
		}
		if _, err := l.Append(t.Context(), 1, c.versions(t, store, int(ref.size), 3)); err != nil {
			t.Errorf("pages %v: %v", pages, err)
		}
		ref.size += 3
		if n := reads.of("segments"); pages && n > 2 || !pages && n < 256 {
			t.Errorf("pages %v: %d segments were read", pages, n)
		}
	}
}

// wantRevokedBehindPages revokes the key of all that stands in the index page:
// processes that read it know which versions are free again, and who may sign.
func wantRevokedBehindPages(t *testing.T, store *storage.Store, a *feedtest.Author, c *cheap) {
	t.Helper()
	draft := func(name, version string) feedtest.Signed {
		return a.Draft(a.Space.Publisher, "file/"+name+"@"+version, nil, func(p *feed.Publication) { id := c.heads[name]; p.Previous = &id })
	}
	first, second := draft("p0", "300"), draft("p1", "301")
	for i, c := range []struct {
		batch []feedtest.Signed
		taken bool
	}{
		{[]feedtest.Signed{first}, false},
		{append(a.Identity(3), first), true},
		{[]feedtest.Signed{second}, true}, // by a process that reads the page and what is behind it
		{[]feedtest.Signed{by(a, a.Space.Publisher, "file/other@1")}, true},
	} {
		l := process(t, log.Config{Store: store, Key: feedtest.Key(1)}).Feed(a.ID)
		_, err := feedtest.Append(t.Context(), store, l, a.ID, c.batch...)
		if _, refused := errors.AsType[*feed.VersionError](err); refused == c.taken || c.taken && err != nil {
			t.Errorf("batch %d: %v", i, err)
		}
	}
	l := process(t, log.Config{Store: store, Key: feedtest.Key(1)}).Feed(a.ID)
	_, err := l.Append(t.Context(), 1, c.notes(t, store, 1, 1))
	if denied, ok := errors.AsType[*trust.DeniedError](err); !ok || denied.Rule != "position" {
		t.Errorf("by the revoked key: %v", err)
	}
}

// TestSpillOrder checks that no tile is written before all that it is made of,
// and that nothing is written before the commit that it belongs to.
func TestSpillOrder(t *testing.T) {
	mem := storage.NewMem()
	var mu sync.Mutex
	var order []string
	var committed int64
	logs := log.New(log.Config{Key: feedtest.Key(1), Store: broken(mem, func(_ context.Context, op, key string) (error, error) {
		mu.Lock()
		defer mu.Unlock()
		if i := strings.Index(key, "/e1/"); op == "create" && i > 0 {
			order = append(order, key[i+4:])
			var n int64
			if _, err := fmt.Sscanf(key[i+4:], "segment/%d", &n); err == nil && (n+1)*256 > committed {
				t.Errorf("segment %d was written at size %d", n, committed)
			}
		}
		if op == "swap" && key == cellKey {
			committed += log.MaxBatch + 2 // at most
		}
		return nil, nil
	})})
	l, a := opened(t, mem, logs)
	c := newCheap(a)
	for i := range 6 {
		_, err := l.Append(t.Context(), 1, c.notes(t, mem, i*log.MaxBatch, log.MaxBatch))
		must(t, err)
	}
	must(t, logs.Close())
	for n := range 24 {
		if s, tile := slices.Index(order, fmt.Sprintf("segment/%03d", n)), slices.Index(order, fmt.Sprintf("tile/0/%03d", n)); s < 0 || tile < s {
			t.Errorf("segment %d was written as number %d, its tile as %d", n, s, tile)
		}
	}
}

// TestSpillFails lets the writing of segments fail for a while: commits go on
// until the tail is full, then are refused, and go on once the store is well.
func TestSpillFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := storage.NewMem()
		var mu sync.Mutex
		sick := true
		logs := process(t, log.Config{Key: feedtest.Key(1), Store: broken(store, func(_ context.Context, op, key string) (error, error) {
			mu.Lock()
			defer mu.Unlock()
			if sick && op == "create" && strings.Contains(key, "/segment/") {
				return storage.ErrNoSpace, nil
			}
			return nil, nil
		})})
		l, a := opened(t, store, logs)
		c := newCheap(a)
		var err error
		n := 0
		for ; err == nil && n < 40; n++ {
			_, err = l.Append(t.Context(), 1, c.notes(t, store, n*500, 500))
		}
		if !errors.Is(err, log.ErrBusy) || n < 15 {
			t.Fatalf("after %d batches: %v, want ErrBusy after 16", n, err)
		}
		mu.Lock()
		sick = false
		mu.Unlock()
		synctest.Wait()
		for i := range 5 {
			if _, err := l.Append(t.Context(), 1, c.notes(t, store, (n+i)*500, 500)); err != nil {
				t.Fatalf("batch %d once there is room again: %v", i, err)
			}
		}
		if got := len(entries(t, l)); got != 2+(n-1+5)*500 {
			t.Errorf("%d entries, want %d", got, 2+(n-1+5)*500)
		}
	})
}

// TestSpillHangs closes logs whose store hangs on a segment: Close gives up, and
// the next process writes it.
func TestSpillHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := storage.NewMem()
		logs := log.New(log.Config{Key: feedtest.Key(1), Store: broken(store, func(ctx context.Context, op, key string) (error, error) {
			if op == "create" && strings.Contains(key, "/segment/") {
				<-ctx.Done()
				return ctx.Err(), nil
			}
			return nil, nil
		})})
		l, a := opened(t, store, logs)
		_, err := l.Append(t.Context(), 1, newCheap(a).notes(t, store, 0, 300))
		must(t, err)
		must(t, logs.Close())
		if n := len(entries(t, process(t, log.Config{Store: store, Key: feedtest.Key(1)}).Feed(a.ID))); n != 302 {
			t.Errorf("%d entries, want 302", n)
		}
	})
}

// TestSpillAfterCrash commits in one process that writes no segments, and goes
// on in another: it writes them.
func TestSpillAfterCrash(t *testing.T) {
	store := storage.NewMem()
	logs := log.New(log.Config{Key: feedtest.Key(1), Store: broken(store, func(_ context.Context, op, key string) (error, error) {
		if op == "create" && strings.Contains(key, "/segment/") {
			return errStore, nil
		}
		return nil, nil
	})})
	l, a := opened(t, store, logs)
	c := newCheap(a)
	_, err := l.Append(t.Context(), 1, c.notes(t, store, 0, 700))
	must(t, err)
	must(t, logs.Close())
	logs = log.New(log.Config{Store: store, Key: feedtest.Key(1)})
	_, err = logs.Feed(a.ID).Append(t.Context(), 1, c.notes(t, store, 700, 1))
	must(t, err)
	must(t, logs.Close())
	for _, n := range []string{"000", "001"} {
		if _, err := store.Files.Get(t.Context(), "log/acme/dev-qa/shared/e1/segment/"+n); err != nil {
			t.Error(err)
		}
	}
	if n := len(entries(t, process(t, log.Config{Store: store, Key: feedtest.Key(1)}).Feed(a.ID))); n != 703 {
		t.Errorf("%d entries, want 703", n)
	}
}
