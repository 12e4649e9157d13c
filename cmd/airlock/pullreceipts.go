package main

import (
	"context"
	"errors"
	"path/filepath"
	"time"

	"airlock/feed"
	"airlock/internal/apply"
	"airlock/internal/home"
	"airlock/internal/outbox"
	"airlock/storage"
)

// synced is what a sync of one feed came to.
type synced struct {
	state     *feed.State
	installed []apply.Item // before
	choice    apply.Choice
	outcomes  []apply.Outcome
	started   time.Time
	bundle    *storage.Digest // that brought it, nil for none
}

// receipts records the receipts of a sync in the home, whatever becomes of
// them later, and returns how many are new. A home without a Space makes none.
func (p *puller) receipts(ctx context.Context, s synced) (int, error) {
	if p.options.receipts.to == receiptsOff {
		return 0, nil
	}
	out, err := p.openPost(ctx)
	if errors.Is(err, home.ErrNoSpace) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	// What was done is recorded even if people have interrupted us by now.
	ctx = context.WithoutCancel(ctx)
	made := 0
	for _, side := range []struct {
		target string
		facts  func(*outbox.Reported) []outbox.Fact
	}{
		{p.targetName(), func(r *outbox.Reported) []outbox.Fact {
			return append(outbox.Done(s.outcomes, s.installed), r.Gone(s.choice, s.installed, s.outcomes)...)
		}},
		{"", func(*outbox.Reported) []outbox.Fact { return outbox.Refused(s.choice.Refused) }}, // whatever the target is
	} {
		reported, err := out.box.Reported(ctx, s.state, side.target)
		if err != nil {
			return made, err
		}
		news := reported.News(side.facts(reported))
		if len(news) == 0 {
			continue
		}
		if err := p.record(ctx, out, s, news); err != nil {
			return made, err
		}
		made += len(news)
		if err := reported.Keep(ctx); err != nil {
			return made, err
		}
	}
	return made, nil
}

// record records receipts of facts.
func (p *puller) record(ctx context.Context, out *post, s synced, facts []outbox.Fact) error {
	own, err := out.ownFeed(ctx)
	if err != nil {
		return err
	}
	o, now := p.options.receipts, p.now()
	about := outbox.Context{Own: own, Acted: s.state, Bundle: s.bundle, By: o.by, Environment: o.environment, Targets: o.targetList(),
		Started: s.started, Finished: now, Now: now}
	return out.box.Record(ctx, about.Receipts(facts))
}

// targetName tells the targets of a home apart.
func (p *puller) targetName() string {
	if p.options.into == "" {
		return "exec " + p.options.exec
	}
	path, err := filepath.Abs(p.options.into)
	if err != nil {
		path = p.options.into
	}
	return "into " + path
}

// sendReceipts sends what this round and earlier ones have recorded. That it
// fails does not make the pull fail: what was applied is applied.
func (p *puller) sendReceipts(ctx context.Context, made int) {
	if p.target == nil || p.options.dryRun || p.options.receipts.to == receiptsOff || ctx.Err() != nil {
		return
	}
	if out, err := p.openPost(ctx); err == nil {
		out.said = p.said
		out.sendQuietly(ctx, p.options.receipts, made)
	}
}
