package server_test

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"regexp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"airlock/feed"
	"airlock/feed/feedhttp"
	"airlock/internal/server"
	"airlock/storage"
	"airlock/storage/storetest"
	"airlock/trust"
)

// identify says who holds a token, on a server.
func identify(s *server.Server, token string) (feedhttp.Caller, error) {
	return s.Identify(context.Background(), feedhttp.Credentials{Token: token})
}

// TestToken makes tokens, and ends them in every way that there is, on all
// servers of the store.
func TestToken(t *testing.T) {
	ctx := context.Background()
	w := newWorld(t, storage.NewMem())
	other := w.closed()
	id, text := w.token(w.ID.Space, "acme/dev-qa/shared")
	if !regexp.MustCompile(`^airlock_[0-9]{2}[a-z2-7]{10}_[a-z2-7]{26}$`).MatchString(text) || !strings.Contains(text, "_"+id+"_") {
		t.Errorf("token %s of id %s", text, id)
	}
	for _, srv := range []*server.Server{w.srv, other} {
		c, err := identify(srv, text)
		if err != nil || c.Role != feedhttp.Enrolled || c.Space != w.ID.Space || c.Credential != "token "+id || !slices.Equal(c.Feeds, []feed.Pattern{"acme/dev-qa/shared"}) {
			t.Errorf("%+v, %v", c, err)
		}
		if !c.Until.Equal(w.clock.Now().Add(24 * time.Hour)) {
			t.Errorf("until %s", c.Until)
		}
	}
	_, administrator := w.token(trust.Space{})
	w.clock.add(time.Second)
	if c, err := identify(other, administrator); err != nil || c.Role != feedhttp.Administrator || c.Space != (trust.Space{}) {
		t.Errorf("%+v, %v", c, err)
	}

	// Revoked: here at once, elsewhere within a second.
	if gone, err := w.srv.RevokeToken(ctx, server.Operator, id); err != nil || gone.ID != id || gone.Space != w.ID.Space {
		t.Errorf("%+v, %v", gone, err)
	}
	if _, err := identify(w.srv, text); !errors.Is(err, feedhttp.ErrUnauthorized) {
		t.Errorf("revoked: %v", err)
	}
	w.clock.add(time.Second)
	if _, err := identify(other, text); !errors.Is(err, feedhttp.ErrUnauthorized) {
		t.Errorf("revoked, elsewhere: %v", err)
	}
	if _, err := w.srv.RevokeToken(ctx, server.Operator, id); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("revoked again: %v", err)
	}

	// Dismissed, and admitted again.
	_, text = w.token(w.ID.Space)
	if err := w.srv.Dismiss(ctx, server.Operator, w.ID.Space); err != nil {
		t.Fatal(err)
	}
	w.clock.add(time.Second)
	for _, srv := range []*server.Server{w.srv, other} {
		if _, err := identify(srv, text); !errors.Is(err, feedhttp.ErrUnauthorized) || !strings.Contains(err.Error(), "not admitted here any more") {
			t.Errorf("dismissed: %v", err)
		}
	}
	w.admit(w.Author)
	if _, err := identify(w.srv, text); err != nil {
		t.Error(err)
	}

	// Expired.
	w.clock.add(24 * time.Hour)
	if _, err := identify(w.srv, text); !errors.Is(err, feedhttp.ErrUnauthorized) || !strings.Contains(err.Error(), "ended on") {
		t.Errorf("expired: %v", err)
	}
	if _, err := identify(w.srv, administrator); !errors.Is(err, feedhttp.ErrUnauthorized) {
		t.Errorf("expired: %v", err)
	}
}

// TestTokensWrong: what is no token of ours is nobody's, and no error tells it.
func TestTokensWrong(t *testing.T) {
	w := newWorld(t, storage.NewMem())
	id, text := w.token(w.ID.Space)
	for _, wrong := range []string{
		text + "x", text[:len(text)-1], strings.ToUpper(text), "x" + text, text + "_", id,
		"airlock_" + id + "_" + strings.Repeat("a", 26),
		"airlock_99aaaaaaaaaa_" + strings.Repeat("a", 26),
		"airlock_-1aaaaaaaaaa_" + strings.Repeat("a", 26),
		"airlock__" + strings.Repeat("a", 26),
		"airlock_" + strings.Repeat("0", 64) + "_x",
		strings.Repeat("_", 30), storage.DigestOf([]byte(text)).String(),
	} {
		_, err := identify(w.srv, wrong)
		if !errors.Is(err, feedhttp.ErrUnauthorized) || strings.Contains(err.Error(), wrong) {
			t.Errorf("%s: %v", wrong, err)
		}
	}
}

// TestTokenRefused: tokens that may not be made, or not so.
func TestTokenRefused(t *testing.T) {
	ctx := context.Background()
	w := newWorld(t, storage.NewMem())
	good := server.Token{Space: w.ID.Space, Until: w.clock.Now().Add(time.Hour)}
	for what, change := range map[string]func(*server.Token){
		"ends before it begins": func(t *server.Token) { t.Until = w.clock.Now() },
		"no end":                func(t *server.Token) { t.Until = time.Time{} },
		"long note":             func(t *server.Token) { t.Note = strings.Repeat("x", 201) },
		"note with a line":      func(t *server.Token) { t.Note = "a\nb" },
		"many feeds":            func(t *server.Token) { t.Feeds = patterns(33) },
	} {
		token := good
		change(&token)
		_, text, err := w.srv.AddToken(ctx, server.Operator, token)
		if _, ok := errors.AsType[*feedhttp.RequestError](err); !ok || text != "" {
			t.Errorf("%s: %v", what, err)
		}
	}
	good.Space = trust.Space{Organisation: "acme", Name: "never"}
	_, _, err := w.srv.AddToken(ctx, server.Operator, good)
	wantDenied(t, err, server.RuleAdmission)
	good.Space = w.ID.Space
	for range 100 {
		if _, _, err := w.srv.AddToken(ctx, server.Operator, good); err != nil {
			t.Fatal(err)
		}
	}
	if _, _, err := w.srv.AddToken(ctx, server.Operator, good); err == nil || !strings.Contains(err.Error(), "at most 100") {
		t.Errorf("the 101st token: %v", err)
	}
	// What ended a month ago makes room.
	w.clock.add(31 * 24 * time.Hour)
	good.Until = w.clock.Now().Add(time.Hour)
	if _, _, err := w.srv.AddToken(ctx, server.Operator, good); err != nil {
		t.Error(err)
	}
	if all, err := w.srv.Tokens(ctx, server.Operator); err != nil || len(all) != 1 {
		t.Errorf("%d tokens, %v", len(all), err)
	}
}

func patterns(n int) (out []feed.Pattern) {
	for i := range n {
		out = append(out, feed.Pattern("acme/dev-qa/f"+strings.Repeat("x", i)))
	}
	return out
}

// TestTokenStored: neither the store nor the audit log has the token itself.
func TestTokenStored(t *testing.T) {
	w := newWorld(t, storage.NewMem())
	var log bytes.Buffer
	w.srv = w.server(server.Config{Audit: slog.New(slog.NewJSONHandler(&log, nil))})
	id, text := w.token(w.ID.Space)
	if _, err := w.srv.RevokeToken(t.Context(), server.Operator, "00aaaaaaaaaa"); err == nil {
		t.Error("a token that nobody made was revoked")
	}
	_, _ = identify(w.srv, text)
	secret := text[strings.LastIndex(text, "_")+1:]
	value, _, err := w.store.Cells.Load(t.Context(), "access/"+id[:2])
	if err != nil || !bytes.Contains(value, []byte(id)) || bytes.Contains(value, []byte(secret)) || !bytes.Contains(value, []byte(storage.DigestOf([]byte(text)).String())) {
		t.Errorf("stored: %s, %v", value, err)
	}
	if lines := log.String(); strings.Contains(lines, secret) || !strings.Contains(lines, `"operation":"token add","thing":"acme/dev-qa","caller":"administrator"`) || !strings.Contains(lines, `"msg":"refused","operation":"token revoke"`) {
		t.Errorf("audit log: %s", lines)
	}
}

// TestWaitingEnds: a long poll of a credential that is revoked ends within a
// second, on a server that was told nothing.
func TestWaitingEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, storage.NewMem())
		w.mustSend(w.Opening()...)
		w.srv = w.start(server.Config{Now: time.Now})
		w.clock.now = time.Now() // for token
		id, text := w.token(w.ID.Space)
		waiting := w.start(server.Config{Now: time.Now, Watch: true})
		h := handlerOf(t, waiting)
		status := make(chan int)
		begin := time.Now()
		go func() { status <- heads(h, `{"known":{"acme/dev-qa/shared":2},"wait":55}`, text).Code }()
		time.Sleep(10 * time.Second)
		if _, err := w.srv.RevokeToken(t.Context(), server.Operator, id); err != nil {
			t.Fatal(err)
		}
		if got := <-status; got != 401 || time.Since(begin) > 11*time.Second {
			t.Errorf("%d after %s", got, time.Since(begin))
		}
		// One that expires ends then, with what there is.
		w.clock.now = time.Now()
		_, text = w.token(w.ID.Space)
		time.Sleep(24*time.Hour - 5*time.Second)
		begin = time.Now()
		if got := heads(h, `{"known":{"acme/dev-qa/shared":2},"wait":55}`, text).Code; got != 200 || time.Since(begin) > 6*time.Second {
			t.Errorf("%d after %s", got, time.Since(begin))
		}
		if got := heads(h, `{"known":{"acme/dev-qa/shared":2},"wait":55}`, text).Code; got != 401 {
			t.Errorf("%d once it expired", got)
		}
		_ = waiting.Close()
	})
}

// TestAccessStoreFails: while the store does not answer, what was known counts
// for a minute; who was never seen cannot be told.
func TestAccessStoreFails(t *testing.T) {
	mem := storage.NewMem()
	w := newWorld(t, mem)
	_, text := w.token(w.ID.Space)
	_, unseen := w.token(trust.Space{})
	var failing atomic.Bool
	w.store = storetest.WithFaults(mem, func(c storetest.Call) storetest.Fault {
		if failing.Load() && c.Port == "cells" {
			return storetest.Fault{Before: storetest.ErrServer}
		}
		return storetest.Fault{}
	})
	srv := w.closed()
	if _, err := identify(srv, text); err != nil {
		t.Fatal(err)
	}
	failing.Store(true)
	w.clock.add(59 * time.Second)
	if _, err := identify(srv, text); err != nil {
		t.Errorf("known before: %v", err)
	}
	if _, err := identify(srv, unseen); !errors.Is(err, storage.ErrAway) {
		t.Errorf("not known before: %v", err)
	}
	w.clock.add(time.Second)
	if _, err := identify(srv, text); !errors.Is(err, storage.ErrAway) {
		t.Errorf("known a minute ago: %v", err)
	}
	failing.Store(false)
	for _, token := range []string{text, unseen} {
		if _, err := identify(srv, token); err != nil {
			t.Error(err)
		}
	}
}

// TestAccessFound: a change whose author died before he counted it is found
// within a minute.
func TestAccessFound(t *testing.T) {
	mem := storage.NewMem()
	w := newWorld(t, mem)
	id, text := w.token(w.ID.Space)
	srv := w.closed()
	if _, err := identify(srv, text); err != nil {
		t.Fatal(err)
	}
	w.store = storetest.WithFaults(mem, func(c storetest.Call) storetest.Fault {
		if c.Op == "Swap" && c.Key == "access/head" {
			return storetest.Fault{Before: errors.New("killed")}
		}
		return storetest.Fault{}
	})
	if _, err := w.closed().RevokeToken(t.Context(), server.Operator, id); err == nil || !strings.Contains(err.Error(), "it is changed, and servers that run heed it within 1m0s") {
		t.Errorf("revoked without telling: %v", err)
	}
	w.clock.add(time.Minute)
	if _, err := identify(srv, text); !errors.Is(err, feedhttp.ErrUnauthorized) {
		t.Errorf("a minute later: %v", err)
	}
}

// TestAccessTogether: many change one bucket at once, over a store that loses
// answers, and no change is lost.
func TestAccessTogether(t *testing.T) {
	w := newWorld(t, storage.NewMem())
	n := 0
	w.store = storetest.WithFaults(w.store, func(c storetest.Call) storetest.Fault {
		if n++; c.Op == "Swap" && n%5 == 0 {
			return storetest.Fault{After: storetest.ErrLost}
		}
		return storetest.Fault{}
	})
	var wg sync.WaitGroup
	for range 4 {
		srv := w.closed()
		wg.Go(func() {
			for range 5 {
				if _, _, err := srv.AddToken(context.Background(), server.Operator, server.Token{Space: w.ID.Space, Until: w.clock.Now().Add(time.Hour)}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	if all, err := w.srv.Tokens(t.Context(), server.Operator); err != nil || len(all) != 20 {
		t.Errorf("%d tokens, %v", len(all), err)
	}
}

// TestAccessReadOnce: of many who come before anything is known, one reads for
// all; and what is read goes on when the one who began it leaves.
func TestAccessReadOnce(t *testing.T) {
	mem := storage.NewMem()
	w := newWorld(t, mem)
	id, text := w.token(w.ID.Space)
	var came sync.WaitGroup
	came.Add(20)
	loads := 0
	w.store = storetest.WithFaults(mem, func(c storetest.Call) storetest.Fault {
		if c.Op == "Load" && c.Key == "access/head" {
			loads++
			came.Wait()
		}
		return storetest.Fault{}
	})
	srv := w.closed()
	var asking sync.WaitGroup
	for range 20 {
		asking.Go(func() {
			came.Done()
			if _, err := identify(srv, text); err != nil {
				t.Error(err)
			}
		})
	}
	if asking.Wait(); loads != 1 {
		t.Errorf("%d reads of the head, want one for all", loads)
	}
	if _, err := w.srv.RevokeToken(t.Context(), server.Operator, id); err != nil {
		t.Fatal(err)
	}
	w.clock.add(time.Second)
	left, leave := context.WithCancel(t.Context())
	leave()
	if _, err := srv.Identify(left, feedhttp.Credentials{Token: text}); !errors.Is(err, feedhttp.ErrUnauthorized) {
		t.Errorf("revoked, asked by who has left: %v", err)
	}
}

// TestDismissedUnread: where the head says that a bucket has changed and the
// bucket cannot be read, what it was counts for nothing that is asked anew.
func TestDismissedUnread(t *testing.T) {
	mem := storage.NewMem()
	w := newWorld(t, mem)
	var failing atomic.Bool
	w.store = storetest.WithFaults(mem, func(c storetest.Call) storetest.Fault {
		if failing.Load() && c.Port == "cells" && c.Key != "access/head" {
			return storetest.Fault{Before: storetest.ErrServer}
		}
		return storetest.Fault{}
	})
	other := w.closed()
	if gone, err := other.Dismissed(t.Context(), w.ID.Space); err != nil || gone {
		t.Fatalf("%v, %v", gone, err)
	}
	if err := w.srv.Dismiss(t.Context(), server.Operator, w.ID.Space); err != nil {
		t.Fatal(err)
	}
	failing.Store(true)
	if gone, err := other.Dismissed(t.Context(), w.ID.Space); !errors.Is(err, storetest.ErrServer) {
		t.Errorf("%v, %v; want that the store did not answer", gone, err)
	}
	failing.Store(false)
	if gone, err := other.Dismissed(t.Context(), w.ID.Space); err != nil || !gone {
		t.Errorf("%v, %v; want that it is dismissed", gone, err)
	}
}
