package server_test

import (
	"context"
	"errors"
	"io/fs"
	"sync/atomic"
	"testing"
	"time"

	"airlock/feed"
	"airlock/feed/feedhttp"
	"airlock/feed/feedtest"
	"airlock/internal/server"
	"airlock/signing"
	"airlock/storage"
	"airlock/storage/storetest"
	"airlock/trust"
)

// renew makes identity version 2, with carol in the place of alice, and
// returns both.
func renew(w *world) (alice, carol *signing.Signer) {
	alice, carol = w.Space.Publisher, w.Space.Leaf("carol", trust.Publisher)
	w.Space.Next(func(id *trust.Identity) { w.Space.Drop(id, alice); w.Space.List(id, carol) })
	w.Space.Publisher = carol
	return alice, carol
}

// An identity in a feed decides who may sign there from then on: on the server
// that took it, after a restart, and on another server of the store.
func TestLeafRenewed(t *testing.T) {
	w := newWorld(t, storage.NewMem())
	w.mustSend(w.Opening()...)
	other := w.server(server.Config{Fresh: time.Second})
	if _, err := other.Publish(context.Background(), reader, batch(w.ID, w.Publish("file/zero@1"))); err != nil {
		t.Fatal(err)
	}
	alice, carol := renew(w)
	early := w.Draft(carol, "file/a@1", nil, nil)
	_, err := w.send(early)
	wantDenied(t, err, "position")
	w.mustSend(append(w.Identity(2), early)...)
	w.clock.add(2 * time.Second)

	for name, srv := range map[string]*server.Server{"same": w.srv, "restarted": w.server(server.Config{}), "other": other} {
		_, err := srv.Publish(context.Background(), reader, batch(w.ID, w.Draft(alice, "file/by-alice@1", nil, nil)))
		if d, ok := errors.AsType[*trust.DeniedError](err); !ok || d.Rule != "position" {
			t.Errorf("%s server: a dropped leaf: %v", name, err)
		}
		if _, err := srv.Publish(context.Background(), reader, batch(w.ID, w.Draft(carol, "file/"+name+"@1", nil, nil))); err != nil {
			t.Errorf("%s server: the new leaf: %v", name, err)
		}
	}
	if _, void := w.follow(w.srv.Local()); len(void) != 0 {
		t.Errorf("void for readers: %v", void)
	}
}

// openedUnder is what opens a feed under an identity version, signed by a leaf.
func openedUnder(a *feedtest.Author, by *signing.Signer, version int) (out []feedtest.Signed) {
	o := feed.Opening{Epoch: 1, Feed: a.ID, Identity: version, Lineage: a.Space.Lineage(), LogKey: a.Key.Public(), Origin: a.ID.Origin(1)}
	st, err := o.Statement()
	out = append(out, a.Sign(by, st, err))
	for n := range version {
		out = append(out, a.Identity(n+1)...)
	}
	return out
}

// A leaf that was dropped opens no feed of another name, on any server that has
// taken the identity which drops it: there it would count again.
func TestDroppedOpensNothing(t *testing.T) {
	w := newWorld(t, storage.NewMem())
	w.mustSend(w.Opening()...)
	tools := feedtest.AuthorOf(t, w.Space, "tools")
	early := openedUnder(tools, w.Space.Publisher, 1)
	alice, carol := renew(w)
	late := feedtest.AuthorOf(t, w.Space, "late")
	send := func(s *server.Server, a *feedtest.Author, statements ...feedtest.Signed) error {
		_, err := s.Publish(context.Background(), reader, batch(a.ID, statements...))
		return err
	}
	if err := send(w.srv, tools, early...); err != nil {
		t.Fatalf("before the server knows of version 2: %v", err)
	}
	w.mustSend(w.Identity(2)...)
	for name, srv := range map[string]*server.Server{"same": w.srv, "other": w.server(server.Config{})} {
		wantDenied(t, send(srv, late, openedUnder(late, alice, 1)...), "opening")
		wantDenied(t, send(srv, late, openedUnder(late, alice, 2)...), "position")
		if err := send(srv, tools, early...); err != nil {
			t.Errorf("%s server: what was taken before, again: %v", name, err)
		}
	}
	if err := send(w.srv, late, openedUnder(late, carol, 2)...); err != nil {
		t.Error(err)
	}

	// Who is admitted by version 2 does not begin with version 1 either.
	w.store = storage.NewMem()
	w.srv = w.server(server.Config{})
	w.admit(w.Author)
	wantDenied(t, send(w.srv, late, openedUnder(late, alice, 1)...), "opening")
}

// What another server of the store has just taken decides too, though this one
// has not heard of it: the log asks who may sign as it stands at the commit, and
// what it takes counts for readers.
func TestDroppedElsewhere(t *testing.T) {
	w := newWorld(t, storage.NewMem())
	w.mustSend(w.Opening()...)
	other := w.server(server.Config{Fresh: time.Hour})
	if _, err := other.Publish(context.Background(), reader, batch(w.ID, w.Publish("file/a@1"))); err != nil {
		t.Fatal(err)
	}
	alice, carol := renew(w)
	w.mustSend(w.Identity(2)...)
	_, err := other.Publish(context.Background(), reader, batch(w.ID, w.Draft(alice, "file/a@2", nil, nil)))
	wantDenied(t, err, "position")
	w.mustSend(w.Draft(carol, "file/a@2", nil, nil))
	if state, void := w.follow(w.srv.Local()); len(void) != 0 || state.Edge.Size() != 5 {
		t.Errorf("%d entries, void for readers: %v", state.Edge.Size(), void)
	}
}

// An attestation whose signature is in a form that nobody may store is told
// apart when it is parsed. It is not let in by who sends its parts all the same.
func TestBadSignatureForm(t *testing.T) {
	w := newWorld(t, storage.NewMem())
	w.mustSend(w.Opening()...)
	good := w.Publish("file/a@1")
	_, err := signing.ParseAttestation(feedtest.HighS(t, good.Attestation))
	form, ok := errors.AsType[*signing.SignatureFormError](err)
	if !ok {
		t.Fatalf("got %v, want a *signing.SignatureFormError", err)
	}
	_, err = w.send(feedtest.Signed{Attestation: form.Attestation, Objects: good.Objects})
	wantDenied(t, err, "signature")
	w.mustSend(good)
	if w.size() != 3 {
		t.Errorf("%d entries, want 3", w.size())
	}
}

// A thief of a key takes versions and withdraws, until his key is revoked: then
// it is as if he had not, and what the Space said meanwhile stays.
func TestRevokedThief(t *testing.T) {
	w := newWorld(t, storage.NewMem())
	owner, thief := w.Space.Publisher, w.Space.Leaf("carol", trust.Publisher)
	w.Space.Next(func(id *trust.Identity) { w.Space.List(id, thief) })
	w.mustSend(append(w.Opening(), w.Publish("file/a@1"))...) // entry 3
	w.Space.Publisher = thief
	w.mustSend(w.Publish("file/a@1.4"), w.Withdraw("file/a@1")) // 4, 5
	w.Space.Publisher = owner
	w.mustSend(w.Publish("file/a@2")) // 6
	mine := []feedtest.File{feedtest.Text("content", "the owner's")}
	_, err := w.send(w.Draft(owner, "file/a@1.4", mine, nil))
	if _, ok := errors.AsType[*feed.VersionError](err); !ok {
		t.Errorf("the thief's version, before the revocation: %v", err)
	}
	w.Space.Next(func(id *trust.Identity) {
		w.Space.Revoke(id, thief, trust.Position{Feed: w.ID.String(), Epoch: 1, Index: 4})
	})
	w.mustSend(append(w.Identity(3), w.Publish("file/a@1.4", mine...))...) // 7, 8
	restarted := w.server(server.Config{})
	if _, err := restarted.Publish(context.Background(), reader, batch(w.ID, w.Withdraw("file/a@1"))); err != nil { // 9
		t.Error(err)
	}
	state, void := w.follow(restarted.Local())
	if len(void) != 2 || void[4] == nil || void[5] == nil {
		t.Errorf("void for readers: %v", void)
	}
	for ref, index := range map[string]int64{"file/a@1": 9, "file/a@1.4": 8, "file/a@2": 6} {
		if row, ok := state.Index.State(feedtest.ParseRef(ref)); !ok || row.Index != index {
			t.Errorf("%s is entry %d, %v; want %d", ref, row.Index, ok, index)
		}
	}
}

// In one batch too, a leaf counts from the identity that lists it and until
// the one that drops it, as it does for readers.
func TestOrderInBatch(t *testing.T) {
	w := newWorld(t, storage.NewMem())
	w.mustSend(w.Opening()...)
	alice, carol := renew(w)
	v2 := w.Identity(2)[0]
	_, err := w.send(w.Draft(carol, "file/a@1", nil, nil), v2)
	wantDenied(t, err, "position")
	_, err = w.send(v2, w.Draft(alice, "file/a@1", nil, nil))
	wantDenied(t, err, "position")
	w.mustSend(w.Draft(alice, "file/a@1", nil, nil), v2, w.Draft(carol, "file/b@1", nil, nil))
	if _, void := w.follow(w.srv.Local()); len(void) != 0 {
		t.Errorf("void for readers: %v", void)
	}
}

// A feed may be opened under a later identity, and a root replaced.
func TestOpenedUnderLaterIdentity(t *testing.T) {
	w := newWorld(t, storage.NewMem())
	renew(w)
	w.mustSend(w.Opening()...)
	w.Space.Next(w.Space.Rotate)
	_, err := w.send(w.Identity(3)[:1]...)
	if err == nil {
		t.Error("a new root counted with one of two statements")
	}
	w.mustSend(append(w.Identity(3), w.Publish("file/a@1"))...)
	if _, void := w.follow(w.srv.Local()); len(void) != 0 {
		t.Errorf("void for readers: %v", void)
	}
}

// A revoked key is refused wherever its entries end.
func TestRevoked(t *testing.T) {
	w := newWorld(t, storage.NewMem())
	w.mustSend(w.Opening()...)
	w.Space.Next(func(id *trust.Identity) {
		w.Space.Revoke(id, w.Space.Approver, trust.Position{Feed: w.ID.String(), Epoch: 1, Index: 1000})
		w.Space.List(id, w.Space.Leaf("dora", trust.Approver))
	})
	w.mustSend(w.Identity(2)...)
	at := trust.Position{Feed: w.ID.String(), Epoch: 1}
	_, err := w.send(feedtest.Signed{Attestation: w.Space.Attest(w.Space.Approver, signing.Approval, "x", at)})
	if err == nil {
		t.Error("a revoked key signed")
	}
}

// The identity is kept before the batch is committed: a store that fails in
// between never leaves a server that believes a dropped leaf.
func TestIdentityKeptFirst(t *testing.T) {
	mem := storage.NewMem()
	var failing atomic.Bool
	store := storetest.WithFaults(mem, func(c storetest.Call) storetest.Fault {
		if failing.Load() && c.Port == "files" && c.Op == "Create" {
			return storetest.Fault{Before: storetest.ErrServer}
		}
		return storetest.Fault{}
	})
	w := newWorld(t, store)
	w.mustSend(w.Opening()...)
	renew(w)
	failing.Store(true)
	if _, err := w.send(w.Identity(2)...); !errors.Is(err, storetest.ErrServer) || w.size() != 2 {
		t.Errorf("got %v with %d entries, want the store's error and 2", err, w.size())
	}
	failing.Store(false)
	w.mustSend(w.Identity(2)...)
	w.store = mem
	if _, err := w.server(server.Config{}).Publish(context.Background(), reader, batch(w.ID, w.Publish("file/a@1"))); err != nil {
		t.Error(err)
	}
}

// What a caller may not read does not exist for it; a digest opens nothing in
// another Space.
func TestReading(t *testing.T) {
	ctx := context.Background()
	w := newWorld(t, storage.NewMem())
	s := w.Publish("file/a@1", feedtest.Text("a", "secret of one Space"))
	w.mustSend(append(w.Opening(), s)...)
	nobody, closed := feedhttp.Caller{}, w.closed()
	d := storage.DigestOf(s.Objects[1])
	_, headErr := closed.Head(ctx, nobody, w.ID, 0)
	_, objectErr := closed.Object(ctx, nobody, w.ID, d, feedhttp.Of{}, 0)
	for what, err := range map[string]error{"head": headErr, "object": objectErr, "segment": partErr(closed, w.ID, nobody, segment), "pack": partErr(closed, w.ID, nobody, pack), "tile": partErr(closed, w.ID, nobody, tile)} {
		if !errors.Is(err, feedhttp.ErrUnauthorized) {
			t.Errorf("%s without the right to read: %v", what, err)
		}
	}
	if feeds, err := closed.Feeds(ctx, nobody, nil); !errors.Is(err, feedhttp.ErrUnauthorized) || len(feeds) != 0 {
		t.Errorf("feeds without the right to read: %v, %v", feeds, err)
	}
	for _, srv := range []*server.Server{w.srv, w.server(server.Config{Cache: storage.NewCache(1 << 20)})} {
		if _, err := srv.Object(ctx, reader, w.ID, d, feedhttp.Of{}, 0); err != nil {
			t.Error(err)
		}
		elsewhere := feed.ID{Space: trust.Space{Organisation: "acme", Name: "other"}, Name: "shared"}
		if _, err := srv.Object(ctx, reader, elsewhere, d, feedhttp.Of{}, 0); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("an object of one Space through another: %v", err)
		}
	}
}
