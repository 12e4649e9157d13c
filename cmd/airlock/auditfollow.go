package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"

	"airlock/feed"
	"airlock/feed/feedhttp"
	"airlock/receipts"
	"airlock/storage"
	"airlock/trust"
)

// errUnread reports a feed that no place could be read of.
var errUnread = errors.New("no place that was read has it")

// follow reads a feed from every place that has it, the shortest first: each
// must go on from the one before. A place that cannot be read is a finding; if
// none can it is an errUnread.
func (r *auditor) follow(ctx context.Context, id feed.ID) (*followedFeed, error) {
	known := r.identities[id.Space]
	if known == nil {
		return nil, &failure{code: exitIncomplete, what: "no identity of " + id.Space.String() + " is known here",
			hint: "say --identity FILE with the file that its people hand out (airlock identity export), and compare its lineage with theirs"}
	}
	heads, err := r.places.heads(ctx, id, func(c *conn, err error) { r.unread(id, c.name, err) })
	if err != nil {
		return nil, r.nowhere(id, err)
	}
	out, state := &followedFeed{void: map[int64]error{}}, storage.NewMem()
	var read []head
	var later []gapped
	var first error // of places that cannot be read
	for _, h := range heads {
		// A view may have learned from entries that were then refused.
		view, err := trust.NewView(known.Clone(), nil)
		if err != nil {
			return nil, err
		}
		f := &feed.Follower{Source: h.conn, View: view, State: state, Now: r.now}
		bar := r.progress("verifying " + id.String())
		f.Progress = bar.set
		s, report, err := f.Sync(ctx, id)
		bar.end()
		fork, _ := errors.AsType[*feed.RollbackError](err)
		switch {
		case err == nil:
			known, read = view.History(), append(read, h)
			maps.Copy(out.void, report.Void)
			out.opened = opened{h.conn, f, s}
		case fork != nil && out.state != nil:
			r.forked(id, out.name, h.name, fork)
		case as[*feed.GapError](err):
			later, first = append(later, gapped{h, err}), cmp.Or(first, err)
		case unanswered(err):
			r.unread(id, h.name, err)
			first = cmp.Or(first, err)
		default:
			return nil, tampered(fmt.Errorf("%s: %w", h.name, err))
		}
	}
	if out.state == nil {
		for _, g := range later {
			r.unread(id, g.name, g.err)
		}
		return nil, r.nowhere(id, first)
	}
	return out, r.goOn(ctx, out, read, later)
}

// gapped is a place that goes on from an entry that was not there when it was
// read: a medium with what came later.
type gapped struct {
	head
	err error
}

// goOn makes one of the places that have a feed, since the rest of the audit
// reads entries and objects again. What a place has that goes on later is known
// by now, or lacks what comes before it.
func (r *auditor) goOn(ctx context.Context, out *followedFeed, read []head, later []gapped) error {
	var all []head
	for _, g := range later {
		all = append(all, g.head)
	}
	name := out.name
	out.conn = asOne(append(all, read...))
	out.follower.Source = out.conn
	for _, g := range later {
		if g.shown.Size > out.state.Edge.Size() {
			r.unread(out.state.ID, g.name, g.err)
			continue
		}
		_, err := out.follower.Compare(ctx, out.state, g.shown.Note)
		if fork, ok := errors.AsType[*feed.RollbackError](err); ok {
			r.forked(out.state.ID, name, g.name, fork)
		} else if err != nil {
			return tampered(fmt.Errorf("%s: %w", g.name, err))
		}
	}
	return nil
}

// nowhere says why a feed could be read nowhere.
func (r *auditor) nowhere(id feed.ID, err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return &failure{code: exitFailed, cause: errUnread, what: fmt.Sprintf("there is no feed %s on %s", id, r.places), hint: "say --from with a place that has it; receipts are given out to a credential alone"}
	}
	_, hint := outcomeOf(err)
	if as[*feed.GapError](err) {
		hint = "say --from with what comes before it too"
	}
	return &failure{code: exitIncomplete, cause: errors.Join(errUnread, err), what: fmt.Sprintf("%s could not be read: %v", id, err), hint: hint}
}

// unchecked says what keeps a feed from being checked.
func (r *auditor) unchecked(id feed.ID, format string, args ...any) {
	r.audit.Found(receipts.Finding{Kind: receipts.Unchecked, Severity: receipts.Incomplete, A: receipts.Place{Feed: id}, Why: fmt.Sprintf(format, args...)})
}

// unread says which place was passed over: it may show another log.
func (r *auditor) unread(id feed.ID, name string, err error) {
	what := oneLine(err.Error())
	if errors.Is(err, feedhttp.ErrUnauthorized) {
		what = "it asks for a credential: say --token-file FILE"
	}
	r.unchecked(id, "%s was not read: %s", name, what)
}

// brokenBundles says what lies on media and cannot be read: it may be receipts,
// or what they speak of.
func (r *auditor) brokenBundles(id feed.ID) {
	for _, c := range r.places {
		if c.stick == nil {
			continue
		}
		for _, u := range c.stick.broken {
			r.unread(id, u.Path, u.Err)
		}
	}
}

// forked says that two places show two logs.
func (r *auditor) forked(id feed.ID, a, b string, e *feed.RollbackError) {
	r.audit.Found(receipts.Finding{Kind: receipts.Fork, Severity: receipts.Forked, Origin: e.Got.Origin, From: e.Seen.Size, To: e.Got.Size, A: receipts.Place{Feed: id}, B: receipts.Place{Feed: id},
		NoteA: string(e.Seen.Note), NoteB: string(e.Got.Note), Why: fmt.Sprintf("%s shows another log than %s: %v", b, a, e)})
}
