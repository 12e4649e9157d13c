package tsa_test

import (
	"bytes"
	"context"
	"crypto"
	"io"
	"log/slog"
	"math/big"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/digitorus/timestamp"

	"airlock/internal/tsa"
	"airlock/signing"
)

var now = time.Date(2026, 2, 3, 4, 5, 6, 0, time.UTC)

func clock() time.Time { return now }

func newIdentity(t testing.TB) *tsa.Identity {
	t.Helper()
	id, err := tsa.NewIdentity("acme/production", now)
	if err != nil {
		t.Fatal(err)
	}
	return id
}

func believe(t *testing.T, id *tsa.Identity) *signing.Authorities {
	t.Helper()
	a, err := signing.ParseAuthorities(id.RootPEM())
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func serve(t *testing.T, h http.Handler) string {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return s.URL
}

func client(url string, believed *signing.Authorities) *tsa.Client {
	return &tsa.Client{URL: url, HTTP: http.DefaultClient, Authorities: believed, Now: clock}
}

// A token comes over HTTP as in the process, with a nonce.
func TestClient(t *testing.T) {
	id := newIdentity(t)
	h := tsa.Handler(tsa.New(id, clock), slog.New(slog.DiscardHandler))
	token, err := client(serve(t, h), believe(t, id)).Stamp(t.Context(), []byte("signature"))
	if err != nil {
		t.Fatal(err)
	}
	got, err := believe(t, id).VerifyToken(token, []byte("signature"))
	if err != nil || !got.Time.Equal(now) || got.Nonce == nil {
		t.Errorf("%+v, %v", got, err)
	}
}

// answers is a server that answers with what it was given.
func answers(b []byte) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(b) })
}

// An answer to another request, by another authority, of another day, too long
// or none is refused.
func TestClientRefuses(t *testing.T) {
	id := newIdentity(t)
	own := tsa.New(id, clock)
	old, err := own.Stamp(context.Background(), []byte("signature"))
	if err != nil {
		t.Fatal(err)
	}
	late := tsa.New(id, func() time.Time { return now.AddDate(0, 0, 2) })
	early := tsa.New(id, func() time.Time { return now.Add(-25 * time.Hour) })
	discard := slog.New(slog.DiscardHandler)
	for name, c := range map[string]struct {
		h    http.Handler
		want string
	}{
		"replayed":          {answers(old), "answers another request"},
		"another authority": {tsa.Handler(tsa.New(newIdentity(t), clock), discard), "unknown authority"},
		"clock ahead":       {tsa.Handler(late, discard), "a day or more"},
		"clock behind":      {tsa.Handler(early, discard), "not yet valid"},
		"too long":          {answers(make([]byte, 17<<10)), "more than 16 KiB"},
		"nothing":           {answers(nil), "not a granted"},
		"not found":         {http.NotFoundHandler(), "404"},
	} {
		_, err := client(serve(t, c.h), believe(t, id)).Stamp(t.Context(), []byte("signature"))
		if err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), "time authority http://") {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
}

// What cannot be granted is answered as RFC 3161 has it.
func TestRespondRefuses(t *testing.T) {
	own := tsa.New(newIdentity(t), clock)
	digest := make([]byte, 32)
	marshal := func(r timestamp.Request) []byte {
		b, err := r.Marshal()
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	for name, request := range map[string][]byte{
		"nothing":        nil,
		"no request":     []byte("hello"),
		"weak digest":    marshal(timestamp.Request{HashAlgorithm: crypto.SHA1, HashedMessage: digest[:20]}),
		"short digest":   marshal(timestamp.Request{HashAlgorithm: crypto.SHA256, HashedMessage: digest[:20]}),
		"another policy": marshal(timestamp.Request{HashAlgorithm: crypto.SHA256, HashedMessage: digest, TSAPolicyOID: []int{1, 2, 3}}),
	} {
		response, err := own.Respond(request)
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if _, err := timestamp.ParseResponse(response); err == nil || !strings.Contains(err.Error(), "rejected") {
			t.Errorf("%s: %v", name, err)
		}
	}
	response, err := own.Respond(marshal(timestamp.Request{HashAlgorithm: crypto.SHA256, HashedMessage: digest, Nonce: big.NewInt(3), Certificates: true}))
	if err != nil {
		t.Fatal(err)
	}
	if ts, err := timestamp.ParseResponse(response); err != nil || !bytes.Equal(ts.HashedMessage, digest) || ts.Nonce.Int64() != 3 {
		t.Errorf("a good request: %v", err)
	}
}

// The handler takes what RFC 3161 sends, and no more of it than a request is.
func TestHandlerRefuses(t *testing.T) {
	h := tsa.Handler(tsa.New(newIdentity(t), clock), slog.New(slog.DiscardHandler))
	for _, c := range []struct {
		method, kind string
		body         int
		status       int
	}{
		{"GET", "", 0, 405},
		{"POST", "text/plain", 10, 415},
		{"POST", "application/timestamp-query", tsa.MaxRequest + 1, 413},
		{"POST", "application/timestamp-query", 10, 200},
	} {
		r := httptest.NewRequest(c.method, "/", io.LimitReader(strings.NewReader(strings.Repeat("x", 10000)), int64(c.body)))
		r.Header.Set("Content-Type", c.kind)
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		if w.Code != c.status {
			t.Errorf("%s %s with %d bytes: %d, want %d", c.method, c.kind, c.body, w.Code, c.status)
		}
	}
}

func TestIdentityFile(t *testing.T) {
	id := newIdentity(t)
	file, err := id.Format()
	if err != nil {
		t.Fatal(err)
	}
	again, err := tsa.ParseIdentity(file)
	if err != nil {
		t.Fatal(err)
	}
	if text, err := again.Format(); err != nil || !bytes.Equal(text, file) {
		t.Errorf("became %s, %v", text, err)
	}
	other, err := newIdentity(t).Format()
	if err != nil {
		t.Fatal(err)
	}
	key := func(f []byte) string { return string(f[bytes.Index(f, []byte("-----BEGIN PRIVATE")):]) }
	certs := strings.TrimSuffix(string(file), key(file))
	for name, text := range map[string]string{
		"empty":             "",
		"certificates only": certs,
		"key of another":    certs + key(other),
		"key first":         key(file) + certs,
		"more behind":       string(file) + "more",
		"oversized":         string(file) + strings.Repeat(" ", 32<<10),
		"root of another":   string(id.Chain()[:len(id.Chain())-len(id.RootPEM())]) + string(newIdentity(t).RootPEM()) + key(file),
	} {
		if _, err := tsa.ParseIdentity([]byte(text)); err == nil || strings.Contains(err.Error(), key(file)) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// FuzzIdentity: what is read is written so that it is read the same.
func FuzzIdentity(f *testing.F) {
	file, err := newIdentity(f).Format()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(file)
	f.Add(file[:len(file)/2])
	f.Add(bytes.Replace(file, []byte("PRIVATE"), []byte("PUBLIC"), 2))
	f.Fuzz(func(t *testing.T, text []byte) {
		id, err := tsa.ParseIdentity(text)
		if err != nil {
			return
		}
		again, err := id.Format()
		if err != nil {
			t.Fatal(err)
		}
		other, err := tsa.ParseIdentity(again)
		if err != nil || !other.Key.Equal(id.Key) || !other.Leaf.Equal(id.Leaf) || !other.Root.Equal(id.Root) {
			t.Errorf("%s became %s, %v", text, again, err)
		}
	})
}

// FuzzRequest: whatever a request is, it is answered.
func FuzzRequest(f *testing.F) {
	own := tsa.New(newIdentity(f), clock)
	good, err := (&timestamp.Request{HashAlgorithm: crypto.SHA256, HashedMessage: make([]byte, 32), Nonce: big.NewInt(3)}).Marshal()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	f.Add(good[:10])
	f.Fuzz(func(t *testing.T, request []byte) {
		if response, err := own.Respond(request); err != nil || len(response) == 0 {
			t.Errorf("%x: %x, %v", request, response, err)
		}
	})
}
