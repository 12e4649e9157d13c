package server_test

import (
	"context"
	"slices"
	"testing"

	"airlock/feed/feedhttp"
	"airlock/feed/feedtest"
	"airlock/internal/server"
	"airlock/storage"
	"airlock/trust"
)

// TestCarryOver: whom a store of the format before has dismissed is dismissed,
// nobody else is, and what no version wrote is not guessed at.
func TestCarryOver(t *testing.T) {
	ctx := context.Background()
	w := newWorld(t, storage.NewMem())
	gone, back := feedtest.NewAuthor(t, "acme/gone/shared"), feedtest.NewAuthor(t, "acme/back/shared")
	w.admit(gone)
	w.admit(back)
	earlier := func(a *feedtest.Author, value string) {
		t.Helper()
		if _, err := w.store.Cells.Swap(ctx, "admission/"+a.ID.Space.String(), "", []byte(value)); err != nil {
			t.Fatal(err)
		}
	}
	earlier(gone, "dismissed")
	earlier(back, "in force")
	if _, err := w.srv.CarryOver(ctx, feedhttp.Caller{Role: feedhttp.Enrolled, Space: gone.ID.Space}); err == nil {
		t.Error("who administers nothing may")
	}
	for range 2 {
		spaces, err := w.srv.CarryOver(ctx, server.Operator)
		if err != nil || !slices.Equal(spaces, []trust.Space{gone.ID.Space}) {
			t.Errorf("carried over %v, %v", spaces, err)
		}
	}
	for _, a := range []*feedtest.Author{gone, back, w.Author} {
		if d, err := w.srv.Dismissed(ctx, a.ID.Space); err != nil || d != (a == gone) {
			t.Errorf("%s dismissed: %v, %v", a.ID.Space, d, err)
		}
	}
	earlier(w.Author, "maybe")
	if spaces, err := w.srv.CarryOver(ctx, server.Operator); err == nil {
		t.Errorf("carried over %v", spaces)
	}
}
