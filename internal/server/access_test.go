package server_test

import (
	"context"
	"errors"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"airlock/feed"
	"airlock/feed/feedhttp"
	"airlock/feed/feedtest"
	"airlock/storage"
)

const readToken = "a-token-for-the-readers"

// TestReceiptsNeedCredential asks every read of a feed, over HTTP: receipts are
// for callers with a credential alone, also on a server that is open.
func TestReceiptsNeedCredential(t *testing.T) {
	w := newWorld(t, storage.NewMem())
	own := feedtest.AuthorOf(t, w.Space, feed.ReceiptsName)
	first := own.Publish("file/a@1")
	for _, a := range []*feedtest.Author{w.Author, own} {
		statements := append(a.Opening(), first)
		if a == w.Author {
			statements = append(a.Opening(), a.Publish("file/a@1"))
		}
		if _, err := w.srv.Publish(context.Background(), reader, batch(a.ID, statements...)); err != nil {
			t.Fatal(err)
		}
	}
	object := storage.DigestOf(first.Objects[0]).Hex()
	paths := []string{"checkpoint", "segment/000.p/3", "pack/000.p/3", "tile/0/000.p/3", "tile/entries/000.p/3", "object/" + object}
	for _, server := range []struct {
		name   string
		config feedhttp.Config
	}{
		{"open", feedhttp.Config{Reader: w.srv, Writer: w.srv, Open: true}},
		{"tokens", feedhttp.Config{Reader: w.srv, Writer: w.srv, ReadTokens: [][32]byte{feedhttp.HashToken(readToken)}}},
	} {
		h, err := feedhttp.New(server.config)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = h.Close() })
		for _, path := range paths {
			for _, c := range []struct {
				feed, token string
				status      int
			}{
				{"shared", "", map[bool]int{true: 200, false: 401}[server.config.Open]},
				{"receipts", "", 401},
				{"receipts", "wrong", 401},
				{"receipts", readToken, map[bool]int{true: 401, false: 200}[server.config.Open]},
			} {
				if got := get(h, "/v1/feeds/acme/dev-qa/"+c.feed+"/"+path, c.token); got.Code != c.status {
					t.Errorf("%s: %s/%s with token %q: %d, want %d: %s", server.name, c.feed, path, c.token, got.Code, c.status, got.Body)
				}
			}
		}
		listed := get(h, "/v1/feeds", map[bool]string{false: readToken}[server.config.Open]).Body.String()
		if !strings.Contains(listed, "acme/dev-qa/shared") || strings.Contains(listed, "receipts") == server.config.Open {
			t.Errorf("%s: feeds are %s", server.name, listed)
		}
	}
}

func get(h http.Handler, path, token string) *httptest.ResponseRecorder {
	r := httptest.NewRequest("GET", path, nil)
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

// TestMayRead asks the methods of the server themselves.
func TestMayRead(t *testing.T) {
	w := newWorld(t, storage.NewMem())
	own := feedtest.AuthorOf(t, w.Space, feed.ReceiptsName)
	if _, err := w.srv.Publish(t.Context(), reader, batch(own.ID, own.Opening()...)); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		caller feedhttp.Caller
		want   error
	}{
		{feedhttp.Caller{}, fs.ErrNotExist},
		{feedhttp.Caller{MayRead: true}, feedhttp.ErrUnauthorized},
		{feedhttp.Caller{MayRead: true, Credential: true}, nil},
	} {
		_, _, head := w.srv.Head(t.Context(), c.caller, own.ID)
		_, part := w.srv.Part(t.Context(), c.caller, own.ID, feedhttp.Part{Kind: feedhttp.Segment, Width: 1})
		_, object := w.srv.Object(t.Context(), c.caller, own.ID, storage.DigestOf(feed.EmptyConfig), 0)
		_, chunks := w.srv.Chunks(t.Context(), c.caller, own.ID, storage.DigestOf(feed.EmptyConfig))
		for name, err := range map[string]error{"head": head, "part": part, "object": object} {
			if !errors.Is(err, c.want) {
				t.Errorf("%+v: %s: %v, want %v", c.caller, name, err, c.want)
			}
		}
		if c.want != nil && !errors.Is(chunks, c.want) {
			t.Errorf("%+v: chunks: %v, want %v", c.caller, chunks, c.want)
		}
		feeds, err := w.srv.Feeds(t.Context(), c.caller)
		if err != nil || slices.Contains(feeds, own.ID) != (c.want == nil) {
			t.Errorf("%+v: lists %v, %v", c.caller, feeds, err)
		}
	}
}
