package main

import (
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"airlock/feed"
	"airlock/internal/home"
	"airlock/trust"
)

func (a *app) identityRotateCommand() *cobra.Command {
	var o changeOptions
	var drop []string
	c := &cobra.Command{
		Use:   "rotate",
		Short: "Put the next root in the place of the root",
		Long: `Make the next identity version under the next root, to which the identity has
committed since it was made, so nobody who stole the root can do the same with a
root of their own. All leaves get new certificates for their keys, with their
dates. It is signed by both roots, so both key files are needed, and a new one
is made: the next root after that.

Who stole the root may have signed a version with leaves of their own: airlock
identity publish reads the feeds, airlock identity show then lists the leaves, and
--drop leaves out what is not yours.`,
		Example: `  airlock identity rotate --root-keys /media/safe
  airlock identity rotate --drop sha256:63b7…
  airlock identity rotate --dry-run`,
		Args: exactly(0, "no arguments"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.changeIdentity(cmd.Context(), o, func(*ownFeeds, *trust.History) (home.Change, error) {
				keys, err := parseKeys(drop)
				return home.Change{Rotate: true, Drop: keys}, err
			})
		},
	}
	changeFlags(c, &o)
	c.Flags().StringSliceVar(&drop, "drop", nil, "thumbprint of a leaf's key to leave out; repeatable")
	c.RegisterFlagCompletionFunc("drop", a.completeLeaves)
	return c
}

func (a *app) identityRevokeCommand() *cobra.Command {
	var o changeOptions
	var reason string
	var since []string
	var always bool
	c := &cobra.Command{
		Use:   "revoke THUMBPRINT",
		Short: "Void what a key signed, from an entry of each feed on",
		Long: `Make the next identity version that revokes a key, for one that was stolen. Of
each feed --since names the first of its entries that is void. In feeds that are
not named all that it signed is void, since the thief could open new ones: so
every feed of this Space that is known here must be named. An entry past the end
voids nothing. The key is listed no more, and stays revoked for good; from where
on it is void may be corrected by revoking it again.

For the key that this home publishes with, run airlock identity renew first.`,
		Example: `  airlock log shared                              # which entries are the thief's?
  airlock identity revoke sha256:63b7… --since shared=1204 --since tools=77 --reason "laptop stolen"
  airlock identity revoke sha256:63b7… --from-start --reason "never ours"`,
		Args:              exactly(1, "the thumbprint of a key"),
		ValidArgsFunction: a.completeLeaves,
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.changeIdentity(cmd.Context(), o, func(feeds *ownFeeds, _ *trust.History) (home.Change, error) {
				r, err := feeds.revocation(args[0], reason, since, always)
				return home.Change{Revoke: []trust.Revocation{r}}, err
			})
		},
	}
	changeFlags(c, &o)
	c.Flags().StringVar(&reason, "reason", "", "why, for the people on the other side; at most 500 bytes")
	c.Flags().StringSliceVar(&since, "since", nil, "FEED=ENTRY, the first entry that is void; repeatable")
	c.Flags().BoolVar(&always, "from-start", false, "void all that the key ever signed")
	return c
}

// revocation plans to void what a key signed.
func (f *ownFeeds) revocation(key, reason string, since []string, always bool) (trust.Revocation, error) {
	r := trust.Revocation{Reason: reason, Since: []trust.RevokedFrom{}}
	var err error
	if r.Key, err = parseKey(key); err != nil {
		return r, err
	}
	if always == (len(since) > 0) {
		return r, usage("from where on is what the key signed void?", "say --since FEED=ENTRY for each feed, or --from-start; airlock log FEED shows the entries")
	}
	left := f.ids
	for _, s := range since {
		name, entry, _ := strings.Cut(s, "=")
		id, err := f.feedID(name)
		if err != nil {
			return r, err
		}
		at, err := strconv.ParseInt(entry, 10, 54)
		if err != nil || at < 0 {
			return r, usage("--since %.80q: want FEED=ENTRY, such as shared=1204", "airlock log FEED shows the entries", s)
		}
		r.Since = append(r.Since, trust.RevokedFrom{Epoch: 1, Feed: id.String(), Size: at})
		left = slices.DeleteFunc(slices.Clone(left), func(known feed.ID) bool { return known == id })
	}
	if !always && len(left) > 0 {
		return r, usage("--since does not name the feed %s, and all that the key signed in it would be void, its opening too", "name every feed: --since "+left[0].Name+"=ENTRY, past its end where nothing in it is the thief's", left[0])
	}
	return r, nil
}
