package main

import (
	"context"
	"fmt"
	"slices"
	"time"

	"airlock/feed"
	"airlock/feed/kind"
	"airlock/internal/agent"
	"airlock/internal/apply"
	"airlock/signing"
	"airlock/trust"
)

// expect makes a view ask for what a rule asks for beside the policy.
func (p *puller) expect(view *trust.View) error {
	evidence := view.Evidence()
	if evidence.Demand == p.demand {
		return nil
	}
	evidence.Demand = p.demand
	view.Judge(evidence)
	h, err := p.home()
	if err != nil {
		return err
	}
	return h.Judge(view)
}

// withhold takes out of a plan what waits.
func (p *puller) withhold(ctx context.Context, s *prepared) error {
	if p.hold == nil {
		return nil
	}
	var now []apply.Action
	for _, a := range s.plan {
		why := ""
		if a.Op == apply.Add || a.Op == apply.Change || a.Op == apply.Remove {
			var err error
			if why, err = p.hold(ctx, s, a); err != nil {
				return err
			}
		}
		if why == "" {
			now = append(now, a)
			continue
		}
		s.doc.Waiting = append(s.doc.Waiting, waitingDoc{apply.Describe([]apply.Action{a})[0], why})
	}
	s.plan = now
	return nil
}

// moment is what a subscription lets happen at a time.
type moment struct {
	at    time.Time
	open  bool      // its windows
	until time.Time // when that changes, zero for never
	// struck are the rules whose time of day has come and that did not act yet.
	struck []string
}

// momentOf says what of a subscription may happen now, by what its agent did before.
func momentOf(sub kind.Subscription, state *agent.State, now time.Time) moment {
	m := moment{at: now}
	m.open, m.until = agent.Open(sub.Windows, sub.Zone, now)
	for _, t := range sub.Rules {
		if t.When == kind.WhenAt && state.Due(t.Name, t.At, sub.Zone, now) {
			m.struck = append(m.struck, t.Name)
		}
	}
	return m
}

// acting reports whether a rule's time of day has come.
func (m moment) acting() bool { return m.open && len(m.struck) > 0 }

// next returns when something else may happen than now; zero where only news
// brings anything.
func (m moment) next(sub kind.Subscription) time.Time {
	at := m.until
	for _, t := range sub.Rules {
		if t.When != kind.WhenAt {
			continue
		}
		if due := agent.NextAt(t.At, sub.Zone, m.at); at.IsZero() || due.Before(at) {
			at = due
		}
	}
	return at
}

// holding says why an action of a rule waits: for a window, for a time of day or
// for a person. Files of the wanted version that are gone come back whoever takes
// the rest.
func holding(sub kind.Subscription, t kind.Trigger, m func() moment) func(context.Context, *prepared, apply.Action) (string, error) {
	return func(ctx context.Context, s *prepared, a apply.Action) (string, error) {
		now := m()
		switch taken := a.Op == apply.Remove || a.From == a.Ref.Version; {
		case !now.open && now.until.IsZero():
			return "no window ever opens", nil
		case !now.open:
			return "the window opens at " + now.until.In(sub.Zone).Format("2006-01-02 15:04 MST"), nil
		case t.When == kind.WhenAt && !slices.Contains(now.struck, t.Name):
			return fmt.Sprintf("waits until %02d:%02d", t.At/60, t.At%60), nil
		case taken:
		case sub.Take == kind.TakeManual:
			return byHand, nil
		case sub.Take == kind.TakeAsked:
			urgent, err := isUrgent(ctx, s, a.Row)
			if err == nil && !urgent {
				return byHand, nil
			}
			return "", err
		}
		return "", nil
	}
}

const byHand = "is taken by hand: airlock pull"

// isUrgent reports whether a publisher asks that its package be taken at once.
func isUrgent(ctx context.Context, s *prepared, row feed.Row) (urgent bool, err error) {
	if s.follower.Source == nil {
		return false, nil // only what was seen counts; statements lie at the source
	}
	err = s.follower.Statements(ctx, s.state, []feed.Row{row}, func(_ feed.Row, v trust.Verified, _ signing.Attestation) error {
		var p feed.Publication
		err := signing.UnmarshalCanonical(v.Statement().Predicate, &p)
		urgent = p.Urgent
		return err
	})
	return urgent, err
}

// holdsHere reports whether a rule is for this installation.
func holdsHere(t kind.Trigger, o receiptOptions, roles []string) bool {
	return (len(t.Environments) == 0 || slices.Contains(t.Environments, o.environment)) &&
		(len(t.Roles) == 0 || slices.ContainsFunc(roles, func(r string) bool { return slices.Contains(t.Roles, r) }))
}
