package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"strings"

	"airlock/internal/home"
	"airlock/signing"
	"airlock/storage"
	"airlock/trust"
)

// changeOptions are what commands that change the identity share.
type changeOptions struct {
	rootKeys string
	dryRun   bool
}

type identityChangeDoc struct {
	Space    string       `json:"space"`
	Version  int          `json:"version"`
	RootKey  string       `json:"rootKey"`
	NextRoot string       `json:"nextRoot,omitempty"` // unknown before it is made
	Leaves   []changedDoc `json:"leaves"`             // those that change
	Revoked  []string     `json:"revoked,omitempty"`  // keys
	// Encryption is what became of the encryption key: "new" or "dropped", absent
	// where it is as before.
	Encryption string       `json:"encryption,omitempty"`
	DryRun     bool         `json:"dryRun,omitempty"`
	Feeds      []carriedDoc `json:"feeds"`
}

type changedDoc struct {
	Change string `json:"change"` // "new", "certified anew" or "dropped"
	leafDoc
}

const (
	leafNew     = "new"
	leafAgain   = "certified anew"
	leafDropped = "dropped"
)

// changeIdentity makes the next identity version as plan says, and carries it
// into the Space's feeds. plan is asked after the feeds were read: another home
// of the Space may have made a version meanwhile.
func (a *app) changeIdentity(ctx context.Context, o changeOptions, plan func(*ownFeeds, *trust.History) (home.Change, error)) error {
	feeds, err := a.ownFeeds(ctx, !o.dryRun)
	if err != nil {
		return err
	}
	defer feeds.Close()
	h, before, err := a.space() // as the feeds have it
	if err != nil {
		return err
	}
	c, err := plan(feeds, before)
	if err != nil {
		return err
	}
	c.Roots, c.Ask, c.Now = o.rootKeys, a.passphrase, a.now()
	if err := c.Check(before); err != nil {
		return usage("%v", "airlock identity show lists the leaves, their keys and their dates", err)
	}
	if o.dryRun {
		return a.showPlan(feeds, before, c)
	}
	changed, err := h.Change(ctx, c)
	if err != nil {
		return changeError(err)
	}
	if changed.Resumed {
		a.note("identity version %d was made by a command that was cut off or runs at the same time, and is in place now; if it is not what you asked for, run the command again", changed.History.Current().Version)
	}
	doc := describeChange(before.Current(), changed.History)
	if err := feeds.spread(ctx, changed.History); err != nil {
		return err
	}
	doc.Feeds = feeds.docs
	if err := a.showChange(doc, changed.Keys); err != nil {
		return err
	}
	return feeds.end(changed.History)
}

// changeError adds what to do where a root key is not there.
func changeError(err error) error {
	r, ok := errors.AsType[*home.RootKeyError](err)
	if !ok || !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return hinted(err, err.Error(), "a change of the identity is signed by the root: say where its key file lies, --root-keys DIR (not in "+r.Dir+")")
}

// describeChange holds the newest version against the one before the command.
func describeChange(before *trust.Identity, history *trust.History) identityChangeDoc {
	after := history.Current()
	doc := identityChangeDoc{Space: history.Space().String(), Version: after.Version, RootKey: after.RootKey().String(),
		NextRoot: after.Next.String(), Leaves: []changedDoc{}}
	for _, l := range after.Leaves {
		old, listed := before.Leaf(l.Key())
		switch {
		case !listed:
			doc.Leaves = append(doc.Leaves, changedDoc{leafNew, describeLeaf(l)})
		case string(old.Certificate) != string(l.Certificate):
			doc.Leaves = append(doc.Leaves, changedDoc{leafAgain, describeLeaf(l)})
		}
	}
	for _, l := range before.Leaves {
		if _, listed := after.Leaf(l.Key()); !listed {
			doc.Leaves = append(doc.Leaves, changedDoc{leafDropped, describeLeaf(l)})
		}
	}
	for _, r := range after.Revocations {
		same := func(old trust.Revocation) bool { return old.Key == r.Key && slices.Equal(old.Since, r.Since) }
		if !slices.ContainsFunc(before.Revocations, same) {
			doc.Revoked = append(doc.Revoked, r.Key.String())
		}
	}
	doc.Encryption = changedEncryption(before.Encryption != after.Encryption, after.Encryption == "")
	return doc
}

// changedEncryption says what became of the encryption key.
func changedEncryption(changed, dropped bool) string {
	switch {
	case !changed:
		return ""
	case dropped:
		return leafDropped
	}
	return leafNew
}

// showPlan shows what a change would do. No key is made, so what a new one
// would be called is not known.
func (a *app) showPlan(feeds *ownFeeds, history *trust.History, c home.Change) error {
	id := history.Current()
	doc := identityChangeDoc{Space: history.Space().String(), Version: id.Version + 1, RootKey: id.RootKey().String(),
		NextRoot: id.Next.String(), Leaves: []changedDoc{}, DryRun: true, Feeds: feeds.docs}
	if c.Rotate {
		doc.RootKey, doc.NextRoot = id.Next.String(), ""
		for _, l := range id.Leaves {
			if !slices.Contains(c.Drop, l.Key()) {
				doc.Leaves = append(doc.Leaves, changedDoc{leafAgain, describeLeaf(l)})
			}
		}
	}
	for _, n := range c.Add {
		d := changedDoc{leafNew, leafDoc{Person: n.Person, NotAfter: day(n.Until), Key: "-"}}
		for _, r := range n.Roles {
			d.Roles = append(d.Roles, string(r))
		}
		if n.Key != nil {
			key, err := signing.PublicThumbprint(n.Key)
			if err != nil {
				return err
			}
			d.Key = key.String()
			if _, listed := id.Leaf(key); listed {
				d.Change = leafAgain
			}
		}
		doc.Leaves = append(doc.Leaves, d)
	}
	gone := c.Drop
	for _, r := range c.Revoke {
		gone, doc.Revoked = append(gone, r.Key), append(doc.Revoked, r.Key.String())
	}
	for _, key := range gone {
		if l, listed := id.Leaf(key); listed {
			doc.Leaves = append(doc.Leaves, changedDoc{leafDropped, describeLeaf(l)})
		}
	}
	dropped := c.Encryption == home.DropEncryption
	doc.Encryption = changedEncryption(c.Encryption == home.NewEncryption || dropped && id.Encryption != "", dropped)
	return a.showChange(doc, nil)
}

func (a *app) showChange(doc identityChangeDoc, made []string) error {
	return a.show(doc, func(w io.Writer) {
		pairs(w, [2]string{"Space", doc.Space}, [2]string{"Version", fmt.Sprint(doc.Version)}, [2]string{"Root key", doc.RootKey}, [2]string{"Next root", dash(doc.NextRoot)})
		fmt.Fprintln(w)
		var rows [][]string
		for _, l := range doc.Leaves {
			rows = append(rows, []string{l.Change, l.Person, strings.Join(l.Roles, ","), l.NotAfter, l.Key})
		}
		columns(w, []string{"LEAF", "PERSON", "ROLES", "UNTIL", "KEY"}, rows)
		for _, key := range doc.Revoked {
			fmt.Fprintf(w, "revoked %s\n", key)
		}
		if doc.Encryption != "" {
			fmt.Fprintf(w, "encryption key: %s\n", doc.Encryption)
		}
		if len(doc.Feeds) > 0 {
			fmt.Fprintln(w)
			carriedTable(w, doc.Feeds)
		}
		if doc.DryRun {
			fmt.Fprintln(w, "\nnothing was changed")
			return
		}
		for _, file := range made {
			fmt.Fprintf(w, "\nBack up %s, which is new.\n", file)
		}
		fmt.Fprintf(w, "\nWho follows a feed of this Space learns version %d from it. A key that was\ndropped signs nothing that counts once each feed carries it: delete its file then.\n", doc.Version)
		if doc.Encryption != "" {
			fmt.Fprintln(w, "Keep the old encryption key's file as long as bundles made to it are on their way.")
		}
	})
}

// parseKey reads the thumbprint of a key.
func parseKey(s string) (storage.Digest, error) {
	key, err := storage.ParseDigest(s)
	if err != nil {
		return key, usage("key %.80q: %v", "write it like sha256:63b7…; airlock identity show lists the keys", s, err)
	}
	return key, nil
}

func parseKeys(list []string) ([]storage.Digest, error) {
	var keys []storage.Digest
	for _, s := range list {
		key, err := parseKey(s)
		if err != nil {
			return nil, err
		}
		keys = append(keys, key)
	}
	return keys, nil
}
