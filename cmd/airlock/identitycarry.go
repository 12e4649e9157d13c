package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"

	"github.com/spf13/cobra"

	"airlock/feed"
	"airlock/feed/feedhttp"
	"airlock/internal/home"
	"airlock/trust"
)

func (a *app) identityPublishCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "publish",
		Short: "Carry the newest identity into every feed of this Space",
		Long: `Carry the newest identity version into every feed of this Space that lacks it,
on --server or --store, and to the servers that this Space joined. Publishing to a
feed does the same for that one. No key is needed: the root has signed the versions
already.

The exit code is 3 where a feed still lacks it: name the server or store that
keeps that feed.`,
		Example: `  airlock identity publish
  airlock identity publish --store /mnt/store`,
		Args: exactly(0, "no arguments"),
		RunE: func(cmd *cobra.Command, _ []string) error { return a.publishIdentity(cmd.Context()) },
	}
}

func (a *app) publishIdentity(ctx context.Context) error {
	feeds, err := a.ownFeeds(ctx, true)
	if err != nil {
		return err
	}
	defer feeds.Close()
	_, own, err := a.space() // as the feeds have it
	if err != nil {
		return err
	}
	if err := feeds.spread(ctx, own); err != nil {
		return err
	}
	if err := a.show(feeds.docs, func(w io.Writer) { carriedTable(w, feeds.docs) }); err != nil {
		return err
	}
	return feeds.end(own)
}

// carriedDoc says which identity version a feed carries, or a server knows.
type carriedDoc struct {
	Feed    string `json:"feed,omitempty"`
	Server  string `json:"server,omitempty"`
	Version int    `json:"version"` // 0 where that is not known
	Problem string `json:"problem,omitempty"`
}

func carriedTable(w io.Writer, docs []carriedDoc) {
	var rows [][]string
	for _, d := range docs {
		version := "unknown"
		if d.Version > 0 {
			version = fmt.Sprint(d.Version)
		}
		rows = append(rows, []string{d.Feed + d.Server, version, dash(d.Problem)})
	}
	columns(w, []string{"FEED OR SERVER", "HAS VERSION", "PROBLEM"}, rows)
}

// end is the end of a command that carried an identity: feeds may be left
// without the newest version, or have refused it.
func (f *ownFeeds) end(own *trust.History) error {
	version, behind := own.Current().Version, 0
	for _, d := range f.docs {
		if d.Version < version {
			behind++
		}
	}
	if f.refused != nil || behind == 0 {
		return f.refused
	}
	return exitWith(exitIncomplete, fmt.Sprintf("%s not have identity version %d yet", count(behind, "feed or server does", "feeds and servers do"), version),
		"airlock identity publish --server URL (or --store DIR) carries it there; so does the next airlock publish to that feed")
}

// ownFeeds are the feeds of the home's Space, and the place that may keep them.
type ownFeeds struct {
	*app
	ids     []feed.ID
	docs    []carriedDoc // of ids
	lineage trust.Lineage
	conn    *conn // nil where no place was asked, or none can be
	problem error // why it cannot
	refused error // why nobody should go on: see hold
}

func (f *ownFeeds) Close() {
	if f.conn != nil {
		f.conn.Close()
	}
}

// ownFeeds lists the Space's feeds that were seen here. With reach it connects
// to the place, adds the feeds there, learns what they say of the own identity,
// and carries the newest version into them. A place that cannot be reached is no
// error; one that shows another history is. Close what is returned.
func (a *app) ownFeeds(ctx context.Context, reach bool) (*ownFeeds, error) {
	h, own, err := a.space()
	if err != nil {
		return nil, err
	}
	names, err := h.Followed(own.Lineage())
	if err != nil {
		return nil, err
	}
	f := &ownFeeds{app: a, lineage: own.Lineage()}
	for _, name := range names {
		f.ids = append(f.ids, feed.ID{Space: own.Space(), Name: name})
	}
	if !reach || len(names) == 0 && a.server == "" && a.store == "" {
		f.docs, err = f.known(ctx) // a Space without feeds asks nobody
		return f, err
	}
	if err := f.reach(ctx, h, own.Space()); err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

// reach reads the feeds of the place and brings them up to the newest version.
func (f *ownFeeds) reach(ctx context.Context, h *home.Home, space trust.Space) error {
	if f.problem = f.dialOwn(ctx, space); f.problem != nil {
		if code, _ := outcomeOf(f.problem); code == exitUsage {
			return f.problem
		}
	}
	for _, id := range f.ids {
		if f.problem == nil {
			_, _, _, err := f.sync(ctx, f.conn, id)
			f.hold(err)
		}
	}
	own, err := h.Identity() // as the feeds have it
	if err != nil || f.refused != nil {
		return errors.Join(err, f.refused)
	}
	// Before anything else is made: what is made already must be the Space's.
	return errors.Join(f.carry(ctx, own), f.refused)
}

// dialOwn connects, and adds the feeds of the Space that the place has.
func (f *ownFeeds) dialOwn(ctx context.Context, space trust.Space) error {
	c, err := f.connect(ctx, changing)
	if err != nil {
		return err
	}
	there, err := c.Feeds(ctx, space)
	if err != nil {
		return errors.Join(err, c.Close())
	}
	f.conn = c
	for _, id := range there {
		if !slices.Contains(f.ids, id) {
			f.ids = append(f.ids, id)
		}
	}
	return nil
}

// hold keeps an error after which nobody should go on: a fork, a rollback, bytes
// that were not signed. Others pass, or show again.
func (f *ownFeeds) hold(err error) {
	code, _ := outcomeOf(err)
	if err == nil || f.refused != nil || code != exitUntrusted && code != exitRollback && code != exitBadSignature {
		return
	}
	if f.refused = err; deniedBy("lineage")(err) {
		f.refused = hinted(err, err.Error(), "another home of this Space made that version first: go on with a copy of that home, and make the change there")
	}
}

// known says which version each feed was seen to carry.
func (f *ownFeeds) known(ctx context.Context) ([]carriedDoc, error) {
	h, err := f.home()
	if err != nil {
		return nil, err
	}
	state, err := h.State(ctx)
	if err != nil {
		return nil, err
	}
	docs := []carriedDoc{}
	for _, id := range f.ids {
		d := carriedDoc{Feed: id.String()}
		s, err := feed.LoadState(ctx, state, f.lineage, id)
		switch {
		case err == nil:
			d.Version = feed.Carried(s.InForce)
		case !errors.Is(err, fs.ErrNotExist):
			return nil, err
		}
		docs = append(docs, d)
	}
	return docs, nil
}

// carry commits the newest identity version to every feed that lacks it, and
// keeps what came of it in docs.
func (f *ownFeeds) carry(ctx context.Context, own *trust.History) error {
	var err error
	if f.docs, err = f.known(ctx); err != nil {
		return err
	}
	for i, id := range f.ids {
		if f.docs[i].Version >= own.Current().Version {
			continue
		}
		problem := f.problem
		if problem == nil {
			problem = f.carryInto(ctx, id, own)
		}
		if problem != nil {
			f.docs[i].Problem = oneLine(problem.Error())
			continue
		}
		f.docs[i].Version = own.Current().Version
	}
	return nil
}

// spread tells the servers that this home joined of the newest identity, and carries
// it into the feeds: only who was told may take the certificate of this home.
func (f *ownFeeds) spread(ctx context.Context, own *trust.History) error {
	told, err := f.tell(ctx, own)
	if err != nil {
		return err
	}
	if errors.Is(f.problem, feedhttp.ErrUnauthorized) {
		f.problem = f.dialOwn(ctx, own.Space())
	}
	err = f.carry(ctx, own)
	f.docs = append(f.docs, told...)
	return err
}

// tell hands the newest identity to the servers that this home joined, which know
// it by the leaves for TLS there, and returns what came of it. Those of one operator
// have one store, so one of them is told.
func (a *app) tell(ctx context.Context, own *trust.History) ([]carriedDoc, error) {
	joined, err := a.operators()
	var docs []carriedDoc
	for _, of := range joined {
		d := carriedDoc{Server: serversOf(of)}
		c, err := a.client(d.Server)
		if err == nil {
			d.Version, err = c.Tell(ctx, trust.FormatFile(own))
			err = errors.Join(err, c.Close())
		}
		if err != nil {
			d.Problem = oneLine(err.Error())
		}
		docs = append(docs, d)
	}
	return docs, err
}

// carryInto commits the identity versions that a feed lacks.
func (f *ownFeeds) carryInto(ctx context.Context, id feed.ID, own *trust.History) error {
	p, err := f.publisherOn(ctx, f.conn, id, own, nil)
	if err != nil {
		return err
	}
	err = p.Carry(ctx)
	f.hold(err)
	if err != nil {
		return err
	}
	_, err = p.Sync(ctx) // so that this home knows
	return err
}
