package server_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"golang.org/x/mod/sumdb/tlog"

	"airlock/feed"
	"airlock/feed/feedhttp"
	"airlock/feed/feedtest"
	"airlock/internal/server"
	"airlock/storage"
	"airlock/trust"
)

// What the store holds counts no more than it is worth: who may write to it
// still cannot make another Space out of one that was admitted.
func TestIdentityOfAnother(t *testing.T) {
	ctx := context.Background()
	twin := feedtest.NewAuthor(t, "acme/dev-qa/shared")
	twin.Space.Next(func(*trust.Identity) {})
	for name, file := range map[string]struct {
		key     string
		content []byte
	}{
		"another lineage": {"000002", twin.Space.File()},
		"no identity":     {"000002", []byte("nonsense")},
		"no version":      {"newest", twin.Space.File()},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, storage.NewMem())
			w.mustSend(w.Opening()...)
			if err := w.store.Files.Create(ctx, "identity/"+w.ID.String()+"/"+file.key, file.content); err != nil {
				t.Fatal(err)
			}
			srv := w.server(server.Config{})
			for who, s := range map[string]feedtest.Signed{"the twin": twin.Publish("file/a@1"), "the Space": w.Publish("file/a@1")} {
				if _, err := srv.Publish(ctx, reader, batch(w.ID, s)); err == nil || !strings.Contains(err.Error(), "not an identity file") {
					t.Errorf("%s: %v", who, err)
				}
			}
		})
	}
}

// An object that is in the store already counts at its own size only.
func TestSizeOfStored(t *testing.T) {
	w := newWorld(t, storage.NewMem())
	w.mustSend(append(w.Opening(), w.Publish("file/a@1"))...)
	for what, change := range map[string]func(*feed.Manifest){
		"another size": func(m *feed.Manifest) { m.Layers[0].Size++ },
		"two sizes": func(m *feed.Manifest) {
			again := m.Layers[0]
			again.Path = "again"
			m.Layers[0].Size++
			m.Layers = append(m.Layers, again)
		},
	} {
		b := republished(w, "file/b@1", func(m *feed.Manifest) {
			m.Layers[0].Ref = storage.RefOf([]byte("file/a@1"))
			change(m)
		})
		b.Objects = b.Objects[:1]
		if _, err := w.srv.Publish(context.Background(), reader, b); err == nil || !strings.Contains(err.Error(), "bytes, not") || w.size() != 3 {
			t.Errorf("%s: %v, %d entries", what, err, w.size())
		}
	}
}

// fixedFloor knows one head, of any feed.
type fixedFloor struct{ size int64 }

func (f fixedFloor) Lowest(feed.ID) (uint64, int64, tlog.Hash) { return 1, f.size, tlog.Hash{} }
func (f fixedFloor) Raise(feed.ID, uint64, int64, tlog.Hash)   {}

// A store that holds less than the operator's own memory is neither served nor
// added to.
func TestBelowTheFloor(t *testing.T) {
	ctx := context.Background()
	w := newWorld(t, storage.NewMem())
	w.mustSend(w.Opening()...)
	srv := w.server(server.Config{Floor: fixedFloor{100}})
	if _, err := srv.Head(ctx, reader, w.ID, 0); !errors.Is(err, feedhttp.ErrWentBack) {
		t.Errorf("served: %v", err)
	}
	if _, err := srv.Publish(ctx, reader, batch(w.ID, w.Publish("file/a@1"))); !errors.Is(err, feedhttp.ErrWentBack) {
		t.Errorf("added to: %v", err)
	}
}
