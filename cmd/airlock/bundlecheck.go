package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"airlock/bundle"
	"airlock/feed"
	"airlock/internal/home"
	"airlock/storage"
	"airlock/trust"
)

// volumes reads every byte of the medium.
func (c *bundleCheck) volumes(ctx context.Context) (whole bool, err error) {
	bar := c.progress("reading volumes")
	health, err := c.Verify(ctx, bar.setBytes)
	bar.end()
	if err != nil {
		return false, err
	}
	c.health = health
	doc := c.Document()
	missing, damaged := len(health.Missing), len(health.Damaged)
	if err := health.Err(); err != nil {
		c.bad("volumes", err)
	}
	c.ok("volumes", "%d of %d are here, %d damaged", doc.Volumes.Count-missing, doc.Volumes.Count, damaged)
	if health.Bad == 0 {
		c.ok("blocks", "%s of up to %s, each as the maker's document has it", count(int(health.Blocks), "block", "blocks"), size(doc.Block))
	} else {
		c.line("BAD", "blocks", "%d of %d damaged or missing", health.Bad, health.Blocks)
	}
	if p := doc.Parity; p != nil {
		c.ok("parity", "%d of %d blocks of each group may be lost", p.Shards, p.Shards+p.Data)
	} else {
		c.note("parity", "there is none: damage to the medium could not be repaired")
	}
	return health.Whole(), nil
}

// destination checks for whom the bundle is, and until when.
func (c *bundleCheck) destination() error {
	doc := c.Document()
	h, err := c.home()
	if err != nil {
		return err
	}
	own, err := h.Identity()
	switch {
	case errors.Is(err, home.ErrNoSpace):
		c.note("destination", "it is for %s, lineage %s; this home holds no Space", doc.Audience.Space, doc.Audience.Lineage)
	case err != nil:
		return err
	case own.Lineage() == doc.Creator.Lineage:
		c.note("destination", "it is for %s, lineage %s; it was made here", doc.Audience.Space, doc.Audience.Lineage)
	default:
		if err := doc.CheckAudience(own.Lineage()); err != nil {
			c.bad("destination", err)
		} else {
			c.ok("destination", "%s, lineage %s", doc.Audience.Space, doc.Audience.Lineage)
		}
	}
	if err := doc.CheckExpiry(c.now()); err != nil {
		c.bad("expiry", err)
	} else {
		c.ok("expiry", "%s", cmp.Or(doc.Expires, "none"))
	}
	return nil
}

// follow reads a feed as far as the bundle leads, from where this home stands.
// What is seen on the way is forgotten again. It returns nil where more of the
// feed was accepted here already: then nothing of it would be taken in.
func (c *bundleCheck) follow(ctx context.Context, s bundle.Slice) (*checkedFeed, error) {
	f, err := c.follower(ctx, c.Bundle, s.Feed)
	if err != nil {
		return nil, err
	}
	f.State, f.Learned, f.Accepted, f.Late = storage.Overlay(f.State), nil, nil, true
	bar := c.progress("verifying " + s.Feed.String())
	f.Progress = bar.set
	before, err := feed.LoadState(ctx, f.State, f.View.History().Lineage(), s.Feed)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	state, report, err := f.Sync(ctx, s.Feed)
	bar.end()
	if err != nil {
		return nil, c.notFollowed(s, before, err)
	}
	if report.Late > 0 {
		c.note("position", "%s: older than what was accepted here on %s: it has the first %d of %s, and nothing that is new", s.Feed,
			before.SeenAt.UTC().Format(time.DateOnly), report.Late, count(int(report.To), "entry", "entries"))
		c.late++
		return nil, nil
	}
	for i, why := range report.Void {
		c.note("statements", "%s: entry %d does not count: %v", s.Feed, i, why)
	}
	c.ok("statements", "%s: entries %d to %d: signer, identity in force, binding, chain, and the signed root", s.Feed, s.From, s.To)
	out := &checkedFeed{opened: &opened{nil, f, state}, slice: s}
	if before == nil {
		c.note("position", "%s: nothing of it was accepted here before", s.Feed)
		return out, nil
	}
	out.seen = before.Edge.Size()
	c.ok("position", "%s: continues the %s accepted here on %s", s.Feed, count(int(out.seen), "entry", "entries"), before.SeenAt.UTC().Format(time.DateOnly))
	return out, nil
}

// notFollowed tells what a bundle is for that does not go on from here.
func (c *bundleCheck) notFollowed(s bundle.Slice, before *feed.State, err error) error {
	have := int64(0)
	if before != nil {
		have = before.Edge.Size()
	}
	if as[*feed.GapError](err) && have < s.From {
		return &earlierError{stick: "bundle " + c.ID().Short(), gap: &feed.GapError{ID: s.Feed, From: have, To: s.From}}
	}
	return tampered(err)
}

// authenticity checks who made the bundle. Its key may be listed in what the
// bundle itself carries, so this comes after the feeds.
func (c *bundleCheck) authenticity() {
	view, err := c.makerView()
	if err != nil {
		c.bad("maker", err)
		return
	}
	who, err := whoMade(c.Bundle, view, c.behind)
	if as[*earlierError](err) {
		c.note("maker", "no identity that is known here lists who signed; entries that are missing may")
		return
	}
	if err != nil && c.late == len(c.Document().Feeds) {
		c.note("maker", "is not known by the newest identity; nothing of it would be taken in: %s", oneLine(err.Error()))
		return
	}
	if err != nil {
		c.bad("maker", err)
		return
	}
	history := view.History()
	c.signer = &signerDoc{Person: who.Person(), Key: who.Key().String(), Identity: history.Current().Version,
		Space: history.Space().String(), Lineage: history.Lineage().String()}
	c.ok("maker", "%s of %s signed that it is whole, for whom, and when", who.Person(), history.Space())
}

// makerView returns what is known of who says to have made the bundle, with
// what the bundle's feeds told of them.
func (c *bundleCheck) makerView() (*trust.View, error) {
	for _, f := range c.feeds {
		if f.state.Lineage == c.Document().Creator.Lineage {
			return f.follower.View.Clone(), nil // whose own order of identities stays
		}
	}
	return c.maker(c.Bundle)
}

// payloads reads every file that is carried of a feed.
func (c *bundleCheck) payloads(ctx context.Context, f *checkedFeed, read func(*checkedFeed, *feed.Package) error) error {
	var rows []feed.Row
	held, left := 0, 0
	for row := range f.state.Index.Rows(0) {
		if !f.state.Index.Live(row) {
			continue
		}
		carried, err := carries(ctx, c.Bundle, f.state.ID, row)
		switch {
		case as[*bundle.BaseError](err):
			c.unread(f, row, "its manifest", err)
		case err != nil:
			c.bad("packages", tampered(fmt.Errorf("%s: manifest: %w", row.Ref, err)))
		case carried:
			rows = append(rows, row)
		case c.ReceiverHas(f.state.ID, row.Manifest):
			held++
		case row.Index >= f.slice.From:
			left++
		}
	}
	var files, bytes int64
	var stopped error // by read
	err := c.fetch(ctx, "reading packages", f.follower, f.state, rows, func(p *feed.Package) error {
		for i, l := range p.Manifest.Layers {
			n, err := readThrough(ctx, p, i)
			switch {
			case as[*bundle.BaseError](err):
				c.unread(f, p.Row, l.Path, err)
			case ctx.Err() != nil:
				return ctx.Err()
			case err != nil:
				c.bad("packages", c.objectError(fmt.Sprintf("%s: %s", p.Row.Ref, l.Path), err))
			default:
				files, bytes = files+1, bytes+n
			}
		}
		stopped = read(f, p)
		return stopped
	})
	if stopped != nil {
		return stopped
	}
	if err != nil {
		return tampered(err)
	}
	c.ok("packages", "%s: %s, %s, %s, each as its manifest has it", f.state.ID, count(len(rows), "manifest", "manifests"), count(int(files), "file", "files"), size(bytes))
	if held > 0 {
		c.note("packages", "%s: the receiver said that it has %s, not carried here", f.state.ID, count(held, "package", "packages"))
	}
	if left > 0 {
		c.note("packages", "%s: %s left out by the maker", f.state.ID, count(left, "package was", "packages were"))
	}
	return nil
}

// unread notes what is sent as a difference to what the receiver has, and is not
// here.
func (c *bundleCheck) unread(f *checkedFeed, row feed.Row, what string, err error) {
	c.lacks[packageKey{f.state.ID, row.Index}] = err
	c.note("packages", "%s: %s: what it is made from is not here, so it was not read", row.Ref, what)
}
