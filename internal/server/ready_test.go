package server_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"airlock/feed/feedhttp"
	"airlock/internal/server"
	"airlock/storage"
	"airlock/storage/storetest"
	"airlock/trust"
)

// TestReady: a store that hangs shows within seconds, to however many ask and with
// one look for all, and so does that it is back.
func TestReady(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var hangs, deaf atomic.Bool
		var looks atomic.Int64
		release := make(chan struct{})
		store := storetest.WithFaults(storage.NewMem(), func(storetest.Call) storetest.Fault {
			looks.Add(1)
			if deaf.Load() {
				<-release // whatever its context says
			}
			return storetest.Fault{Hang: hangs.Load()}
		})
		srv := server.New(server.Config{Store: store})
		defer srv.Close()
		all := func(want error) {
			t.Helper()
			before, begun := looks.Load(), time.Now()
			var asking sync.WaitGroup
			for range 20 {
				asking.Go(func() {
					if err := srv.Ready(t.Context()); !errors.Is(err, want) {
						t.Errorf("got %v, want %v", err, want)
					}
				})
			}
			asking.Wait()
			if took := time.Since(begun); took > 3*time.Second || looks.Load() > before+1 {
				t.Errorf("%d looks, and %s", looks.Load()-before, took)
			}
		}
		all(nil)
		hangs.Store(true)
		all(nil) // for a second
		time.Sleep(time.Second)
		all(storage.ErrAway)
		hangs.Store(false)
		all(storage.ErrAway)
		time.Sleep(time.Second)
		all(nil)
		deaf.Store(true)
		time.Sleep(time.Second)
		all(storage.ErrAway)
		all(storage.ErrAway)
		deaf.Store(false)
		close(release)
		synctest.Wait()
		time.Sleep(time.Second)
		all(nil)
	})
}

// TestStoreGoneOverHTTP: who reads while the bucket hangs hears within seconds that
// it does, and so does who asks whether the server is ready.
func TestStoreGoneOverHTTP(t *testing.T) {
	proxy, cfg := storetest.NewLossyProxy(t, storetest.VersityGW(t), storetest.NoTrouble)
	cfg.Timeout = 2 * time.Second
	w := newWorld(t, openS3(t, cfg))
	w.mustSend(w.Opening()...)
	h, err := feedhttp.New(feedhttp.Config{Reader: w.srv, Writer: w.srv, Ready: w.srv.Ready})
	if err != nil {
		t.Fatal(err)
	}
	defer h.Close()
	ask := func(want int) {
		t.Helper()
		w.clock.add(2 * time.Second)
		for _, path := range []string{"/readyz", "/v1/feeds/acme/dev-qa/shared/checkpoint", "/v1/feeds"} {
			got, begun := httptest.NewRecorder(), time.Now()
			h.ServeHTTP(got, httptest.NewRequest("GET", path, nil))
			if got.Code != want || want != http.StatusOK && !strings.Contains(got.Body.String(), "/store-away\"") {
				t.Errorf("%s: %d %s, want %d", path, got.Code, got.Body, want)
			}
			if strings.Contains(got.Body.String(), "127.0.0.1") {
				t.Errorf("%s: says where the store lies: %s", path, got.Body)
			}
			if took := time.Since(begun); took > 7*time.Second {
				t.Errorf("%s: took %s", path, took)
			}
		}
	}
	ask(http.StatusOK)
	proxy.SetPlan(func(*http.Request) storetest.Trouble { return storetest.Trouble{Hang: true} })
	ask(http.StatusServiceUnavailable)
	proxy.SetPlan(storetest.NoTrouble)
	ask(http.StatusOK)
}

// TestAccessAwayOnce: of many who show credentials while the store hangs one asks it for all.
func TestAccessAwayOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		mem := storage.NewMem()
		w := newWorld(t, mem)
		_, text := w.token(trust.Space{})
		var asked atomic.Int64
		held, release := make(chan struct{}, 64), make(chan struct{})
		w.store = storetest.WithFaults(mem, func(storetest.Call) storetest.Fault {
			asked.Add(1)
			held <- struct{}{}
			<-release
			return storetest.Fault{Before: storage.ErrAway}
		})
		srv := w.closed()
		const callers = 50
		var done sync.WaitGroup
		call := func() {
			if _, err := srv.Identify(context.Background(), feedhttp.Credentials{Token: text}); !errors.Is(err, storage.ErrAway) {
				t.Errorf("got %v, want ErrAway", err)
			}
		}
		done.Go(call)
		<-held
		for range callers - 1 {
			done.Go(call)
		}
		synctest.Wait() // all wait for the first
		close(release)
		done.Wait()
		if n := asked.Load(); n != 1 {
			t.Errorf("the store was asked %d times, want 1", n)
		}
	})
}

// TestAccessAwayKnown: of those whose credentials are known, one waits for a store that
// hangs, and the others for nothing.
func TestAccessAwayKnown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		mem := storage.NewMem()
		w := newWorld(t, mem)
		_, text := w.token(trust.Space{})
		var hangs atomic.Bool
		w.store = storetest.WithFaults(mem, func(storetest.Call) storetest.Fault { return storetest.Fault{Hang: hangs.Load()} })
		srv := w.start(server.Config{Now: time.Now})
		var waiting atomic.Int64
		ask := func() {
			waiting.Add(1)
			if _, err := srv.Identify(context.Background(), feedhttp.Credentials{Token: text}); err != nil {
				t.Error(err)
			}
			waiting.Add(-1)
		}
		ask()
		hangs.Store(true)
		var asking sync.WaitGroup
		for range 20 {
			time.Sleep(time.Second)
			asking.Go(ask)
			asking.Go(ask)
		}
		if synctest.Wait(); waiting.Load() != 1 {
			t.Errorf("%d wait", waiting.Load())
		}
		asking.Wait()
	})
}
