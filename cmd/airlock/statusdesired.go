package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"airlock/feed"
	"airlock/internal/agent"
	"airlock/internal/apply"
	"airlock/internal/home"
	"airlock/receipts"
	"airlock/trust"
)

// subscribedDoc is a subscription, what its agent met, and what should be there
// against what is.
type subscribedDoc struct {
	subscriptionDoc
	Contact  string         `json:"contact,omitempty"` // when the source last answered the agent
	Next     string         `json:"next,omitempty"`    // after a problem, when it is tried again at the latest
	Failed   *agent.Problem `json:"failed,omitempty"`  // the last scan
	Work     []workDoc      `json:"work,omitempty"`    // who does that of rules, where agents of the Space share it
	Packages []desiredDoc   `json:"packages"`
}

// workDoc is who did the work of a rule when the agent of this home last looked.
type workDoc struct {
	Rule  string `json:"rule"`
	Here  bool   `json:"here"`            // the agent of this home
	Label string `json:"label,omitempty"` // the machine
	Since string `json:"since"`
}

// by says it for people.
func (w workDoc) by() string {
	if w.Here {
		return "this home, on " + dash(w.Label)
	}
	return "another one, on " + dash(w.Label)
}

// desiredDoc is a package of a rule: what should be there by what was seen of the
// feed, and what is there.
type desiredDoc struct {
	Rule    string `json:"rule"`
	Feed    string `json:"feed"`
	Package string `json:"package"`           // kind and name
	Desired string `json:"desired,omitempty"` // version
	Entry   int64  `json:"entry"`             // of the feed, that says so
	By      string `json:"by,omitempty"`      // who signed it
	Actual  string `json:"actual,omitempty"`
	Since   string `json:"since,omitempty"` // when that was taken
	State   string `json:"state"`           // "as desired", or why not
}

const asDesired = "as desired"

// subscribed describes all subscriptions, by what is known here.
func (a *app) subscribed(ctx context.Context, h *home.Home, o agentOptions) ([]subscribedDoc, error) {
	all, err := h.Subscriptions()
	if err != nil {
		return nil, err
	}
	followed, err := a.followedFeeds()
	if err != nil {
		return nil, err
	}
	docs := []subscribedDoc{}
	for _, s := range all {
		r := &subscriber{app: a, home: h, sub: s, options: o}
		d, err := r.describe(ctx, followed)
		if err != nil {
			d.Problem = cmp.Or(d.Problem, oneLine(err.Error()))
		}
		docs = append(docs, d)
	}
	return docs, nil
}

// describe says what the agent met, and holds what should be there against what is.
func (r *subscriber) describe(ctx context.Context, followed []*feed.State) (subscribedDoc, error) {
	d := subscribedDoc{subscriptionDoc: describeSubscription(r.sub), Packages: []desiredDoc{}}
	store, err := r.home.State(ctx)
	if err != nil {
		return d, err
	}
	if r.state, err = agent.Load(ctx, store, r.sub.Name); err != nil {
		return d, err
	}
	d.Contact, d.Next, d.Failed = r.state.Contact, r.state.Next, r.state.Problem
	if r.sub.Err != nil {
		return d, nil
	}
	for _, rule := range slices.Sorted(maps.Keys(r.state.Work)) {
		w := r.state.Work[rule]
		d.Work = append(d.Work, workDoc{rule, w.Here, w.Label, w.Since})
	}
	r.moment = momentOf(r.sub.Subscription, &r.state, r.now())
	r.conn = &conn{}
	if err := r.makeRules(ctx); err != nil {
		return d, err
	}
	for _, s := range followed {
		if !slices.ContainsFunc(r.sub.Feeds, func(name string) bool { return matchFeed(name, s.ID) }) {
			continue
		}
		for _, p := range r.rules {
			lines, err := p.desired(ctx, s)
			if err != nil {
				return d, err
			}
			if w := r.state.Work[p.rule]; w.Holder != "" && !w.Here {
				for i := range lines {
					lines[i].State = "done by the agent on " + dash(w.Label)
				}
			}
			d.Packages = append(d.Packages, lines...)
		}
	}
	return d, nil
}

// desired holds what a rule would have of a feed, as far as it was seen, against
// what its target has.
func (p *puller) desired(ctx context.Context, state *feed.State) (out []desiredDoc, err error) {
	s := &prepared{doc: pulledDoc{Plan: []apply.Line{}}}
	s.state = state
	if s.follower, err = p.follower(ctx, nil, state.ID); err != nil {
		return nil, err
	}
	h, err := p.home()
	if err != nil {
		return nil, err
	}
	evidence := s.follower.View.Evidence()
	if evidence.Alive, err = h.Alive(ctx, state.Lineage, state.ID); err != nil {
		return nil, err
	}
	s.follower.View.Judge(evidence)
	if err := p.judge(ctx, s); err != nil {
		return nil, err
	}
	failures, err := p.failures(ctx, state.ID)
	if err != nil {
		return nil, err
	}
	for _, l := range s.doc.Plan {
		out = append(out, s.compare(p.rule, l, cmp.Or(failures[l.Kind+"/"+l.Name], planned(l))))
	}
	for _, l := range s.doc.Waiting {
		out = append(out, s.compare(p.rule, l.Line, l.For))
	}
	for _, r := range s.choice.Refused {
		if !errors.Is(r.Err, trust.ErrUntrusted) || errors.Is(r.Err, trust.ErrUnclean) {
			l := apply.Describe([]apply.Action{{Op: apply.Add, Ref: r.Row.Ref, Row: r.Row}})[0]
			out = append(out, s.compare(p.rule, l, oneLine(r.Err.Error())))
		}
	}
	slices.SortStableFunc(out, func(a, b desiredDoc) int { return cmp.Compare(a.Package, b.Package) })
	return out, nil
}

// planned says what is to become of a line of a plan.
func planned(l apply.Line) string {
	switch l.Op {
	case apply.Same:
		return asDesired
	case apply.Keep, apply.Retain:
		return l.Reason
	}
	return "with the next scan"
}

// failures returns why a program did not take packages, by kind and name.
func (p *puller) failures(ctx context.Context, id feed.ID) (map[string]string, error) {
	out := map[string]string{}
	e, ok := p.target.(*apply.Exec)
	if !ok {
		return out, nil
	}
	all, err := e.Failures(ctx, id)
	for _, f := range all {
		out[f.Ref.Kind+"/"+f.Ref.Name] = "failed: " + f.Why
	}
	return out, err
}

// compare puts what is there beside a line of a plan.
func (s *prepared) compare(rule string, l apply.Line, state string) desiredDoc {
	d := desiredDoc{Rule: rule, Feed: s.state.ID.String(), Package: l.Kind + "/" + l.Name, Entry: l.Index, State: state}
	if l.Op != apply.Remove && l.Op != apply.Retain {
		d.Desired = shownVersion(l.Version)
	}
	row := s.state.Index.Row(l.Index)
	if leaf, ok := s.follower.View.Leaf(int(row.Leaf), s.state.At(row.Index)); ok {
		d.By = leaf.Person
	}
	for _, it := range s.installed {
		if it.Ref.Kind == l.Kind && it.Ref.Name == l.Name {
			d.Actual, d.Since = shownVersion(it.Ref.Version), receipts.OptionalTime(it.When)
		}
	}
	return d
}

// subscribedTable writes subscriptions and their packages for people.
func subscribedTable(w io.Writer, docs []subscribedDoc) {
	var rows, work, packages [][]string
	for _, d := range docs {
		problem := d.Problem
		if problem == "" && d.Failed != nil {
			problem = fmt.Sprintf("%s (%s since %s)", d.Failed.What, count(d.Failed.Count, "time", "times"), d.Failed.Since)
		}
		rows = append(rows, []string{d.Name, strings.Join(d.Feeds, ", "), dash(d.Contact), dash(d.Next), dash(problem)})
		for _, w := range d.Work {
			work = append(work, []string{d.Name + "/" + w.Rule, w.by(), w.Since})
		}
		for _, p := range d.Packages {
			packages = append(packages, []string{d.Name + "/" + p.Rule, p.Feed, p.Package, dash(p.Desired), dash(p.Actual), dash(p.Since), dash(p.By), p.State})
		}
	}
	if len(rows) > 0 {
		fmt.Fprintln(w)
		columns(w, []string{"SUBSCRIPTION", "FEEDS", "LAST CONTACT", "NEXT TRY", "PROBLEM"}, rows)
	}
	if len(work) > 0 {
		fmt.Fprintln(w)
		columns(w, []string{"RULE", "DONE BY", "SINCE"}, work)
	}
	if len(packages) > 0 {
		fmt.Fprintln(w)
		columns(w, []string{"RULE", "FEED", "PACKAGE", "DESIRED", "ACTUAL", "SINCE", "BY", "STATE"}, packages)
	}
}
