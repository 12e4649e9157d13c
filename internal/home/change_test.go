package home

import (
	"context"
	"crypto/ecdsa"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"airlock/signing"
	"airlock/storage"
	"airlock/trust"
)

var changeTime = time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)

const phrase = "open sesame"

func say(text string) Ask { return func() (string, error) { return text, nil } }

// renewal puts a new publisher key in the place of the one that is listed.
func renewal(t *testing.T, h *Home) Change {
	t.Helper()
	leaf, err := h.PublisherLeaf(say(phrase))
	if err != nil {
		t.Fatal(err)
	}
	return Change{Add: []NewLeaf{{Person: leaf.Person, Roles: leaf.Roles, Until: LeafUntil(changeTime)}},
		Drop: []storage.Digest{leaf.Key()}, Ask: say(phrase), Now: changeTime}
}

func change(t *testing.T, h *Home, c Change) Changed {
	t.Helper()
	changed, err := h.Change(context.Background(), c)
	if err != nil {
		t.Fatal(err)
	}
	return changed
}

func newHome(t *testing.T, p *signing.Passphrase) *Home {
	t.Helper()
	h := open(t, filepath.Join(t.TempDir(), "home"))
	if _, err := h.Init(context.Background(), newSpace(p)); err != nil {
		t.Fatal(err)
	}
	return h
}

// wantPublisher wants the key in a file to be the one that the home signs with.
func wantPublisher(t *testing.T, h *Home, file string, version int) {
	t.Helper()
	history, err := h.Identity()
	if err != nil {
		t.Fatal(err)
	}
	p, err := h.publisher(history.Current(), say(phrase))
	if err != nil {
		t.Fatal(err)
	}
	signer, err := h.Publisher(say(phrase))
	if err != nil || history.Current().Version != version || p.file != file || string(signer.CertificateDER()) != string(p.leaf.Certificate) {
		t.Errorf("version %d, signs with %s, %v; want version %d, %s", history.Current().Version, p.file, err, version, file)
	}
}

func TestRenew(t *testing.T) {
	h := newHome(t, nil)
	before := keys(t, h)
	changed := change(t, h, renewal(t, h))
	if changed.Resumed || len(changed.Keys) != 1 || changed.Keys[0] != h.file("keys", "publisher-2.key") {
		t.Errorf("changed: %+v", changed)
	}
	wantPublisher(t, h, "publisher-2.key", 2)
	for name, content := range before {
		if keys(t, h)[name] != content {
			t.Errorf("%s was changed", name)
		}
	}
	id := changed.History.Current()
	renewed := id.Leaves[len(id.Leaves)-1]
	if len(id.Leaves) != 2 || renewed.Person != "alice" || !renewed.X509().NotAfter.Equal(LeafUntil(changeTime)) {
		t.Errorf("leaves: %+v", id.Leaves)
	}
	change(t, h, renewal(t, h))
	wantPublisher(t, h, "publisher-3.key", 3)
	if os.Remove(h.file("keys", "publisher-3.key")) != nil {
		t.Fatal("not removed")
	}
	var unlisted *UnlistedError
	if _, err := h.Publisher(nil); !errors.As(err, &unlisted) || unlisted.Path != h.file("keys", "publisher-2.key") {
		t.Errorf("without the key that is listed: %v", err)
	}
}

// A renewal that was cut off leaves a home that works, and the next one goes on:
// with the key that was made, and with the version that was.
func TestRenewCutOff(t *testing.T) {
	h := newHome(t, nil)
	identity, err := os.ReadFile(h.file("space.id"))
	if err != nil {
		t.Fatal(err)
	}
	undo := func(parts ...string) *Home {
		t.Helper()
		if err := errors.Join(os.RemoveAll(h.file(parts...)), os.WriteFile(h.file("space.id"), identity, 0o600)); err != nil {
			t.Fatal(err)
		}
		return open(t, h.path)
	}
	c := renewal(t, h)
	first := change(t, h, c).History.Current()

	// The key is there, and nothing else.
	h = undo("state")
	wantPublisher(t, h, "publisher-1.key", 1)
	second := change(t, h, c)
	wantPublisher(t, h, "publisher-2.key", 2)
	if second.Resumed || second.History.Current().Leaves[0].Key() != first.Leaves[0].Key() {
		t.Error("the second renewal made another key")
	}
	// The version is made, and not in place: there is no other for its number.
	h = undo("nothing")
	wantPublisher(t, h, "publisher-1.key", 1)
	third := change(t, h, c)
	if !third.Resumed || third.History.Current().Digest() != second.History.Current().Digest() {
		t.Errorf("resumed: %v, another document for version 2", third.Resumed)
	}
	wantPublisher(t, h, "publisher-2.key", 2)
}

// Of two commands at the same time one makes the version; the other gets it.
func TestChangeTwiceAtOnce(t *testing.T) {
	h := newHome(t, nil)
	history, err := h.Identity()
	if err != nil {
		t.Fatal(err)
	}
	c := renewal(t, h)
	var mine Changed
	c.Ask = func() (string, error) { return "", errors.New("the keys are plain") }
	mine.History = history.Clone()
	r, err := h.openRoots(history, c)
	if err != nil {
		t.Fatal(err)
	}
	id, err := h.draft(history, c, r)
	if err != nil {
		t.Fatal(err)
	}
	v, err := r.introduce(context.Background(), id, history)
	if err == nil {
		err = mine.History.Extend(v)
	}
	if err != nil {
		t.Fatal(err)
	}
	theirs := change(t, open(t, h.path), c)
	got, err := h.settle(context.Background(), mine)
	if err != nil || !got.Resumed || got.History.Current().Digest() != theirs.History.Current().Digest() {
		t.Errorf("the slower command: %+v, %v", got.Resumed, err)
	}
	wantPublisher(t, h, "publisher-2.key", 2)
}

// A new key is protected as the one is that it replaces, and a file that
// anybody could have put there is not taken for one of ours.
func TestRenewProtected(t *testing.T) {
	h := newHome(t, &signing.Passphrase{Text: phrase, LogN: 10})
	planted, err := signing.GenerateKey()
	if err != nil {
		t.Fatal(err)
	}
	path := h.file("keys", "publisher-2.key")
	c := renewal(t, h)
	if err := signing.WriteKeyFile(path, planted, nil); err != nil {
		t.Fatal(err)
	}
	if _, err := h.Change(context.Background(), c); err == nil || !strings.Contains(err.Error(), "publisher-2.key: is there already, and is not encrypted") {
		t.Errorf("a key that was planted: %v", err)
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	wrong := c
	wrong.Ask = say("wrong guess")
	if _, err := h.Change(context.Background(), wrong); !errors.Is(err, signing.ErrPassphrase) {
		t.Errorf("wrong passphrase: %v", err)
	}
	change(t, h, c)
	if text := keys(t, h)["publisher-2.key"]; !strings.Contains(text, "AGE ENCRYPTED FILE") {
		t.Error("the new key is not encrypted")
	}
	wantPublisher(t, h, "publisher-2.key", 2)
}

func TestRotate(t *testing.T) {
	h := newHome(t, nil)
	away := t.TempDir()
	rotate := Change{Rotate: true, Ask: say(phrase), Now: changeTime}
	before, err := h.Identity()
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{rootKey, nextRootKey} {
		if err := os.Rename(h.file("keys", name), filepath.Join(away, name)); err != nil {
			t.Fatal(err)
		}
	}
	var missing *RootKeyError
	if _, err := h.Change(context.Background(), rotate); !errors.As(err, &missing) || !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("without the root keys: %v", err)
	}
	rotate.Roots = away
	after := change(t, h, rotate).History
	now := after.Current()
	if now.RootKey() != before.Current().Next || now.Next == before.Current().Next || len(after.Versions()[1].Statements) != 2 {
		t.Errorf("root %s, next %s, %d statements", now.RootKey(), now.Next, len(after.Versions()[1].Statements))
	}
	if old := before.Current().Leaves[0]; now.Leaves[0].Key() != old.Key() || !now.Leaves[0].X509().NotAfter.Equal(old.X509().NotAfter) {
		t.Error("the leaf has another key or other dates")
	}
	if cn := now.RootCertificate().Subject.CommonName; cn != "acme/dev-qa root 2" {
		t.Errorf("root is named %q", cn)
	}
	wantPublisher(t, h, "publisher-1.key", 2)
	c := renewal(t, h)
	c.Roots = away
	change(t, h, c)
	change(t, h, rotate)
	wantPublisher(t, h, "publisher-3.key", 4)
	if _, err := os.Stat(filepath.Join(away, "root-4.key")); err != nil {
		t.Error(err)
	}
	if err := os.Rename(filepath.Join(away, "root-1.key"), filepath.Join(away, "root-3.key")); err != nil {
		t.Fatal(err)
	}
	if _, err := h.Change(context.Background(), rotate); err == nil || !strings.Contains(err.Error(), "root-3.key: holds key") {
		t.Errorf("with the key of another root: %v", err)
	}
}

func TestChangeRefuses(t *testing.T) {
	h := newHome(t, nil)
	history, err := h.Identity()
	if err != nil {
		t.Fatal(err)
	}
	person, err := signing.GenerateKey()
	if err != nil {
		t.Fatal(err)
	}
	leaf := func(key *ecdsa.PublicKey, until time.Time) Change {
		return Change{Add: []NewLeaf{{Key: key, Person: "bob", Roles: []trust.Role{trust.Approver}, Until: until}}}
	}
	root, err := signing.ReadKeyFile(h.file("keys", rootKey), nil)
	if err != nil {
		t.Fatal(err)
	}
	stranger := storage.DigestOf([]byte("a key"))
	for name, c := range map[string]struct {
		change Change
		want   string
	}{
		"nothing":           {Change{}, "changes nothing"},
		"unlisted key":      {Change{Drop: []storage.Digest{stranger}}, "lists no leaf"},
		"revoked stranger":  {Change{Revoke: []trust.Revocation{{Key: stranger}}}, "no identity version lists"},
		"past the root":     {leaf(&person.PublicKey, changeTime.AddDate(30, 0, 0)), "its root ends before"},
		"over":              {leaf(&person.PublicKey, changeTime), "that is over"},
		"the root's key":    {leaf(&root.PublicKey, LeafUntil(changeTime)), "is used twice"},
		"nobody in the way": {leaf(&person.PublicKey, LeafUntil(changeTime)), ""},
	} {
		t.Run(name, func(t *testing.T) {
			c.change.Now, c.change.Ask = changeTime, say(phrase)
			_, err := h.Change(context.Background(), c.change)
			if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
				t.Errorf("error %v, want %q", err, c.want)
			}
		})
		if err := errors.Join(os.WriteFile(h.file("space.id"), trust.FormatFile(history), 0o600), os.RemoveAll(h.file("state"))); err != nil {
			t.Fatal(err)
		}
		h = open(t, h.path)
	}
}

// A key that is listed gets a new certificate; roles are sorted; a revoked key
// is listed no more.
func TestChangeLeaves(t *testing.T) {
	h := newHome(t, nil)
	key, err := signing.GenerateKey()
	if err != nil {
		t.Fatal(err)
	}
	c := Change{Ask: say(phrase), Now: changeTime,
		Add: []NewLeaf{{Key: &key.PublicKey, Person: "bob", Roles: []trust.Role{trust.Operator, trust.Approver}, Until: LeafUntil(changeTime)}}}
	first := change(t, h, c).History.Current()
	second := change(t, h, c).History.Current()
	thumbprint, err := signing.PublicThumbprint(&key.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	// A key that may not publish is not the one to publish with.
	if err := signing.WriteKeyFile(h.file("keys", "publisher-9.key"), key, nil); err != nil {
		t.Fatal(err)
	}
	wantPublisher(t, h, "publisher-1.key", 3)
	old, _ := first.Leaf(thumbprint)
	again, listed := second.Leaf(thumbprint)
	if !listed || len(second.Leaves) != 3 || slices.Equal(old.Certificate, again.Certificate) {
		t.Errorf("listed again: %v, %d leaves", listed, len(second.Leaves))
	}
	revoke := Change{Ask: say(phrase), Now: changeTime, Revoke: []trust.Revocation{{Key: thumbprint, Reason: "stolen", Since: []trust.RevokedFrom{}}}}
	change(t, h, revoke)
	third := change(t, h, revoke).History.Current() // corrected
	if _, listed := third.Leaf(thumbprint); listed || len(third.Revocations) != 1 {
		t.Errorf("revoked: listed %v, %d revocations", listed, len(third.Revocations))
	}
	wantPublisher(t, h, "publisher-1.key", 5)
}

// What another home of the Space changed is learned from its feeds.
func TestLearnOwn(t *testing.T) {
	h := newHome(t, nil)
	other := open(t, t.TempDir())
	identity, err := os.ReadFile(h.file("space.id"))
	if err == nil {
		err = os.WriteFile(other.file("space.id"), identity, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	theirs := change(t, h, renewal(t, h)).History
	if err := other.Learn(theirs); err != nil {
		t.Fatal(err)
	}
	if got, err := other.Identity(); err != nil || got.Current().Version != 2 {
		t.Errorf("learned: %v", err)
	}
	if _, err := other.Publisher(nil); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a home without keys: %v", err)
	}
}
