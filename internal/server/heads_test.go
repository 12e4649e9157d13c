package server_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"airlock/feed"
	"airlock/feed/feedhttp"
	"airlock/feed/feedtest"
	"airlock/internal/server"
	"airlock/storage"
)

// TestHeads waits for many feeds at once: for what this server commits, for what
// another one on the store does, and for the end of the wait.
func TestHeads(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, storage.NewMem())
		second, receipts := feedtest.AuthorOf(t, w.Space, "second"), feedtest.AuthorOf(t, w.Space, feed.ReceiptsName)
		for _, a := range []*feedtest.Author{w.Author, second, receipts} {
			if _, err := w.srv.Publish(t.Context(), reader, batch(a.ID, a.Opening()...)); err != nil {
				t.Fatal(err)
			}
		}
		other := w.server(server.Config{})
		known := map[feed.ID]int64{w.ID: 1, second.ID: 1, receipts.ID: 0, {Space: w.ID.Space, Name: "none"}: 0}
		if heads, err := w.srv.Heads(t.Context(), feedhttp.Caller{}, known, 0); err != nil || len(heads) != 2 {
			t.Fatalf("at once: %v, %v; want the two feeds, and neither receipts nor what is not there", heads, err)
		}
		known[w.ID], known[second.ID] = 2, 2
		for i, c := range []struct {
			at      *server.Server
			publish bool
			want    time.Duration
		}{{w.srv, true, time.Second}, {other, true, 3 * time.Second}, {other, false, 20 * time.Second}} {
			start := time.Now()
			go func() {
				time.Sleep(time.Second)
				if !c.publish {
					return
				}
				if _, err := c.at.Publish(t.Context(), reader, batch(second.ID, second.Publish([]string{"file/a@1", "file/a@2"}[i]))); err != nil {
					t.Error(err)
				}
			}()
			heads, err := w.srv.Heads(t.Context(), feedhttp.Caller{}, known, 20*time.Second)
			if err != nil || (len(heads) == 1) != c.publish || heads[second.ID].Size != 0 && heads[second.ID].Size != known[second.ID]+1 {
				t.Errorf("%d: %v, %v", i, heads, err)
			}
			if took := time.Since(start); took < time.Second || took > c.want {
				t.Errorf("%d: told after %s, want %s", i, took, c.want)
			}
			known[second.ID]++
		}
		ended, cancel := context.WithCancel(t.Context())
		cancel()
		if heads, err := w.srv.Heads(ended, reader, map[feed.ID]int64{w.ID: 2}, time.Minute); err != nil || len(heads) > 0 {
			t.Errorf("who left: %v, %v", heads, err)
		}
	})
}

// TestHeadsOfDamagedFeed holds that one feed whose cell is damaged keeps nobody
// from news of the others, and is an error where it is all that was asked for.
func TestHeadsOfDamagedFeed(t *testing.T) {
	store := storage.NewMem()
	w := newWorld(t, store)
	second := feedtest.AuthorOf(t, w.Space, "second")
	for _, a := range []*feedtest.Author{w.Author, second} {
		if _, err := w.srv.Publish(t.Context(), reader, batch(a.ID, a.Opening()...)); err != nil {
			t.Fatal(err)
		}
	}
	key := "log/" + second.ID.String()
	_, tag, err := store.Cells.Load(t.Context(), key)
	if err == nil {
		_, err = store.Cells.Swap(t.Context(), key, tag, []byte("airlock-log 9\n"))
	}
	if err != nil {
		t.Fatal(err)
	}
	srv := w.server(server.Config{})
	if heads, err := srv.Heads(t.Context(), reader, map[feed.ID]int64{w.ID: 0, second.ID: 0}, 0); err != nil || len(heads) != 1 {
		t.Errorf("%v, %v; want the head of the feed that is whole", heads, err)
	}
	if _, err := srv.Heads(t.Context(), reader, map[feed.ID]int64{second.ID: 0}, 0); !errors.As(err, new(*storage.FormatError)) {
		t.Errorf("got %v, want a *storage.FormatError", err)
	}
}

// TestServersBehindOneName holds that a reader who was shown more by one server
// of a store does not take it for a rollback when the next is behind.
func TestServersBehindOneName(t *testing.T) {
	w := newWorld(t, storage.NewMem())
	w.mustSend(w.Opening()...)
	behind := w.server(server.Config{Fresh: time.Hour})
	f := w.Follower(behind.Local())
	if _, _, err := f.Sync(t.Context(), w.ID); err != nil {
		t.Fatal(err)
	}
	w.mustSend(w.Publish("file/a@1"))
	f.Source = w.srv.Local()
	seen, _, err := f.Sync(t.Context(), w.ID)
	if err != nil {
		t.Fatal(err)
	}
	f.Source = client(t, behind)
	if state, _, err := f.Sync(t.Context(), w.ID); err != nil || state.Edge.Size() != seen.Edge.Size() {
		t.Errorf("%v, %v; want the %d entries that were seen", state, err, seen.Edge.Size())
	}
}
