package main

import (
	"context"
	"crypto/ed25519"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"strings"

	"airlock/feed"
	"airlock/internal/home"
	"airlock/trust"
)

// feedID reads a feed's name: whole, or a name of the home's own Space alone.
func (a *app) feedID(name string) (feed.ID, error) {
	if strings.Contains(name, "/") {
		id, err := feed.ParseID(name)
		if err != nil {
			return id, usage("%v", "a feed is named like acme/dev-qa/shared", err)
		}
		return id, nil
	}
	h, err := a.home()
	if err != nil {
		return feed.ID{}, err
	}
	own, err := h.Identity()
	if errors.Is(err, home.ErrNoSpace) {
		return feed.ID{}, usage("%.60q is a feed of this home's own Space, and %s holds none", "name the feed whole, like acme/dev-qa/shared, or make a Space: airlock init <organisation>/<space>", name, h.Path())
	}
	if err != nil {
		return feed.ID{}, err
	}
	if err := trust.CheckLabel(name); err != nil {
		return feed.ID{}, usage("feed: %v", "a feed's own name is a label such as shared", err)
	}
	return feed.ID{Space: own.Space(), Name: name}, nil
}

// feedsOf reads feed names; none stands for all that the place has of Spaces
// with one of the standings. A feed is named once.
func (a *app) feedsOf(ctx context.Context, c *conn, names []string, standings ...string) ([]feed.ID, error) {
	var out []feed.ID
	for _, n := range names {
		id, err := a.feedID(n)
		if err != nil {
			return nil, err
		}
		if slices.Contains(out, id) {
			return nil, usage("feed %s was named twice", "name it once", id)
		}
		out = append(out, id)
	}
	h, err := a.home()
	if err != nil {
		return nil, err
	}
	if len(names) > 0 {
		listsFirst(h, out)
		return out, nil
	}
	spaces, err := spacesOf(h, standings)
	if err != nil {
		return nil, err
	}
	there, err := c.feedsAmong(ctx, spaces)
	if err != nil {
		return nil, err
	}
	for _, id := range there {
		if slices.Contains(standings, standing(h, id.Space)) {
			out = append(out, id)
		}
	}
	listsFirst(h, out)
	if len(out) == 0 {
		return nil, usage("%s has no feed of a Space that is trusted here", "name a feed, or trust its Space first: airlock trust add FILE", c.name)
	}
	return out, nil
}

// spacesOf returns the Spaces with one of the standings.
func spacesOf(h *home.Home, standings []string) ([]trust.Space, error) {
	known, err := h.TrustedSpaces()
	if own, mine := h.Identity(); mine == nil {
		known = append(known, own.Space())
	}
	return slices.DeleteFunc(known, func(s trust.Space) bool { return !slices.Contains(standings, standing(h, s)) }), err
}

// follower returns the one way from a source to what may be used: a follower
// with what this home believes of the feed's Space.
func (a *app) follower(ctx context.Context, src feed.Source, id feed.ID) (*feed.Follower, error) {
	h, err := a.home()
	if err != nil {
		return nil, err
	}
	view, err := a.view(id.Space, id.Name)
	if err != nil {
		return nil, err
	}
	state, err := h.State(ctx)
	if err != nil {
		return nil, err
	}
	f := &feed.Follower{Source: src, View: view, State: state, Now: a.now, Learned: h.Learn}
	f.Accepted = a.takeFromFeed(f)
	return f, nil
}

// view returns what this home believes of a Space, of which it is to trust a
// feed.
func (a *app) view(space trust.Space, feedName string) (*trust.View, error) {
	h, err := a.home()
	if err != nil {
		return nil, err
	}
	view, err := h.View(space)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, &failure{code: exitUntrusted, cause: err, what: space.String() + " is not trusted here",
			hint: "get its identity file and its lineage from its people, then: airlock trust add FILE --feed " + feedName}
	}
	return view, err
}

// sync follows a feed to its newest checkpoint.
func (a *app) sync(ctx context.Context, src *conn, id feed.ID) (*feed.Follower, *feed.State, feed.Report, error) {
	f, err := a.follower(ctx, src, id)
	if err != nil {
		return nil, nil, feed.Report{}, err
	}
	bar := a.progress("verifying " + id.String())
	f.Progress, f.FromSnapshot, f.Late = bar.set, true, src.late
	state, report, err := f.Sync(ctx, id)
	bar.end()
	if report.Snapshot > 0 {
		a.note("%s: the first %d entries were taken as the Space's holdings have them; airlock verify reads them all", id, report.Snapshot)
	}
	if report.Late > 0 {
		a.note("%s: %s is older than what was accepted here: it has the first %d of %s", id, src.name, report.Late, count(int(report.To), "entry", "entries"))
	}
	if errors.Is(err, fs.ErrNotExist) {
		err = a.noFeed(ctx, f, src, id, err)
	}
	if err != nil {
		return nil, nil, report, err
	}
	h, err := a.home()
	if err == nil {
		err = h.NoteFollowed(state.Lineage, id)
	}
	if err == nil {
		err = a.judgeAge(ctx, h, f, state)
	}
	if err == nil {
		err = a.heed(ctx, src, f, state)
	}
	if err == nil && id.NamesPeople() {
		// Without it the next bundle is larger, and lacks nothing.
		if err := h.LearnHeld(ctx, f, state); err != nil {
			a.note("airlock: warning: what %s holds was not learned: %s", id.Space, oneLine(err.Error()))
		}
	}
	return f, state, report, err
}

// there is how many entries a source has, which may be fewer than were accepted.
func there(r feed.Report) int64 {
	if r.Late > 0 {
		return r.Late
	}
	return r.To
}

// judgeAge learns when the Space was last there, which its policy may ask for.
func (a *app) judgeAge(ctx context.Context, h *home.Home, f *feed.Follower, s *feed.State) error {
	err := h.LearnAlive(ctx, f, s, a.now())
	if err != nil {
		return err
	}
	evidence := f.View.Evidence()
	evidence.Alive, err = h.Alive(ctx, s.Lineage, s.ID)
	f.View.Judge(evidence)
	return err
}

// noFeed says that a place does not have a feed, which is worse where entries
// of it were seen.
func (a *app) noFeed(ctx context.Context, f *feed.Follower, src *conn, id feed.ID, cause error) error {
	seen, err := feed.LoadState(ctx, f.State, f.View.History().Lineage(), id)
	if err != nil {
		return notThere(cause, src, id)
	}
	return hinted(cause, fmt.Sprintf("there is no feed %s on %s, and %s of it were seen elsewhere", id, src.name, count(int(seen.Edge.Size()), "entry", "entries")),
		hintOr(cause, "name the server or store that keeps it, or show a credential that may read it; a feed has one log: what belongs elsewhere goes into a feed of another name"))
}

// notThere says that a source does not have a feed, of which nothing is known here.
func notThere(cause error, src *conn, id feed.ID) error {
	return hinted(cause, fmt.Sprintf("there is no feed %s on %s", id, src.name), hintOr(cause, "airlock list shows the feeds; is --server, --store or --from the right one?"))
}

// followed returns what was seen of the feeds of a Space.
func (a *app) followed(history *trust.History) ([]*feed.State, error) {
	h, err := a.home()
	if err != nil {
		return nil, err
	}
	ctx := context.Background()
	store, err := h.State(ctx)
	if err != nil {
		return nil, err
	}
	names, err := h.Followed(history.Lineage())
	if err != nil {
		return nil, err
	}
	var out []*feed.State
	for _, name := range names {
		s, err := feed.LoadState(ctx, store, history.Lineage(), feed.ID{Space: history.Space(), Name: name})
		if errors.Is(err, fs.ErrNotExist) {
			continue // published to, and never followed
		}
		if err != nil {
			return nil, err
		}
		out = append(out, s)
	}
	return out, nil
}

func writePEM(w io.Writer, der []byte) {
	pem.Encode(w, &pem.Block{Type: "CERTIFICATE", Bytes: der})
}

// ed25519SPKI returns the SubjectPublicKeyInfo of a raw key.
func ed25519SPKI(key []byte) ([]byte, error) {
	return x509.MarshalPKIXPublicKey(ed25519.PublicKey(key))
}
