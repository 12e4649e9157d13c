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
	"time"

	"airlock/feed"
	"airlock/feed/feedhttp"
	"airlock/feed/feedtest"
	"airlock/internal/server"
	"airlock/storage"
	"airlock/trust"
)

// withReceipts is a world whose Space has a feed that names people.
func withReceipts(t *testing.T) (*world, *feedtest.Author, feedtest.Signed) {
	w := newWorld(t, storage.NewMem())
	own := feedtest.AuthorOf(t, w.Space, feed.ReceiptsName)
	first := own.Publish("file/a@1")
	w.mustSend(append(w.Opening(), w.Publish("file/a@1"))...)
	if _, err := w.srv.Publish(context.Background(), reader, batch(own.ID, append(own.Opening(), first)...)); err != nil {
		t.Fatal(err)
	}
	return w, own, first
}

// token makes a token, good for a day.
func (w *world) token(space trust.Space, feeds ...feed.Pattern) (id, text string) {
	w.t.Helper()
	made, text, err := w.srv.AddToken(context.Background(), server.Operator, server.Token{Space: space, Feeds: feeds, Until: w.clock.Now().Add(24 * time.Hour)})
	if err != nil {
		w.t.Fatal(err)
	}
	return made.ID, text
}

// handlerOf serves a server's feeds.
func handlerOf(t *testing.T, s *server.Server) *feedhttp.Handler {
	t.Helper()
	h, err := feedhttp.New(feedhttp.Config{Reader: s, Writer: s, Callers: s})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = h.Close() })
	return h
}

// TestReceiptsNeedCredential asks every read of a feed, over HTTP: receipts are
// for callers with a credential alone, also on a server that is open.
func TestReceiptsNeedCredential(t *testing.T) {
	w, _, first := withReceipts(t)
	_, administrator := w.token(trust.Space{})
	_, owner := w.token(w.ID.Space)
	object := storage.DigestOf(first.Objects[0]).Hex()
	paths := []string{"checkpoint", "segment/000.p/3", "pack/000.p/3", "tile/0/000.p/3", "tile/entries/000.p/3", "object/" + object}
	for name, srv := range map[string]*server.Server{"open": w.srv, "closed": w.closed()} {
		h := handlerOf(t, srv)
		for _, path := range paths {
			for _, c := range []struct {
				feed, token string
				status      int
			}{
				{"shared", "", map[string]int{"open": 200, "closed": 401}[name]},
				{"receipts", "", 401},
				{"receipts", "wrong", 401},
				{"receipts", "airlock_00aaaaaaaaaa_aaaaaaaaaaaaaaaaaaaaaaaaaa", 401},
				{"receipts", owner, 200},
				{"receipts", administrator, 200},
			} {
				if got := get(h, "/v1/feeds/acme/dev-qa/"+c.feed+"/"+path, c.token); got.Code != c.status {
					t.Errorf("%s: %s/%s with token %q: %d, want %d: %s", name, c.feed, path, c.token, got.Code, c.status, got.Body)
				}
			}
		}
		for token, want := range map[string]bool{"": false, owner: true, administrator: true} {
			got := heads(h, `{"known":{"acme/dev-qa/receipts":0,"acme/dev-qa/shared":0},"wait":0}`, token)
			if (got.Code == 200) != (name == "open" || token != "") || got.Code == 200 && !strings.Contains(got.Body.String(), `"acme/dev-qa/shared":`) || strings.Contains(got.Body.String(), "receipts") != want {
				t.Errorf("%s: with token %q heads are %d %s", name, token, got.Code, got.Body)
			}
			listed := get(h, "/v1/feeds", token).Body.String()
			if strings.Contains(listed, "acme/dev-qa/shared") != (name == "open" || token != "") || strings.Contains(listed, "receipts") != want {
				t.Errorf("%s: with token %q feeds are %s", name, token, listed)
			}
		}
	}
}

func get(h http.Handler, path, token string) *httptest.ResponseRecorder {
	return ask(h, httptest.NewRequest("GET", path, nil), token)
}

// heads asks for heads, as the body says.
func heads(h http.Handler, body, token string) *httptest.ResponseRecorder {
	r := httptest.NewRequest("POST", "/v1/heads", strings.NewReader(body))
	r.Header.Set("Content-Type", "application/json")
	return ask(h, r, token)
}

func ask(h http.Handler, r *http.Request, token string) *httptest.ResponseRecorder {
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

// TestMayRead asks the methods of the server themselves.
func TestMayRead(t *testing.T) {
	w, own, _ := withReceipts(t)
	other := trust.Space{Organisation: "acme", Name: "other"}
	for _, c := range []struct {
		caller feedhttp.Caller
		want   error
	}{
		{feedhttp.Caller{}, feedhttp.ErrUnauthorized},
		{feedhttp.Caller{Role: feedhttp.Enrolled, Space: other}, fs.ErrNotExist},
		{feedhttp.Caller{Role: feedhttp.Enrolled, Space: w.ID.Space}, nil},
		{feedhttp.Caller{Role: feedhttp.Enrolled, Space: w.ID.Space, Feeds: []feed.Pattern{"*/*/shared"}}, fs.ErrNotExist},
		{feedhttp.Caller{Role: feedhttp.Administrator}, nil},
		{feedhttp.Caller{Role: feedhttp.Administrator, Feeds: []feed.Pattern{"acme/other/*"}}, fs.ErrNotExist},
		{feedhttp.Caller{Role: feedhttp.Peer}, nil},
	} {
		_, head := w.srv.Head(t.Context(), c.caller, own.ID, 0)
		_, part := w.srv.Part(t.Context(), c.caller, own.ID, feedhttp.Part{Kind: feedhttp.Segment, Width: 1})
		_, object := w.srv.Object(t.Context(), c.caller, own.ID, storage.DigestOf(feed.EmptyConfig), feedhttp.Of{}, 0)
		_, chunks := w.srv.Chunks(t.Context(), c.caller, own.ID, storage.DigestOf(feed.EmptyConfig))
		for name, err := range map[string]error{"head": head, "part": part, "object": object} {
			if !errors.Is(err, c.want) {
				t.Errorf("%+v: %s: %v, want %v", c.caller, name, err, c.want)
			}
		}
		if c.want != nil && !errors.Is(chunks, c.want) {
			t.Errorf("%+v: chunks: %v, want %v", c.caller, chunks, c.want)
		}
		heads, err := w.srv.Heads(t.Context(), c.caller, map[feed.ID]int64{own.ID: 0}, 0)
		if err != nil || (len(heads) == 1) != (c.want == nil) {
			t.Errorf("%+v: heads %v, %v", c.caller, heads, err)
		}
		feeds, err := w.srv.Feeds(t.Context(), c.caller, nil)
		if err != nil || slices.Contains(feeds, own.ID) != (c.want == nil) {
			t.Errorf("%+v: lists %v, %v", c.caller, feeds, err)
		}
		of, err := w.srv.Feeds(t.Context(), c.caller, []trust.Space{own.ID.Space})
		elsewhere, otherErr := w.srv.Feeds(t.Context(), c.caller, []trust.Space{{Organisation: "acme", Name: "nobody"}})
		if err != nil || otherErr != nil || slices.Contains(of, own.ID) != (c.want == nil) || len(elsewhere) > 0 {
			t.Errorf("%+v: lists of the Space %v, %v, of another %v, %v", c.caller, of, err, elsewhere, otherErr)
		}
	}
}

// TestMayAppend asks who may bring what a Space signed.
func TestMayAppend(t *testing.T) {
	w := newWorld(t, storage.NewMem())
	closed := w.closed()
	other := trust.Space{Organisation: "acme", Name: "other"}
	first := batch(w.ID, w.Opening()...)
	for _, c := range []struct {
		caller feedhttp.Caller
		want   error
	}{
		{feedhttp.Caller{}, feedhttp.ErrUnauthorized},
		{feedhttp.Caller{Role: feedhttp.Enrolled, Space: other}, trust.ErrUntrusted},
		{feedhttp.Caller{Role: feedhttp.Enrolled, Space: w.ID.Space, Feeds: []feed.Pattern{"acme/dev-qa/other"}}, trust.ErrUntrusted},
		{feedhttp.Caller{Role: feedhttp.Enrolled, Space: w.ID.Space}, nil},
		{feedhttp.Caller{Role: feedhttp.Administrator}, nil},
		{feedhttp.Caller{Role: feedhttp.Peer}, nil},
	} {
		_, publish := closed.Publish(t.Context(), c.caller, first)
		_, expect := closed.Expect(t.Context(), c.caller, w.ID, first.Statements, nil)
		_, offset := closed.Offset(t.Context(), c.caller, w.ID, storage.DigestOf([]byte("x")))
		_, upload := closed.Upload(t.Context(), c.caller, w.ID, storage.DigestOf([]byte("x")), 0, strings.NewReader("x"))
		for name, err := range map[string]error{"append": closed.MayAppend(t.Context(), c.caller, w.ID), "publish": publish, "expect": expect} {
			if !errors.Is(err, c.want) {
				t.Errorf("%+v: %s: %v, want %v", c.caller, name, err, c.want)
			}
		}
		want := c.want
		if want == nil {
			want = fs.ErrNotExist // nobody expects it
		}
		if !errors.Is(offset, want) || !errors.Is(upload, want) {
			t.Errorf("%+v: offset: %v; upload: %v; want %v", c.caller, offset, upload, want)
		}
	}
}

// TestAdministrators: what is the operator's alone nobody else does.
func TestAdministrators(t *testing.T) {
	ctx := t.Context()
	w := newWorld(t, storage.NewMem())
	stranger := feedtest.NewAuthor(t, "acme/other/shared")
	for _, c := range []feedhttp.Caller{
		{},
		{Role: feedhttp.Enrolled, Space: w.ID.Space},
		{Role: feedhttp.Administrator, Feeds: []feed.Pattern{"*/*/*"}},
		{Role: feedhttp.Peer},
	} {
		_, admit := w.srv.Admit(ctx, c, stranger.Space.File())
		_, _, add := w.srv.AddToken(ctx, c, server.Token{Until: w.clock.Now().Add(time.Hour)})
		_, list := w.srv.Tokens(ctx, c)
		_, revoke := w.srv.RevokeToken(ctx, c, "00aaaaaaaaaa")
		_, mirror := w.srv.Mirror(ctx, c, nil, &feed.State{ID: w.ID})
		for _, err := range []error{admit, mirror, w.srv.Dismiss(ctx, c, w.ID.Space), add, list, revoke} {
			wantDenied(t, err, server.RuleCaller)
		}
	}
}
