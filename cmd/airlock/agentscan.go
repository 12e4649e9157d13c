package main

import (
	"cmp"
	"context"
	"errors"
	"io"
	"path/filepath"
	"slices"
	"strings"

	"airlock/feed"
	"airlock/feed/kind"
	"airlock/internal/agent"
	"airlock/internal/apply"
	"airlock/internal/home"
	"airlock/signing"
	"airlock/storage"
	"airlock/trust"
)

// open makes ready what every scan needs, once.
func (r *subscriber) open(ctx context.Context) (err error) {
	if r.store == nil {
		if r.store, err = r.home.State(ctx); err != nil {
			return err
		}
		if r.state, err = agent.Load(ctx, r.store, r.sub.Name); err != nil {
			r.store = nil
			return err
		}
	}
	if r.sub.Err != nil {
		return r.sub.Err
	}
	if r.conn != nil {
		return nil
	}
	c, err := r.from(ctx, r.source())
	if err != nil {
		return err
	}
	if c.stick != nil {
		return errors.Join(usage("from: %s holds bundles", "a medium is taken in by hand: airlock pull --from "+shellWord(r.sub.From), r.sub.From), c.Close())
	}
	if r.sub.Bandwidth > 0 {
		c.place = pacedPlace{c.place, agent.Paced{From: c.place, Pace: agent.NewPace(r.sub.Bandwidth)}}
	}
	r.conn = c
	return nil
}

func (r *subscriber) source() string { return sourceOf(r.home, r.sub) }

// sourceOf is where a subscription follows feeds; a folder is named from the home.
func sourceOf(h *home.Home, s home.Subscribed) string {
	if from := s.From; from != "" && !strings.Contains(from, "://") && !filepath.IsAbs(from) {
		return filepath.Join(h.Path(), from)
	}
	return s.From
}

func (r *subscriber) close() {
	r.clockOut()
	if r.conn != nil {
		if err := r.conn.Close(); err != nil {
			r.note("airlock: warning: %s", oneLine(err.Error()))
		}
	}
}

// pacedPlace is a place whose contents come no faster than they may.
type pacedPlace struct {
	place
	paced agent.Paced
}

func (p pacedPlace) Object(ctx context.Context, id feed.ID, d storage.Digest, off int64) (io.ReadCloser, error) {
	return p.paced.Object(ctx, id, d, off)
}

func (p pacedPlace) Pack(ctx context.Context, id feed.ID, from, to int64) (*feed.Pack, error) {
	return p.paced.Pack(ctx, id, from, to)
}

// makeRules makes a puller for each rule that holds here.
func (r *subscriber) makeRules(ctx context.Context) error {
	s := r.sub.Subscription
	all := apply.Selection{Kinds: s.Kinds, Names: s.Names, Versions: s.Versions}
	common := pullOptions{approvals: r.options.approvals, receipts: r.options.receipts, dryRun: r.options.dryRun}
	r.rules = nil
	for _, t := range s.Rules {
		if !holdsHere(t, r.options.receipts, r.options.roles) {
			continue
		}
		o := common
		o.into, o.exec, o.timeout, o.prune = t.Into, t.Exec, t.Timeout, t.Prune
		if o.into != "" && !filepath.IsAbs(o.into) {
			o.into = filepath.Join(r.home.Path(), o.into)
		}
		scanning, err := r.scanning(r.options.scan, t.Timeout)
		if err != nil {
			return err
		}
		if scanning != nil {
			scanning.asked = r.asked
		}
		p := &puller{app: r.app, conn: r.conn, sel: apply.Selection{Kinds: t.Kinds, Names: t.Names, Within: &all}, options: o, scanning: scanning}
		if p.target, err = r.target(ctx, o); err != nil {
			return err
		}
		if e, ok := p.target.(*apply.Exec); ok {
			e.Dir, e.Sharing = r.home.Path(), r.sharing(t.Name, apply.RecordName(t.Exec))
		}
		if p.demand, err = r.demandOf(t); err != nil {
			return err
		}
		p.hold = holding(s, t, func() moment { return r.moment })
		p.rule, p.confirm, p.said = t.Name, r.confirm(t.Name), r.arrivals.hand
		r.rules = append(r.rules, p)
	}
	r.base = &puller{app: r.app, conn: r.conn, sel: all, options: common}
	return nil
}

// demandOf returns the approvals that a rule asks for, nil for none.
func (r *subscriber) demandOf(t kind.Trigger) (*trust.Demand, error) {
	if t.When != kind.WhenApproved {
		return nil, nil
	}
	persons, err := r.home.OwnApprovers()
	if err == nil && len(persons) == 0 {
		err = usage("%s: rule %s asks for approval, and the identity of this home lists no approver", "airlock identity add-leaf KEY.pub --person NAME --role approver", r.sub.File, t.Name)
	}
	return &trust.Demand{ApprovalRule: trust.ApprovalRule{Keys: 1, Persons: persons}, File: r.sub.File, Rule: "rules." + t.Name}, err
}

// turn opens what is needed and scans feeds, nil for all. Waiting is what keeps
// something out that somebody here has to see to.
func (r *subscriber) turn(ctx context.Context, feeds []feed.ID) (failed, waiting error) {
	now, mark := r.now(), r.watermark()
	if mark != r.mark {
		r.mark, r.base, feeds = mark, nil, nil // rules may ask for other approvers
	}
	if err := r.open(ctx); err != nil {
		return err, nil
	}
	if r.base == nil {
		if err := r.makeRules(ctx); err != nil {
			return err, nil
		}
	}
	if err := r.clockIn(ctx); err != nil {
		return err, nil
	}
	r.moment = momentOf(r.sub.Subscription, &r.state, now)
	if r.free() {
		r.full = now                    // there is nothing to look at
		r.rules[0].sendReceipts(ctx, 0) // what it did before another one took over
		return nil, nil
	}
	if feeds == nil {
		if err := r.takeApprovals(r.options.approvals); err != nil {
			return err, nil
		}
	}
	if feeds == nil || r.moment.acting() { // a time of day is for all feeds
		var err error
		if feeds, err = r.feeds(ctx); err != nil {
			return err, nil
		}
		r.full = now
		clear(r.known)
	}
	took := r.tookIn
	failed, waiting = r.report(ctx, r.scan(ctx, feeds))
	if r.tookIn > took { // what one feed lacked may have come in a later one
		failed, waiting = r.report(ctx, r.scan(ctx, feeds))
	}
	if errors.Is(failed, agent.ErrLost) {
		failed = r.clockIn(ctx) // it says to whom
	}
	r.learned(failed == nil && r.full.Equal(now))
	return failed, waiting
}

// scan follows feeds and has every rule do its work with each. It goes on after
// one that fails.
func (r *subscriber) scan(ctx context.Context, feeds []feed.ID) (all []*prepared) {
	for _, id := range feeds {
		if ctx.Err() != nil {
			break
		}
		s := r.base.follow(ctx, id)
		if s.err != nil {
			delete(r.known, id)
			all = append(all, s)
			continue
		}
		r.at = s.state
		r.known[id], r.state.Contact = s.there, signing.FormatTime(r.now())
		for _, p := range r.rules {
			if _, others := r.elsewhere[p.rule]; others {
				continue
			}
			t := *s
			t.doc.Subscription, t.doc.Rule = r.sub.Name, p.rule
			t.err = r.learnOf(ctx, p)
			if t.err == nil {
				t.err = p.judge(ctx, &t)
			}
			if t.err == nil {
				p.carryOut(ctx, &t)
			}
			all = append(all, &t)
		}
		if len(r.rules) == 0 {
			all = append(all, s)
		}
	}
	return all
}

// report shows what a scan did, sends receipts, and returns the first thing that
// failed and the first that waits.
func (r *subscriber) report(ctx context.Context, all []*prepared) (failed, waiting error) {
	broken := map[string]bool{} // rules
	var docs []pulledDoc
	made := 0
	for _, s := range all {
		if s.err != nil && s.err == s.waiting {
			waiting = cmp.Or(waiting, s.err)
		} else if s.err != nil {
			failed = cmp.Or(failed, s.err)
			broken[s.doc.Rule] = true
		}
		came := s.doc.To > s.doc.From
		if came {
			r.failures = 0 // whatever fails, the way is there
		}
		if r.options.dryRun || came || changes(s.doc.Plan) {
			docs = append(docs, s.doc)
		}
		made += s.doc.Made
	}
	if len(docs) > 0 {
		failed = cmp.Or(failed, r.tell(docs))
	}
	if r.options.dryRun {
		return failed, waiting
	}
	r.acted(ctx, broken)
	if len(r.rules) > 0 {
		r.rules[0].sendReceipts(ctx, made)
	}
	r.arrivals.looked(r.sub.Name, r.known)
	return failed, waiting
}

// acted notes the rules that act at a time of day and did.
func (r *subscriber) acted(ctx context.Context, broken map[string]bool) {
	for _, rule := range r.moment.struck {
		if r.moment.open && !broken[rule] && !broken[""] {
			r.act(ctx, rule)
		}
	}
}

// feeds returns the feeds that are named, and those of trusted Spaces at the source
// that match a pattern.
func (r *subscriber) feeds(ctx context.Context) ([]feed.ID, error) {
	var out, there []feed.ID
	if r.hasPatterns() {
		spaces, err := r.meant()
		if err == nil {
			there, err = r.conn.feedsAmong(ctx, spaces)
		}
		if err != nil {
			return nil, err
		}
		r.listed = r.now()
	}
	for _, name := range r.sub.Feeds {
		if !strings.Contains(name, "*") {
			id, err := feed.ParseID(name)
			if err != nil {
				return nil, err
			}
			out = append(out, id)
			continue
		}
		for _, id := range there {
			if matchFeed(name, id) && standing(r.home, id.Space) == "trusted" {
				out = append(out, id)
			}
		}
	}
	slices.SortFunc(out, func(a, b feed.ID) int { return cmp.Compare(a.String(), b.String()) })
	out = slices.Compact(out)
	listsFirst(r.home, out)
	return out, nil
}

func (r *subscriber) hasPatterns() bool {
	return slices.ContainsFunc(r.sub.Feeds, func(name string) bool { return strings.Contains(name, "*") })
}

// meant returns the trusted Spaces that patterns are about.
func (r *subscriber) meant() ([]trust.Space, error) {
	trusted, err := r.home.TrustedSpaces()
	return slices.DeleteFunc(trusted, func(s trust.Space) bool {
		return !slices.ContainsFunc(r.sub.Feeds, func(pattern string) bool { return matchParts(pattern, s.String()) })
	}), err
}

// matchFeed reports whether a pattern is about a feed. One that names people is
// meant only where its own name is said.
func matchFeed(pattern string, id feed.ID) bool {
	return matchParts(pattern, id.String()) && (!id.NamesPeople() || strings.HasSuffix(pattern, "/"+id.Name))
}

// matchParts reports whether a pattern begins as a name, part by part.
func matchParts(pattern, name string) bool {
	want := strings.Split(pattern, "/")
	for i, have := range strings.Split(name, "/") {
		prefix, wild := strings.CutSuffix(want[i], "*")
		if want[i] != have && !(wild && strings.HasPrefix(have, prefix)) {
			return false
		}
	}
	return true
}

// tell shows what was done, whole.
func (r *subscriber) tell(docs []pulledDoc) error {
	err := r.base.shown(docs)
	return cmp.Or(err, r.out.(*whole).flush())
}
