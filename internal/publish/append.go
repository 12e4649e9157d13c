package publish

import (
	"context"
	"fmt"

	"airlock/feed"
	"airlock/signing"
)

// Append commits statements that are signed already, about no package: receipts
// and the like. The feed is opened where there is none, and identity versions
// that it lacks go before them. What the feed holds already is not added again.
func (p *Publisher) Append(ctx context.Context, signed []signing.Attestation) error {
	room := p.room()
	for len(signed) > 0 {
		n := min(len(signed), room)
		if err := p.append(ctx, signed[:n]); err != nil {
			return err
		}
		signed = signed[n:]
	}
	return nil
}

func (p *Publisher) append(ctx context.Context, signed []signing.Attestation) error {
	state, err := p.known(ctx)
	if err != nil {
		return err
	}
	for range maxTries {
		todo := signed
		if state != nil {
			todo = missing(state.Index, signed)
		}
		if len(todo) == 0 {
			return nil
		}
		d, err := p.draft(ctx, state)
		if err != nil {
			return err
		}
		d.signed = todo
		_, _, err = p.commit(ctx, d)
		if err == nil || !retryable(err, d) {
			return err
		}
		if state, err = p.Sync(ctx); err != nil {
			return err
		}
	}
	return fmt.Errorf("feed %s: others of the Space published each time: %w", p.Feed, errAlready)
}

// missing returns the statements that a feed does not hold.
func missing(x *feed.Index, signed []signing.Attestation) []signing.Attestation {
	var out []signing.Attestation
	for _, a := range signed {
		if _, ok := x.Holds(a.ID()); !ok {
			out = append(out, a)
		}
	}
	return out
}
