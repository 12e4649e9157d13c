package log_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"testing"

	"airlock/feed"
	"airlock/feed/feedtest"
	"airlock/feed/log"
	"airlock/signing"
	"airlock/storage"
	"airlock/trust"
)

// listed lists a new leaf by the next identity version, which is not appended.
func listed(a *feedtest.Author, person string) *signing.Signer {
	leaf := a.Space.Leaf(person, trust.Publisher)
	a.Space.Next(func(id *trust.Identity) { a.Space.List(id, leaf) })
	return leaf
}

// revoke revokes a leaf from an entry on, by the next identity version.
func revoke(a *feedtest.Author, leaf *signing.Signer, from int64) {
	a.Space.Next(func(id *trust.Identity) {
		a.Space.Revoke(id, leaf, trust.Position{Feed: a.ID.String(), Epoch: 1, Index: from})
	})
}

// by signs a publication by a leaf and makes it the head of its name.
func by(a *feedtest.Author, leaf *signing.Signer, ref string) feedtest.Signed {
	owner := a.Space.Publisher
	defer func() { a.Space.Publisher = owner }()
	a.Space.Publisher = leaf
	return a.Publish(ref, feedtest.Text("content", ref+" by another"))
}

// TestAppendBySigner appends what a leaf signed who may not sign there, as the
// log stands at the swap: readers would not let it count.
func TestAppendBySigner(t *testing.T) {
	w := feedtest.New(t, storage.NewMem())
	alice, carol := w.Space.Publisher, listed(w.Author, "carol")
	w.Append(w.Identity(2)...)
	w.Append(by(w.Author, carol, "file/c@1"))
	revoke(w.Author, carol, 4)
	later := w.Space.Leaf("dora", trust.Publisher)
	w.Space.Next(func(id *trust.Identity) { w.Space.List(id, later) })
	other := feedtest.NewAuthor(t, "acme/dev-qa/shared")
	elsewhere := feedtest.AuthorOf(t, w.Space, "other")
	mark := fmt.Appendf(nil, `{"epoch":1,"feed":%q,"lineage":%q,"predicateType":%q}`, w.ID, w.Space.Lineage(), signing.Identity.PredicateType())
	seeming := w.Sign(alice, signing.Statement{Kind: "new", SubjectName: "x", Predicate: mark}, nil)

	for _, c := range []struct {
		name, rule string
		batch      []feedtest.Signed
	}{
		{"leaf that nobody lists", "position", []feedtest.Signed{w.Draft(w.Space.Leaf("mallory", trust.Publisher), "file/x@1", nil, nil)}},
		{"leaf without the role", "role", []feedtest.Signed{w.Draft(w.Space.Approver, "file/x@1", nil, nil)}},
		{"moved from another feed", "binding", []feedtest.Signed{elsewhere.Draft(alice, "file/x@1", nil, nil)}},
		{"listed by an identity that is not in", "position", []feedtest.Signed{w.Draft(later, "file/x@1", nil, nil)}},
		{"listed by one that comes behind", "position", append([]feedtest.Signed{w.Identity(3)[0], w.Draft(later, "file/x@1", nil, nil)}, w.Identity(4)...)},
		{"dropped by one before it", "position", append(w.Identity(3), w.Draft(carol, "file/x@1", nil, nil))},
		{"withdrawal without the role", "role", []feedtest.Signed{w.DraftWithdrawal(w.Space.Approver, "file/c@1", nil)}},
		{"identity of another Space", "root", other.Identity(1)},
		{"identity by a leaf", "root", []feedtest.Signed{signedAgain(w, w.Identity(3)[0], alice)}},
		{"identity that skips one", "form", w.Identity(4)},
		{"what looks like an identity", "root", []feedtest.Signed{seeming}},
	} {
		t.Run(c.name, func(t *testing.T) {
			before := len(entries(t, w.Log))
			_, err := feedtest.Append(t.Context(), w.Store, w.Log, w.ID, c.batch...)
			if denied, ok := errors.AsType[*trust.DeniedError](err); !ok || denied.Rule != c.rule {
				t.Errorf("got %v, want a refusal by rule %s", err, c.rule)
			}
			if after := len(entries(t, w.Log)); after != before {
				t.Errorf("%d entries became %d", before, after)
			}
		})
	}
	// What a refused batch brought does not count: carol still may, until the
	// log has the identity that drops her.
	w.Append(by(w.Author, carol, "file/c@2"))
	w.Append(append(append(w.Identity(3), w.Identity(4)...), w.Draft(later, "file/x@1", nil, nil))...)
}

// signedAgain is a statement with the payload of s, signed by another.
func signedAgain(w *feedtest.World, s feedtest.Signed, leaf *signing.Signer) feedtest.Signed {
	st, err := signing.ParseStatement(s.Payload())
	out := w.Sign(leaf, st, err)
	out.Objects = s.Objects
	return out
}

// TestOpeningBringsIdentities opens feeds without the identities that must
// stand right behind entry 0, or with those of another Space.
func TestOpeningBringsIdentities(t *testing.T) {
	store := storage.NewMem()
	a := feedtest.NewAuthor(t, "acme/dev-qa/shared")
	listed(a, "carol")
	full := a.Opening()
	twin := feedtest.NewAuthor(t, "acme/dev-qa/shared").Opening()
	for name, c := range map[string]struct {
		rule  string
		batch []feedtest.Signed
	}{
		"none":                   {"form", full[:1]},
		"only the first":         {"form", full[:2]},
		"not the first":          {"lineage", []feedtest.Signed{full[0], full[2]}},
		"a package before them":  {"form", []feedtest.Signed{full[0], a.Draft(a.Space.Publisher, "file/a@1", nil, nil), full[1], full[2]}},
		"those of another Space": {"lineage", append(full[:1:1], twin[1:]...)},
	} {
		l := process(t, log.Config{Store: store, Key: feedtest.Key(1)}).Feed(a.ID)
		_, err := feedtest.Append(t.Context(), store, l, a.ID, c.batch...)
		if denied, ok := errors.AsType[*trust.DeniedError](err); !ok || denied.Rule != c.rule {
			t.Errorf("%s: got %v, want a refusal by rule %s", name, err, c.rule)
		}
		if _, err := l.Head(t.Context(), 0); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s: the feed was opened: %v", name, err)
		}
	}
	l := process(t, log.Config{Store: store, Key: feedtest.Key(1)}).Feed(a.ID)
	_, err := feedtest.Append(t.Context(), store, l, a.ID, append(full, a.Publish("file/a@1"))...)
	must(t, err)
}

// TestLostIdentity commits to a log whose store lost an identity document: who
// may sign is not known then, and that is damage and not absence.
func TestLostIdentity(t *testing.T) {
	store := storage.NewMem()
	_, a := opened(t, store, process(t, log.Config{Store: store, Key: feedtest.Key(1)}))
	document := a.Space.Version(1).Identity.Digest().Hex()
	lost := true
	l := process(t, log.Config{Key: feedtest.Key(1), Store: broken(store, func(_ context.Context, op, key string) (error, error) {
		if op == "get" && key == document && lost {
			return fs.ErrNotExist, nil
		}
		return nil, nil
	})}).Feed(a.ID)
	s := a.Publish("file/a@1")
	if _, err := feedtest.Append(t.Context(), store, l, a.ID, s); !errors.Is(err, log.ErrDamaged) || errors.Is(err, fs.ErrNotExist) {
		t.Errorf("got %v, want ErrDamaged", err)
	}
	lost = false
	_, err := feedtest.Append(t.Context(), store, l, a.ID, s)
	must(t, err)
}

// TestRevokedInLog goes on after a key was revoked whose entries stand in the
// log and in the batch itself: in the process that took them, and in one that
// reads them. Behind index pages TestTiles does the same.
func TestRevokedInLog(t *testing.T) {
	store := storage.NewMem()
	l, a := opened(t, store, process(t, log.Config{Store: store, Key: feedtest.Key(1)}))
	carol := listed(a, "carol")
	send := func(batch ...feedtest.Signed) error {
		_, err := feedtest.Append(t.Context(), store, l, a.ID, batch...)
		return err
	}
	must(t, send(append(a.Identity(2), a.Publish("file/owned@1"), by(a, carol, "file/a@1"), by(a, carol, "file/b@1"), withdrawn(a, carol, "file/owned@1"))...))
	taken := []string{"file/a@1", "file/b@1", "file/batch@1"}
	var version *feed.VersionError
	for _, ref := range taken[:2] {
		if err := send(a.Draft(a.Space.Publisher, ref, nil, nil)); !errors.As(err, &version) {
			t.Errorf("%s before the revocation: %v", ref, err)
		}
	}
	revoke(a, carol, 4)
	must(t, send(append([]feedtest.Signed{by(a, carol, "file/batch@1")}, a.Identity(3)...)...))
	for i, ref := range taken {
		if i == 1 {
			l = process(t, log.Config{Store: store, Key: feedtest.Key(1)}).Feed(a.ID)
		}
		if err := send(a.Publish(ref, feedtest.Text("content", "by the owner"))); err != nil {
			t.Errorf("%s after the revocation: %v", ref, err)
		}
		if err := send(a.Draft(a.Space.Publisher, ref, nil, nil)); !errors.As(err, &version) {
			t.Errorf("%s a third time: %v", ref, err)
		}
	}
	must(t, send(withdrawn(a, a.Space.Publisher, "file/owned@1")))
}

// withdrawn signs a withdrawal by a leaf and makes it the head of its name.
func withdrawn(a *feedtest.Author, leaf *signing.Signer, ref string) feedtest.Signed {
	owner := a.Space.Publisher
	defer func() { a.Space.Publisher = owner }()
	a.Space.Publisher = leaf
	return a.Withdraw(ref)
}
