package home

import (
	"context"
	"crypto/ecdsa"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"airlock/signing"
	"airlock/storage"
	"airlock/trust"
)

// Change is what the next identity version says otherwise than the newest one.
type Change struct {
	Add    []NewLeaf
	Drop   []storage.Digest   // keys that are listed no more
	Revoke []trust.Revocation // keys of any version; they are listed no more
	// Rotate puts the next root in the place of the root. All leaves get new
	// certificates for their keys, with their dates.
	Rotate     bool
	Encryption Encryption
	// Roots is the folder with the root keys, empty for the home's keys/.
	Roots string
	Ask   Ask
	Now   time.Time
}

// NewLeaf is a leaf to be listed. A key that is listed already gets a new
// certificate, with the person and roles said here.
type NewLeaf struct {
	Key    *ecdsa.PublicKey // nil for a new key in keys/ of the home, by its roles a publisher's or for TLS
	Person string
	Roles  []trust.Role
	Until  time.Time
}

// Changed is what became of a Change.
type Changed struct {
	History *trust.History
	Keys    []string // files of private keys that were made for it
	// Resumed is set where a command that was cut off, or one that ran at the
	// same time, had made the next version: that one is in place now, and the
	// change was not made.
	Resumed bool
}

// Check reports why a change cannot follow an identity.
func (c *Change) Check(history *trust.History) error {
	id := history.Current()
	if len(c.Add)+len(c.Drop)+len(c.Revoke) == 0 && !c.Rotate && c.Encryption == KeepEncryption {
		return errors.New("changes nothing")
	}
	for _, key := range c.Drop {
		if _, ok := id.Leaf(key); !ok {
			return fmt.Errorf("key %s: identity version %d lists no leaf with it", key, id.Version)
		}
	}
	for _, r := range c.Revoke {
		listed := func(v trust.Version) bool { _, ok := v.Identity.Leaf(r.Key); return ok }
		if !slices.ContainsFunc(history.Versions(), listed) {
			return fmt.Errorf("key %s: no identity version lists a leaf with it", r.Key)
		}
	}
	for _, l := range c.Add {
		if end := id.RootCertificate().NotAfter; l.Until.After(end) && !c.Rotate {
			return fmt.Errorf("a leaf until %s: its root ends before, on %s", l.Until.UTC().Format(time.DateOnly), end.UTC().Format(time.DateOnly))
		}
		if !l.Until.After(c.Now) {
			return fmt.Errorf("a leaf until %s: that is over", l.Until.UTC().Format(time.DateOnly))
		}
	}
	return nil
}

// Change makes the next identity version and puts it in place of the Space's
// identity here. Key files are made before anything names them, and a version
// is made once: a command that is cut off leaves the version before it in
// force, or what the next Change finds and puts in place.
func (h *Home) Change(ctx context.Context, c Change) (Changed, error) {
	history, err := h.Identity()
	if err != nil {
		return Changed{}, err
	}
	if err := c.Check(history); err != nil {
		return Changed{}, err
	}
	roots, err := h.openRoots(history, c)
	if err != nil {
		return Changed{}, err
	}
	id, err := h.draft(history, c, roots)
	if err != nil {
		return Changed{}, err
	}
	version, err := roots.introduce(ctx, id, history)
	if err != nil {
		return Changed{}, err
	}
	if err := history.Extend(version); err != nil {
		return Changed{}, err
	}
	return h.settle(ctx, Changed{History: history, Keys: roots.made})
}

// draft returns the next version, checked.
func (h *Home) draft(history *trust.History, c Change, roots *roots) (*trust.Identity, error) {
	now := history.Current()
	id := now.Successor()
	for _, key := range c.Drop {
		unlist(id, key)
	}
	for _, r := range c.Revoke {
		unlist(id, r.Key)
		id.Revocations = slices.DeleteFunc(id.Revocations, func(old trust.Revocation) bool { return old.Key == r.Key })
		id.Revocations = append(id.Revocations, r)
	}
	if c.Rotate {
		if err := roots.rotate(id, history.Space(), c.Now); err != nil {
			return nil, err
		}
	}
	// How new keys are protected: as the publisher's key is, where it is here.
	like := sync.OnceValue(func() *signing.Passphrase {
		if p, err := h.publisher(now, c.Ask); err == nil {
			return p.passphrase
		}
		return roots.passphrase
	})
	for _, l := range c.Add {
		if err := relist(id, l.Key); err != nil {
			return nil, err
		}
	}
	for _, l := range c.Add {
		if err := h.list(id, l, c, roots, like); err != nil {
			return nil, err
		}
	}
	if err := h.encryption(id, c, roots, like); err != nil {
		return nil, err
	}
	_, err := id.Format()
	return id, err
}

// encryption lists a new encryption key, or none.
func (h *Home) encryption(id *trust.Identity, c Change, roots *roots, like func() *signing.Passphrase) error {
	switch c.Encryption {
	case DropEncryption:
		id.Encryption = ""
	case NewEncryption:
		key, err := ensureNew(roots, encryptionKeys, h.file("keys", encryptionFile(id.Version)), like(), c.Ask)
		if err != nil {
			return err
		}
		id.Encryption = key.Recipient().String()
	}
	return nil
}

func unlist(id *trust.Identity, key storage.Digest) {
	id.Leaves = slices.DeleteFunc(id.Leaves, func(l trust.Leaf) bool { return l.Key() == key })
}

// relist takes away the leaf of a key that is to be listed anew; nil for a new key.
func relist(id *trust.Identity, key *ecdsa.PublicKey) error {
	if key == nil {
		return nil
	}
	thumbprint, err := signing.PublicThumbprint(key)
	unlist(id, thumbprint)
	return err
}

// list adds a leaf, and makes its key where it brings none.
func (h *Home) list(id *trust.Identity, l NewLeaf, c Change, roots *roots, like func() *signing.Passphrase) error {
	if l.Key == nil {
		file, protection := publisherFile(id.Version), like
		if trust.UseOf(l.Roles) == signing.ForConnections {
			file, protection = tlsFile(id.Version), plain
		}
		key, err := ensureNew(roots, signingKeys, h.file("keys", file), protection(), c.Ask)
		if err != nil {
			return err
		}
		l.Key = &key.PublicKey
	}
	cert, err := roots.certify(id, l, c.Now.Add(-clockSkew))
	if err != nil {
		return err
	}
	id.Leaves = append(id.Leaves, trust.Leaf{Certificate: cert, Person: l.Person, Roles: slices.Sorted(slices.Values(l.Roles))})
	return nil
}

// settle puts a version in place. It is made once, whatever commands run at the
// same time or are cut off: two documents for one version would fork the Space.
// So the identity file is created first, in the state:
//
//	identity/<lineage, hexadecimal>/<version, 6 digits>
//
// and whoever finds one there puts that in place.
func (h *Home) settle(ctx context.Context, c Changed) (Changed, error) {
	state, err := h.State(ctx)
	if err != nil {
		return Changed{}, err
	}
	key := fmt.Sprintf("identity/%s/%06d", storage.Digest(c.History.Lineage()).Hex(), c.History.Current().Version)
	err = state.Files.Create(ctx, key, trust.FormatFile(c.History))
	if errors.Is(err, storage.ErrExists) {
		var file []byte
		if file, err = state.Files.Get(ctx, key); err != nil {
			return Changed{}, err
		}
		c = Changed{Resumed: true}
		c.History, err = trust.ParseFile(file)
	}
	if err != nil {
		return Changed{}, err
	}
	return c, h.Learn(c.History)
}

// keysFolder is where the root keys lie.
func (h *Home) keysFolder(c Change) string {
	if c.Roots != "" {
		return filepath.Clean(c.Roots)
	}
	return h.file("keys")
}
