package publish

import (
	"context"
	"fmt"

	"airlock/feed"
	"airlock/signing"
)

// Announce signs and commits statements that are about no package, such as
// holdings, as one batch, which takes up to 1000. draft returns them for an epoch
// of the feed, with the objects that they name; it may be called again. Those
// that the feed holds already are left alone.
//
// The feed is opened where there is none.
func (p *Publisher) Announce(ctx context.Context, draft func(epoch uint64) ([]signing.Statement, []feed.Content, error)) ([]Result, error) {
	state, err := p.known(ctx)
	if err != nil {
		return nil, err
	}
	tried := map[signing.ID]bool{}
	for range maxTries {
		d, err := p.draft(ctx, state)
		if err != nil {
			return nil, err
		}
		statements, objects, err := draft(d.epoch)
		if err != nil {
			return nil, err
		}
		for _, o := range objects {
			d.object(o)
		}
		results, todo, err := d.sayAll(statements)
		for i := range results {
			results[i].New = tried[results[i].ID]
		}
		if err != nil || len(todo) == 0 {
			return results, err
		}
		ids, indices, err := p.commit(ctx, d)
		if err == nil {
			for k, i := range todo {
				results[i].Index, results[i].New = indices[k], true
			}
			return results, nil
		}
		if !retryable(err, d) {
			return nil, err
		}
		// Somebody else of the Space opened the feed or brought an identity, or this
		// was committed and the answer lost.
		for _, id := range ids {
			tried[id] = true
		}
		if state, err = p.Sync(ctx); err != nil {
			return nil, err
		}
	}
	return nil, fmt.Errorf("feed %s: others of the Space published each time: %w", p.Feed, errAlready)
}

// sayAll adds those of the statements that the feed does not hold.
func (d *draft) sayAll(statements []signing.Statement) (results []Result, todo []int, err error) {
	results = make([]Result, len(statements))
	for i, st := range statements {
		if results[i].ID, err = st.ID(); err != nil {
			return nil, nil, err
		}
		held := false
		if d.state != nil {
			results[i].Index, held = d.state.Index.Holds(results[i].ID)
		}
		if !held {
			todo = append(todo, i)
			d.say(st)
		}
	}
	return results, todo, nil
}
