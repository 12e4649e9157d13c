package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"slices"

	"airlock/feed"
	"airlock/feed/log"
	"airlock/internal/home"
	"airlock/receipts"
	"airlock/signing"
	"airlock/storage"
	"airlock/trust"
)

// auditor reads what an audit needs, with a memory of its own: what was seen
// here before is one more witness, and no more than that.
type auditor struct {
	*app
	places     []*conn
	identities map[trust.Space]*trust.History
	audit      *receipts.Audit
	back       *followedFeed                     // with the receipts
	feeds      map[receipts.Wanted]*followedFeed // that were read of those that receipts speak of
}

// followed is a feed that was read, from the place that has most of it.
type followedFeed struct {
	opened
	void map[int64]error
}

func (a *app) newAuditor(ctx context.Context, how receipts.AuditOptions, o auditOptions) (*auditor, error) {
	r := &auditor{app: a, identities: map[trust.Space]*trust.History{}, feeds: map[receipts.Wanted]*followedFeed{}, audit: receipts.NewAudit(how)}
	if err := r.readIdentities(o.identities); err != nil {
		return nil, err
	}
	where := o.from
	if len(where) == 0 {
		where = []string{""}
	}
	for _, from := range where {
		c, err := a.from(ctx, from)
		if err != nil {
			return nil, errors.Join(err, r.close())
		}
		r.places = append(r.places, c)
	}
	return r, nil
}

func (r *auditor) close() error {
	var all error
	for _, c := range r.places {
		all = errors.Join(all, c.Close())
	}
	return all
}

// readIdentities collects what is known of each Space. A file that was named
// comes before what the home has.
func (r *auditor) readIdentities(files []string) error {
	h, err := r.home()
	if err != nil {
		return err
	}
	all, err := h.AllTrusted()
	if err != nil {
		return err
	}
	for _, t := range all {
		r.identities[t.History.Space()] = t.History
	}
	if own, err := h.Identity(); err == nil {
		r.identities[own.Space()] = own
	}
	for _, path := range files {
		b, err := home.ReadFile(path, trust.MaxFile)
		if err != nil {
			return err
		}
		history, err := trust.ParseFile(b)
		if err != nil {
			return badFile(path, err)
		}
		r.identities[history.Space()] = history
	}
	return nil
}

// run reads everything. A feed that its receipts speak of and that is not to be
// had is a finding; without the receipts there is no audit.
func (r *auditor) run(ctx context.Context, id feed.ID) (*receipts.Report, error) {
	back, err := r.follow(ctx, id)
	if err != nil {
		return nil, err
	}
	if err := r.audit.Receipts(ctx, back.follower, back.state, back.void); err != nil {
		return nil, tampered(err)
	}
	r.back = back
	all := []*followedFeed{back}
	for _, w := range r.audit.Wanted() {
		f, err := r.source(ctx, w)
		if err != nil {
			return nil, err
		}
		if f != nil {
			r.feeds[w] = f
			all = append(all, f)
		}
	}
	if err := r.sightings(ctx, all); err != nil {
		return nil, err
	}
	for _, f := range all[1:] {
		if err := r.audit.Feed(ctx, f.follower, f.state); err != nil {
			return nil, tampered(err)
		}
	}
	return r.audit.Report(), nil
}

// source follows a feed that receipts speak of; nil where it cannot be checked,
// which is a finding then.
func (r *auditor) source(ctx context.Context, w receipts.Wanted) (*followedFeed, error) {
	missing := func(format string, args ...any) {
		r.audit.Found(receipts.Finding{Kind: receipts.Unchecked, Severity: receipts.Incomplete, A: receipts.Place{Feed: w.ID}, Why: fmt.Sprintf(format, args...)})
	}
	if r.identities[w.ID.Space] == nil {
		missing("receipts speak of it, and no identity of %s is known here", w.ID.Space)
		return nil, nil
	}
	f, err := r.follow(ctx, w.ID)
	if errors.Is(err, fs.ErrNotExist) {
		missing("receipts speak of it, and no place has it")
		return nil, nil
	}
	if err == nil && f.state.Epoch != w.Epoch {
		missing("receipts speak of epoch %d, and here is epoch %d", w.Epoch, f.state.Epoch)
		return nil, nil
	}
	return f, err
}

// follow reads a feed from every place that has it, the shortest first: each
// must go on from the one before.
func (r *auditor) follow(ctx context.Context, id feed.ID) (*followedFeed, error) {
	history := r.identities[id.Space]
	if history == nil {
		return nil, &failure{code: exitUntrusted, what: "no identity of " + id.Space.String() + " is known here",
			hint: "say --identity FILE with the file that its people hand out (airlock identity export), and compare its lineage with theirs"}
	}
	type head struct {
		*conn
		size int64
	}
	var heads []head
	for _, c := range r.places {
		got, err := c.Checkpoint(ctx, id)
		switch {
		case errors.Is(err, fs.ErrNotExist), errors.Is(err, log.ErrWentBack) && !lists(ctx, c, id):
		case err != nil:
			return nil, fmt.Errorf("%s: feed %s: %w", c.name, id, err)
		default:
			heads = append(heads, head{c, got.Size})
		}
	}
	if len(heads) == 0 {
		return nil, hinted(fmt.Errorf("feed %s: %w", id, fs.ErrNotExist), fmt.Sprintf("there is no feed %s on %s", id, r.placeNames()), "say --from with a place that has it; receipts are given out to a read token alone")
	}
	slices.SortStableFunc(heads, func(x, y head) int { return cmp.Compare(x.size, y.size) })
	view, err := trust.NewView(history.Clone(), nil)
	if err != nil {
		return nil, err
	}
	out, state := &followedFeed{void: map[int64]error{}}, storage.NewMem()
	for _, h := range heads {
		f := &feed.Follower{Source: h.conn, View: view, State: state, Now: r.now}
		bar := r.progress("verifying " + id.String())
		f.Progress = bar.set
		s, report, err := f.Sync(ctx, id)
		bar.end()
		if fork, ok := errors.AsType[*feed.RollbackError](err); ok && out.state != nil {
			r.forked(id, out.name, h.name, fork)
			continue
		}
		if err != nil {
			return nil, tampered(fmt.Errorf("%s: %w", h.name, err))
		}
		maps.Copy(out.void, report.Void)
		out.opened = opened{h.conn, f, s}
	}
	return out, nil
}

// lists reports whether a place says that it has a feed. A home that runs the log
// of one store misses its feeds in every other.
func lists(ctx context.Context, c *conn, id feed.ID) bool {
	all, err := c.Feeds(ctx)
	return err != nil || slices.Contains(all, id)
}

func (r *auditor) placeNames() string {
	names := ""
	for _, c := range r.places {
		if names += ", " + c.name; len(names) > 200 {
			break
		}
	}
	return names[2:]
}

// forked says that two places show two logs.
func (r *auditor) forked(id feed.ID, a, b string, e *feed.RollbackError) {
	r.audit.Found(receipts.Finding{Kind: receipts.Fork, Severity: receipts.Forked, Origin: e.Got.Origin, From: e.Seen.Size, To: e.Got.Size, A: receipts.Place{Feed: id}, B: receipts.Place{Feed: id},
		NoteA: string(e.Seen.Note), NoteB: string(e.Got.Note), Why: fmt.Sprintf("%s shows another log than %s: %v", b, a, e)})
}

// holdingsRead is how many of a feed's newest holdings are looked at.
const holdingsRead = 20

// sightings tells the audit which checkpoints others were shown: this home, and
// the Spaces whose holdings stand in the feeds.
func (r *auditor) sightings(ctx context.Context, feeds []*followedFeed) error {
	seen, err := r.followedFeeds()
	if err != nil {
		return err
	}
	for _, s := range seen {
		r.audit.Saw(s.Checkpoint(), receipts.Place{Feed: s.ID, Index: receipts.Remembered})
	}
	for _, f := range feeds {
		var rows []feed.Row
		for row := range f.state.Index.Others(signing.Holdings, 0) {
			if rows = append(rows, row); len(rows) == holdingsRead {
				break
			}
		}
		slices.Reverse(rows)
		err := f.follower.Statements(ctx, f.state, rows, func(row feed.Row, v trust.Verified, _ signing.Attestation) error {
			account, err := feed.ReadAccount(ctx, f, f.state.ID, v)
			if errors.Is(err, fs.ErrNotExist) {
				return nil // a medium need not carry the documents of all
			}
			if err != nil {
				return err
			}
			for _, of := range account.Feeds {
				r.audit.Saw(of.Checkpoint(), receipts.Place{Feed: f.state.ID, Index: row.Index})
			}
			return nil
		})
		if err != nil {
			return tampered(err)
		}
	}
	return nil
}
