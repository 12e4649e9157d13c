package server_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"airlock/feed"
	"airlock/feed/feedtest"
	"airlock/internal/server"
	"airlock/storage"
	"airlock/storage/storetest"
)

// A store that fails for a while gives the publisher a clear error and changes
// nothing; afterwards the same batch is taken.
func TestStoreFails(t *testing.T) {
	dir := func(t *testing.T) *storage.Store {
		s, err := storage.OpenDir(context.Background(), t.TempDir())
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	for store, open := range map[string]func(*testing.T) *storage.Store{"memory": func(*testing.T) *storage.Store { return storage.NewMem() }, "folder": dir} {
		for name, fault := range map[string]error{"no space": storage.ErrNoSpace, "every call fails": storetest.ErrServer} {
			t.Run(store+"/"+name, func(t *testing.T) {
				var failing atomic.Bool
				w := newWorld(t, storetest.WithFaults(open(t), func(c storetest.Call) storetest.Fault {
					writes := c.Op != "Get" && c.Op != "Load" && c.Op != "Stat" && c.Op != "List"
					if failing.Load() && (writes || fault != storage.ErrNoSpace) {
						return storetest.Fault{Before: fault}
					}
					return storetest.Fault{}
				}))
				c := client(t, w.srv)
				w.mustSend(w.Opening()...)
				s := w.Publish("file/a@1")
				failing.Store(true)
				_, err := c.Publish(context.Background(), batch(w.ID, s))
				if err == nil || fault == storage.ErrNoSpace && !errors.Is(err, storage.ErrNoSpace) {
					t.Errorf("while the store fails: %v", err)
				}
				failing.Store(false)
				if w.has(s.Objects[1]) || w.size() != 2 {
					t.Errorf("something was kept, or the feed grew to %d entries", w.size())
				}
				if a, err := c.Publish(context.Background(), batch(w.ID, s)); err != nil || a.Indices[0] != 2 {
					t.Errorf("afterwards: %+v, %v", a, err)
				}
			})
		}
	}
}

// A store that hangs about one feed holds up nobody else.
func TestStoreHangs(t *testing.T) {
	w := newWorld(t, storetest.WithFaults(storage.NewMem(), func(c storetest.Call) storetest.Fault {
		return storetest.Fault{Hang: c.Port == "files" && strings.HasPrefix(c.Key, "identity/acme/dev-qa/shared")}
	}))
	ctx, cancel := context.WithTimeout(context.Background(), 100*time.Millisecond)
	defer cancel()
	_, err := w.srv.Publish(ctx, reader, batch(w.ID, w.Opening()...))
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v, want that the time ran out", err)
	}
	other := feedtest.AuthorOf(t, w.Space, "other")
	if _, err := w.srv.Publish(context.Background(), reader, batch(other.ID, other.Opening()...)); err != nil {
		t.Errorf("another feed meanwhile: %v", err)
	}
}

// s3World is a server on an S3 store behind a proxy.
func s3World(t *testing.T, plan func(*http.Request) storetest.Trouble) (*world, *storetest.LossyProxy, storage.S3Config) {
	t.Helper()
	proxy, cfg := storetest.NewLossyProxy(t, storetest.VersityGW(t), plan)
	return newWorld(t, openS3(t, cfg)), proxy, cfg
}

func openS3(t *testing.T, cfg storage.S3Config) *storage.Store {
	t.Helper()
	s, err := storage.OpenS3(context.Background(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

func TestS3Refuses(t *testing.T) {
	w, proxy, _ := s3World(t, storetest.NoTrouble)
	c := client(t, w.srv)
	w.mustSend(w.Opening()...)
	s := w.Publish("file/a@1")
	proxy.SetPlan(func(*http.Request) storetest.Trouble {
		return storetest.Trouble{Status: http.StatusInternalServerError}
	})
	ctx, cancel := context.WithTimeout(context.Background(), 500*time.Millisecond)
	defer cancel()
	if _, err := c.Publish(ctx, batch(w.ID, s)); err == nil {
		t.Error("published while the store answers 500")
	}
	proxy.SetPlan(storetest.NoTrouble)
	if w.has(s.Objects[1]) || w.size() != 2 {
		t.Errorf("something was kept, or the feed grew to %d entries", w.size())
	}
	if a, err := c.Publish(context.Background(), batch(w.ID, s)); err != nil || a.Indices[0] != 2 {
		t.Errorf("afterwards: %+v, %v", a, err)
	}
}

// A store that ignores conditions says so, and carries one server.
func TestS3Unconditional(t *testing.T) {
	w, _, _ := s3World(t, func(*http.Request) storetest.Trouble { return storetest.Trouble{Unconditional: true} })
	if w.store.Exclusive == "" {
		t.Error("a store that ignores conditions was not noticed")
	}
	w.mustSend(append(w.Opening(), w.Publish("file/a@1"))...)
	if _, void := w.follow(w.srv.Local()); w.size() != 3 || len(void) != 0 {
		t.Errorf("%d entries, void %v", w.size(), void)
	}
}

// Two servers write one feed over a line that loses answers: every
// acknowledged entry is there, once.
func TestTwoServersLossy(t *testing.T) {
	w, proxy, cfg := s3World(t, storetest.NoTrouble)
	w.mustSend(w.Opening()...)
	second := server.New(server.Config{Store: openS3(t, cfg), LogKey: w.Key, Now: w.clock.Now})
	t.Cleanup(func() { _ = second.Close() })
	const each = 12
	var statements [2][]feedtest.Signed
	for i := range 2 * each {
		statements[i%2] = append(statements[i%2], w.Publish(fmt.Sprintf("file/n%d@1", i)))
	}
	proxy.SetPlan(storetest.LoseShare(1, 0.05))
	var wg sync.WaitGroup
	for k, srv := range []*server.Server{w.srv, second} {
		wg.Go(func() {
			for _, s := range statements[k] {
				if err := persist(srv, batch(w.ID, s)); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	proxy.SetPlan(storetest.NoTrouble)
	state, void := w.follow(w.srv.Local())
	if state.Index.Size() != 2+2*each || len(void) != 0 {
		t.Errorf("%d entries, want %d; void %v", state.Index.Size(), 2+2*each, void)
	}
}

// persist sends a batch until there is a clear answer.
func persist(srv *server.Server, b feed.Batch) error {
	var err error
	for range 10 {
		if _, err = srv.Publish(context.Background(), reader, b); err == nil {
			return nil
		}
	}
	return err
}
