package server_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"airlock/feed/feedhttp"
	"airlock/feed/feedtest"
	"airlock/internal/server"
	"airlock/signing"
	"airlock/storage"
	"airlock/storage/storetest"
	"airlock/trust"
)

// grant gives the world's Space a quota.
func (w *world) grant(q server.Quota) {
	w.t.Helper()
	if err := w.srv.SetQuota(context.Background(), server.Operator, w.ID.Space, q); err != nil {
		w.t.Fatal(err)
	}
}

func wantQuota(t *testing.T, err error, what string) {
	t.Helper()
	if q, ok := errors.AsType[*feedhttp.QuotaError](err); !ok || q.What != what || q.Want <= q.Max {
		t.Errorf("got %v, want a refusal for %s", err, what)
	}
}

// TestQuotaOfPackages counts over all feeds of the Space, on every server; what is
// sent again is no more, and withdrawing and identities always pass.
func TestQuotaOfPackages(t *testing.T) {
	ctx := t.Context()
	w := newWorld(t, storage.NewMem())
	w.grant(server.Quota{Packages: 3})
	other := w.server(server.Config{})
	second := feedtest.AuthorOf(t, w.Space, "second")
	a := w.Publish("file/a@1")
	w.mustSend(append(w.Opening(), a)...)
	if _, err := other.Publish(ctx, reader, batch(second.ID, append(second.Opening(), second.Publish("file/b@1"))...)); err != nil {
		t.Fatal(err)
	}
	w.clock.add(10 * time.Second) // for the new feed to be seen
	two := []feedtest.Signed{w.Publish("file/c@1"), w.Publish("file/d@1")}
	_, err := w.send(two...)
	wantQuota(t, err, "packages")
	_, err = other.Expect(ctx, reader, w.ID, batch(w.ID, two...).Statements, nil)
	wantQuota(t, err, "packages")
	w.mustSend(two[0])
	_, err = other.Publish(ctx, reader, batch(w.ID, two[1]))
	wantQuota(t, err, "packages")
	w.mustSend(a, two[0])
	w.mustSend(w.Withdraw("file/a@1"))
	w.Space.Next(func(*trust.Identity) {})
	w.mustSend(w.Identity(2)...)
	if u, err := w.srv.Usage(ctx, server.Operator, w.ID.Space); err != nil || u.Packages != 3 {
		t.Errorf("usage %+v, %v", u, err)
	}
	w.grant(server.Quota{Packages: 4})
	w.mustSend(two[1])
	w.grant(server.Quota{})
	w.mustSend(w.Publish("file/e@1"))
}

// TestQuotaOfBytes counts what entries name, and what is announced and has not
// come yet.
func TestQuotaOfBytes(t *testing.T) {
	ctx := t.Context()
	w := withSpool(t)
	w.grant(server.Quota{Bytes: 500 << 10})
	first := storetest.Random(1, 300<<10)
	one := w.Publish("file/a@1", feedtest.File{Path: "a", Data: first})
	if _, err := w.srv.Expect(ctx, reader, w.ID, []signing.Attestation{one.Attestation}, one.Objects[:1]); err != nil {
		t.Fatal(err)
	}
	two := w.Publish("file/b@1", feedtest.File{Path: "b", Data: storetest.Random(2, 300<<10)})
	_, err := w.srv.Expect(ctx, reader, w.ID, []signing.Attestation{two.Attestation}, two.Objects[:1])
	wantQuota(t, err, "bytes")
	// Announced again it is no more than before.
	if _, err := w.srv.Expect(ctx, reader, w.ID, []signing.Attestation{one.Attestation}, one.Objects[:1]); err != nil {
		t.Error(err)
	}
	if _, err := w.srv.Upload(ctx, reader, w.ID, storage.DigestOf(first), 0, bytes.NewReader(first)); err != nil {
		t.Fatal(err)
	}
	w.mustSend(one)
	_, err = w.send(two)
	wantQuota(t, err, "bytes")
	// The same bytes under another name take no more, but for manifest and entry.
	w.mustSend(w.Publish("file/c@1", feedtest.File{Path: "a", Data: first}))
	u, err := w.srv.Usage(ctx, server.Operator, w.ID.Space)
	if err != nil || u.Bytes < 300<<10 || u.Bytes > 330<<10 || u.Packages != 2 {
		t.Errorf("usage %+v, %v", u, err)
	}
	w.grant(server.Quota{Bytes: 1})
	w.mustSend(w.Withdraw("file/c@1"))
	w.Space.Next(func(*trust.Identity) {})
	w.mustSend(w.Identity(2)...)
	w.grant(server.Quota{Bytes: 700 << 10})
	w.mustSend(two)
}

// TestQuotaAfterAnnouncement: what was announced and did not come in time takes
// nothing of a quota any more.
func TestQuotaAfterAnnouncement(t *testing.T) {
	w := withSpool(t)
	w.grant(server.Quota{Bytes: 500 << 10})
	never := w.Publish("file/a@1", feedtest.File{Path: "a", Data: storetest.Random(1, 450<<10)})
	if _, err := w.srv.Expect(t.Context(), reader, w.ID, []signing.Attestation{never.Attestation}, never.Objects[:1]); err != nil {
		t.Fatal(err)
	}
	instead := w.Publish("file/b@1", feedtest.File{Path: "b", Data: storetest.Random(2, 100<<10)})
	_, err := w.send(instead)
	wantQuota(t, err, "bytes")
	w.clock.add(time.Hour + time.Second)
	w.mustSend(instead)
}

// TestQuotaOfRequests: a Space that asks more often than it is granted is refused,
// and others are not.
func TestQuotaOfRequests(t *testing.T) {
	w := newWorld(t, storage.NewMem())
	w.mustSend(w.Opening()...)
	w.grant(server.Quota{Requests: 5})
	_, text := w.token(w.ID.Space)
	_, administrator := w.token(trust.Space{})
	h := handlerOf(t, w.srv)
	ask := func(token string) int { return get(h, "/v1/feeds", token).Code }
	count := func(n int, token string) (ok int) {
		for range n {
			if ask(token) == http.StatusOK {
				ok++
			}
		}
		return ok
	}
	if ok := count(20, text); ok != 5 {
		t.Errorf("%d of 20 at once were granted, want 5", ok)
	}
	if got := get(h, "/v1/feeds", text); got.Code != 429 || got.Header().Get("Retry-After") != "1" {
		t.Errorf("%d %v", got.Code, got.Header())
	}
	if ok := count(20, administrator); ok != 20 {
		t.Errorf("%d of 20 of an administrator were granted", ok)
	}
	w.clock.add(400 * time.Millisecond)
	if ok := count(20, text); ok != 2 {
		t.Errorf("%d of 20 after 0.4 s were granted, want 2", ok)
	}
	w.clock.add(time.Hour)
	if ok := count(20, text); ok != 5 {
		t.Errorf("%d of 20 after an hour were granted, want 5", ok)
	}
	w.clock.add(-30 * time.Minute) // set back
	if ok := count(20, text); ok != 5 {
		t.Errorf("%d of 20 after the clock was set back were granted, want 5", ok)
	}
}

// TestQuotaRefused: who may not grant, and what.
func TestQuotaRefused(t *testing.T) {
	ctx := t.Context()
	w := newWorld(t, storage.NewMem())
	var log bytes.Buffer
	w.srv = w.server(server.Config{Audit: slog.New(slog.NewJSONHandler(&log, nil))})
	owner := feedhttp.Caller{Role: feedhttp.Enrolled, Space: w.ID.Space}
	wantDenied(t, w.srv.SetQuota(ctx, owner, w.ID.Space, server.Quota{Bytes: 1}), server.RuleCaller)
	_, err := w.srv.Quota(ctx, owner, w.ID.Space)
	wantDenied(t, err, server.RuleCaller)
	_, err = w.srv.Usage(ctx, owner, w.ID.Space)
	wantDenied(t, err, server.RuleCaller)
	wantDenied(t, w.srv.SetQuota(ctx, server.Operator, trust.Space{Organisation: "acme", Name: "never"}, server.Quota{Bytes: 1}), server.RuleAdmission)
	for _, q := range []server.Quota{{Bytes: -1}, {Packages: 1 << 53}, {Requests: 1_000_001}} {
		if err := w.srv.SetQuota(ctx, server.Operator, w.ID.Space, q); !errors.As(err, new(*feedhttp.RequestError)) {
			t.Errorf("%+v: %v", q, err)
		}
	}
	w.grant(server.Quota{Bytes: 7, Packages: 8, Requests: 9})
	if q, err := w.srv.Quota(ctx, server.Operator, w.ID.Space); err != nil || q != (server.Quota{Bytes: 7, Packages: 8, Requests: 9}) {
		t.Errorf("%+v, %v", q, err)
	}
	if want := `"operation":"quota","thing":"acme/dev-qa","caller":"administrator","credential":"","address":"local","request":"","bytes":7,"packages":8,"requests":9`; !strings.Contains(log.String(), want) {
		t.Errorf("audit log: %s", log.String())
	}
}

// TestQuotaOverHTTP: a client learns what is too much, as on the server's side.
func TestQuotaOverHTTP(t *testing.T) {
	w := newWorld(t, storage.NewMem())
	w.mustSend(w.Opening()...)
	w.grant(server.Quota{Packages: 1})
	_, err := client(t, w.srv).Publish(t.Context(), batch(w.ID, w.Publish("file/a@1"), w.Publish("file/b@1")))
	wantQuota(t, err, "packages")
	if want := "acme/dev-qa would have 2 packages, and its quota is 1"; err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("got %v", err)
	}
}

// TestQuotaOfNewFeeds: a Space gets no more by opening feed after feed.
func TestQuotaOfNewFeeds(t *testing.T) {
	w := newWorld(t, storage.NewMem())
	w.grant(server.Quota{Packages: 3})
	for i := range 6 {
		a := feedtest.AuthorOf(t, w.Space, fmt.Sprintf("feed-%d", i))
		_, err := w.srv.Publish(t.Context(), reader, batch(a.ID, append(a.Opening(), a.Publish("file/a@1"))...))
		if i < 3 && err != nil {
			t.Fatal(err)
		}
		if i >= 3 {
			wantQuota(t, err, "packages")
		}
	}
}

// TestQuotaTogether: batches that come at once get no more than one after the
// other. A refused one leaves nothing counted.
func TestQuotaTogether(t *testing.T) {
	w := newWorld(t, storage.NewMem())
	var arrived sync.WaitGroup
	arrived.Add(20)
	w.grant(server.Quota{Packages: 4})
	w.mustSend(w.Opening()...)
	var ok, refused atomic.Int64
	var wg sync.WaitGroup
	var signed []feedtest.Signed
	for i := range 20 {
		signed = append(signed, w.Publish(fmt.Sprintf("file/n%d@1", i)))
	}
	for _, s := range signed {
		wg.Go(func() {
			arrived.Done()
			arrived.Wait()
			_, err := w.send(s)
			if _, isQuota := errors.AsType[*feedhttp.QuotaError](err); isQuota {
				refused.Add(1)
			} else if err != nil {
				t.Error(err)
			} else {
				ok.Add(1)
			}
		})
	}
	wg.Wait()
	if ok.Load() > 4 || ok.Load()+refused.Load() != 20 {
		t.Errorf("%d batches were taken, %d refused", ok.Load(), refused.Load())
	}
	for _, s := range signed { // one after the other, the grant is used up, and not more
		_, _ = w.send(s)
	}
	if u, err := w.srv.Usage(t.Context(), server.Operator, w.ID.Space); err != nil || u.Packages != 4 {
		t.Errorf("usage %+v, %v", u, err)
	}
}
