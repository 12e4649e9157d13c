package main

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"airlock/internal/home"
	"airlock/signing"
	"airlock/storage"
	"airlock/trust"
)

// maxValid bounds the days that a leaf is good.
const maxValid = 3650

// leafOptions describe a leaf to be listed.
type leafOptions struct {
	changeOptions
	person string
	roles  []string
	valid  int // days, 0 for the usual time
	// Of a renewal.
	drop, encryption string
	tls              bool
}

// changeFlags are those of every command that changes the identity.
func changeFlags(c *cobra.Command, o *changeOptions) {
	c.Flags().StringVar(&o.rootKeys, "root-keys", "", "folder with the root keys (default keys in the home)")
	c.Flags().BoolVar(&o.dryRun, "dry-run", false, "show what would change; make and sign nothing")
}

func leafFlags(c *cobra.Command, o *leafOptions) {
	changeFlags(c, &o.changeOptions)
	c.Flags().StringVar(&o.person, "person", "", "who holds the key")
	c.Flags().StringSliceVar(&o.roles, "role", nil, "what the key may sign: publisher, approver, operator; repeatable")
	c.Flags().IntVar(&o.valid, "valid", 0, fmt.Sprintf("days that the certificate is good, at most %d (default a year)", maxValid))
}

func (a *app) identityRenewCommand() *cobra.Command {
	var o leafOptions
	c := &cobra.Command{
		Use:   "renew",
		Short: "Put new keys in the place of this home's",
		Long: `Make the next identity version: a new publisher key with its leaf, in the place
of the one that this home signs with. A leaf is good for a year; what was signed
with it stays good, and from the new version on it signs nothing that counts. The
key and leaf with which this home connects to servers are renewed with it; --tls
renews these alone, or makes the first ones.

With it the Space gets a new encryption key, to which others encrypt bundles for
it. A key that another home of the Space made is kept, since what is encrypted
to a new one could not be opened there; --encryption new replaces that too, and
--encryption drop lists none until the next renewal.

The root signs it, so its key is needed: keys/root-1.key, or where --root-keys
says. The new version goes to the servers that this Space joined, and into every
feed of the Space that --server or --store keeps, at once, and into others with
airlock identity publish or the next airlock publish there. Receivers learn it
with the feed, bundles included.

The old key files stay. Delete that of the publisher once every feed carries the
new version, and that of the encryption key once no bundle made to it is on its
way: nothing else opens those.`,
		Example: `  airlock identity renew
  airlock identity renew --root-keys /media/safe --valid 180
  airlock identity renew --drop sha256:63b7…      # in the place of a key that is lost
  airlock identity renew --encryption keep
  airlock identity renew --tls
  airlock identity renew --dry-run`,
		Args: exactly(0, "no arguments"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.changeIdentity(cmd.Context(), o.changeOptions, func(_ *ownFeeds, own *trust.History) (home.Change, error) {
				if o.tls {
					return a.tlsRenewal(own, o)
				}
				return a.renewal(own, o)
			})
		},
	}
	leafFlags(c, &o)
	c.Flags().StringVar(&o.drop, "drop", "", "thumbprint of the leaf's key to replace (default that of this home's publisher)")
	c.RegisterFlagCompletionFunc("drop", a.completeLeaves)
	c.Flags().StringVar(&o.encryption, "encryption", "", "what becomes of the encryption key: new, keep or drop (default new, unless another home made it)")
	c.Flags().BoolVar(&o.tls, "tls", false, "renew the key for connections to servers alone")
	c.Flags().SetAnnotation("tls", ownMeaning, []string{"the key to renew"})
	return c
}

// renewal plans a new publisher leaf in the place of an old one.
func (a *app) renewal(own *trust.History, o leafOptions) (home.Change, error) {
	var c home.Change
	old, err := a.replaced(own, o.drop)
	if err != nil {
		return c, err
	}
	if len(old.Certificate) > 0 {
		c.Drop = []storage.Digest{old.Key()}
	} else {
		old = trust.Leaf{Person: userName(), Roles: []trust.Role{trust.Publisher}}
	}
	leaf, err := a.newLeaf(old, o)
	if err != nil {
		return c, err
	}
	if !slices.Contains(leaf.Roles, trust.Publisher) {
		return c, usage("the new key would have no role publisher, and it is what this home publishes with", "airlock identity add-leaf FILE lists keys of other people")
	}
	c.Add = []home.NewLeaf{leaf}
	if c.Encryption, err = a.encryption(own, o.encryption); err != nil {
		return c, err
	}
	connections, err := a.tlsRenewal(own, leafOptions{valid: o.valid})
	c.Add, c.Drop = append(c.Add, connections.Add...), append(c.Drop, connections.Drop...)
	return c, err
}

// tlsRenewal plans a new leaf for TLS in the place of those whose keys are in
// this home, or of the one that --drop names.
func (a *app) tlsRenewal(own *trust.History, o leafOptions) (home.Change, error) {
	var c home.Change
	if o.encryption != "" || len(o.roles) > 0 {
		return c, usage("--tls renews the key for connections alone", "leave --encryption and --role out, or --tls")
	}
	h, err := a.home()
	if err != nil {
		return c, err
	}
	replaced, err := h.TLSLeaves()
	if err != nil {
		return c, err
	}
	if o.drop != "" {
		leaf, err := a.replaced(own, o.drop)
		if err != nil {
			return c, err
		}
		if !leaf.Has(trust.TLS) {
			return c, usage("key %s: is not one for connections", "leave --tls out, or name a leaf with role tls: airlock identity show lists them", o.drop)
		}
		replaced = []trust.Leaf{leaf}
	}
	old := trust.Leaf{Person: home.TLSPerson, Roles: []trust.Role{trust.TLS}}
	for _, l := range replaced {
		old, c.Drop = l, append(c.Drop, l.Key())
	}
	leaf, err := a.newLeaf(old, o)
	c.Add = []home.NewLeaf{leaf}
	return c, err
}

// encryption reads what --encryption says.
func (a *app) encryption(own *trust.History, what string) (home.Encryption, error) {
	switch what {
	case "new":
		return home.NewEncryption, nil
	case "keep":
		return home.KeepEncryption, nil
	case "drop":
		return home.DropEncryption, nil
	case "":
		h, err := a.home()
		if err != nil {
			return home.KeepEncryption, err
		}
		if own.Current().Encryption == "" || h.HoldsEncryption(own) {
			return home.NewEncryption, nil
		}
		a.note("the encryption key is kept: another home of the Space made it, or it is lost; --encryption new replaces it")
		return home.KeepEncryption, nil
	}
	return home.KeepEncryption, usage("--encryption %.40q: is not one of new, keep, drop", "say --encryption keep, for example", what)
}

// replaced returns the leaf that a renewal drops; the zero leaf where the
// identity lists no publisher.
func (a *app) replaced(own *trust.History, drop string) (trust.Leaf, error) {
	id := own.Current()
	if drop != "" {
		key, err := parseKey(drop)
		if err != nil {
			return trust.Leaf{}, err
		}
		leaf, ok := id.Leaf(key)
		if !ok {
			return leaf, usage("key %s: identity version %d lists no leaf with it", "airlock identity show lists the leaves", key, id.Version)
		}
		return leaf, nil
	}
	h, err := a.home()
	if err != nil {
		return trust.Leaf{}, err
	}
	leaf, err := h.PublisherLeaf(a.passphrase)
	if err == nil || !as[*home.UnlistedError](err) && !errors.Is(err, fs.ErrNotExist) {
		return leaf, err
	}
	isPublisher := func(l trust.Leaf) bool { return l.Has(trust.Publisher) }
	if !slices.ContainsFunc(id.Leaves, isPublisher) {
		return trust.Leaf{}, nil
	}
	return leaf, hinted(err, err.Error(), "say which leaf the new key replaces: --drop THUMBPRINT (airlock identity show lists them)")
}

// newLeaf describes the leaf of a key, by default as the old one is.
func (a *app) newLeaf(old trust.Leaf, o leafOptions) (home.NewLeaf, error) {
	leaf := home.NewLeaf{Person: old.Person, Roles: old.Roles, Until: home.LeafUntil(a.now())}
	if o.person != "" {
		leaf.Person = o.person
	}
	if len(o.roles) > 0 {
		leaf.Roles = nil
	}
	for _, r := range o.roles {
		role := trust.Role(r)
		if role != trust.Publisher && role != trust.Approver && role != trust.Operator {
			return leaf, usage("role %.40q is not one of publisher, approver, operator", "say --role approver, for example", r)
		}
		if !slices.Contains(leaf.Roles, role) {
			leaf.Roles = append(leaf.Roles, role)
		}
	}
	if o.valid < 0 || o.valid > maxValid {
		return leaf, usage("a leaf cannot be good for %d days", fmt.Sprintf("say --valid with 1 to %d days", maxValid), o.valid)
	}
	if o.valid > 0 {
		leaf.Until = a.now().Add(time.Duration(o.valid) * 24 * time.Hour)
	}
	return leaf, nil
}

func (a *app) identityAddLeafCommand() *cobra.Command {
	var o leafOptions
	c := &cobra.Command{
		Use:   "add-leaf FILE.pub",
		Short: "List the key of another person, or give a listed one a new certificate",
		Long: `Make the next identity version with one more leaf: for a key that somebody else
made and keeps (airlock key new), of which only the public half comes here.
A key that is listed already gets a new certificate, with its person and roles
unless others are said: so an approver's leaf is renewed, and the key stays.`,
		Example: `  airlock identity add-leaf alice.pub --person alice --role approver
  airlock identity add-leaf ci.pub --person "CI of the web shop" --role publisher
  airlock identity add-leaf alice.pub --valid 180`,
		Args: exactly(1, "a public key file"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.changeIdentity(cmd.Context(), o.changeOptions, func(_ *ownFeeds, own *trust.History) (home.Change, error) {
				return a.addition(own, args[0], o)
			})
		},
	}
	leafFlags(c, &o)
	return c
}

func (a *app) addition(own *trust.History, path string, o leafOptions) (home.Change, error) {
	key, err := readPublicKey(path)
	if err != nil {
		return home.Change{}, err
	}
	thumbprint, err := signing.PublicThumbprint(key)
	if err != nil {
		return home.Change{}, err
	}
	old, listed := own.Current().Leaf(thumbprint)
	if !listed && (o.person == "" || len(o.roles) == 0) {
		return home.Change{}, usage("key %s is not listed yet", "say whose it is and what it may sign: --person NAME --role approver", thumbprint)
	}
	leaf, err := a.newLeaf(old, o)
	leaf.Key = key
	return home.Change{Add: []home.NewLeaf{leaf}}, err
}

func (a *app) identityDropLeafCommand() *cobra.Command {
	var o changeOptions
	c := &cobra.Command{
		Use:   "drop-leaf THUMBPRINT…",
		Short: "List a key no more: what it signed before stays good",
		Long: `Make the next identity version without the leaves of these keys. In each feed
that carries it they sign nothing more; what they signed before stays good. For
a key that was stolen see airlock identity revoke.`,
		Example:           `  airlock identity drop-leaf sha256:63b7…`,
		Args:              atLeast(1, "the thumbprints of keys"),
		ValidArgsFunction: a.completeLeaves,
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.changeIdentity(cmd.Context(), o, func(*ownFeeds, *trust.History) (home.Change, error) {
				keys, err := parseKeys(args)
				return home.Change{Drop: keys}, err
			})
		},
	}
	changeFlags(c, &o)
	return c
}

// completeLeaves offers the keys that the own identity lists.
func (a *app) completeLeaves(_ *cobra.Command, args []string, typed string) ([]string, cobra.ShellCompDirective) {
	var out []string
	if a.hasHome() {
		if h, err := a.home(); err == nil {
			if own, err := h.Identity(); err == nil {
				for _, l := range own.Current().Leaves {
					out = append(out, l.Key().String())
				}
			}
		}
	}
	out = slices.DeleteFunc(out, func(key string) bool { return slices.Contains(args, key) })
	return withPrefix(out, typed), cobra.ShellCompDirectiveNoFileComp
}
