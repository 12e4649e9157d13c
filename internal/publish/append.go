package publish

import (
	"context"
	"errors"
	"fmt"
	"io/fs"

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
		if err := p.AppendWith(ctx, signed[:n], nil); err != nil {
			return err
		}
		signed = signed[n:]
	}
	return nil
}

// AppendWith is Append in one commit, with the objects that the statements name.
func (p *Publisher) AppendWith(ctx context.Context, signed []signing.Attestation, objects []feed.Content) error {
	state, err := p.known(ctx)
	if err != nil {
		return err
	}
	return p.append(ctx, state, signed, objects)
}

// Batch returns what Append would commit of statements that fit a batch, for somebody
// else to bring. What the feed may hold already is among it, and does no harm there.
func (p *Publisher) Batch(ctx context.Context, signed []signing.Attestation) (feed.Batch, error) {
	state, err := feed.LoadState(ctx, p.State, p.Own.Lineage(), p.Feed)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return feed.Batch{}, err
	}
	d, err := p.draft(ctx, state)
	if err != nil {
		return feed.Batch{}, err
	}
	d.signed = signed
	b, _, err := p.sign(ctx, d)
	return b, err
}

// Carry commits the identity versions that the feed does not carry yet. Roots
// signed them, so it needs no publisher's key. fs.ErrNotExist where there is no
// feed: what opens it brings them.
func (p *Publisher) Carry(ctx context.Context) error {
	state, err := p.Sync(ctx)
	if err != nil {
		return err
	}
	return p.append(ctx, state, nil, nil)
}

// append commits what of signed the feed lacks, and with nothing to sign the
// identity versions alone.
func (p *Publisher) append(ctx context.Context, state *feed.State, signed []signing.Attestation, objects []feed.Content) error {
	for range maxTries {
		todo := signed
		if state != nil {
			todo = missing(state.Index, signed)
		}
		d, err := p.draft(ctx, state)
		if err != nil {
			return err
		}
		if len(todo) == 0 && (len(signed) > 0 || len(d.ready) == 0) {
			return nil
		}
		d.signed = todo
		for _, o := range objects {
			d.object(o)
		}
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
