package server_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/http/httptest"
	"net/url"
	"testing"

	"airlock/feed/feedhttp"
	"airlock/feed/feedtest"
	"airlock/internal/server"
	"airlock/storage"
	"airlock/trust"
)

// boards is what agents keep their board with: a client or a store.
type boards interface {
	Board(ctx context.Context, space trust.Space) ([]byte, string, error)
	SetBoard(ctx context.Context, space trust.Space, tag string, value []byte) (string, error)
}

// TestBoard: of those who write at the same time one succeeds, over HTTP and on the
// store, whichever server is asked.
func TestBoard(t *testing.T) {
	w := newWorld(t, storage.NewMem())
	space, ctx := w.ID.Space, t.Context()
	over := func(c feedhttp.Config) *feedhttp.Client {
		handler, err := feedhttp.New(c)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = handler.Close() })
		listening := httptest.NewServer(handler)
		t.Cleanup(listening.Close)
		base, err := url.Parse(listening.URL)
		if err != nil {
			t.Fatal(err)
		}
		client, err := feedhttp.NewClient(feedhttp.ClientConfig{Base: base})
		if err != nil {
			t.Fatal(err)
		}
		return client
	}
	other := w.server(server.Config{})
	if _, _, err := over(feedhttp.Config{Reader: w.srv}).Board(ctx, space); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a server without boards: %v", err)
	}
	all := []boards{over(feedhttp.Config{Reader: w.srv, Boards: w.srv, Callers: w.srv}), over(feedhttp.Config{Reader: other, Boards: other, Callers: other}), w.srv.Local()}
	tag := ""
	for i, b := range all {
		if value, got, err := b.Board(ctx, space); err != nil || got != tag || (i == 0) != (len(value) == 0) {
			t.Errorf("%d: %q, tag %q, want %q; %v", i, value, got, tag, err)
		}
		value := fmt.Append(nil, i)
		next, err := b.SetBoard(ctx, space, tag, value)
		if err != nil {
			t.Fatal(err)
		}
		for _, other := range all {
			if _, err := other.SetBoard(ctx, space, tag, []byte("late")); !errors.Is(err, storage.ErrConflict) {
				t.Errorf("%d: another one wrote too: %v", i, err)
			}
			if got, _, err := other.Board(ctx, space); err != nil || !bytes.Equal(got, value) {
				t.Errorf("%d: %q is read, %v", i, got, err)
			}
		}
		tag = next
	}
	for i, b := range all {
		if _, err := b.SetBoard(ctx, space, tag, make([]byte, feedhttp.MaxBoard+1)); !as[*feedhttp.LimitError](err) {
			t.Errorf("%d: a larger one: %v", i, err)
		}
		next, err := b.SetBoard(ctx, space, tag, make([]byte, feedhttp.MaxBoard))
		if err != nil {
			t.Errorf("%d: the largest: %v", i, err)
		}
		tag = next
		stranger := feedtest.NewAuthor(t, "acme/stranger/shared").ID.Space
		if _, err := b.SetBoard(ctx, stranger, "", []byte("x")); !as[*trust.DeniedError](err) {
			t.Errorf("%d: of a Space that is not admitted: %v", i, err)
		}
		if _, _, err := b.Board(ctx, stranger); !as[*trust.DeniedError](err) {
			t.Errorf("%d: of a Space that is not admitted: %v", i, err)
		}
	}
}
