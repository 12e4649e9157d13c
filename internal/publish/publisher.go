package publish

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"airlock/feed"
	"airlock/feed/feedhttp"
	"airlock/signing"
	"airlock/storage"
	"airlock/trust"
)

// Publisher commits statements of one Space to one of its feeds.
type Publisher struct {
	Feed  feed.ID
	To    feed.Publisher
	Own   *trust.History
	Sign  *signing.Signer
	State *storage.Store
	// Sync follows the feed to its newest checkpoint and returns its state;
	// fs.ErrNotExist where there is no feed.
	Sync func(context.Context) (*feed.State, error)
	Now  func() time.Time
}

// Result is what became of a package or a withdrawal.
type Result struct {
	Ref   feed.Ref
	Index int64 // of its entry
	ID    signing.ID
	// New is false where the feed held it already.
	New    bool
	Source string
}

// maxTries bounds how often statements are signed again because somebody else
// of the Space published meanwhile. Of eight who publish versions of the same name
// over and over one comes through at a time: after so many tries all but one in a
// million have.
const maxTries = 100

// batchSize bounds the packages of one commit.
const batchSize = 1000

// Plan returns what Publish would do, without doing it: packages that are new,
// and those that the feed holds with the same content. A version with another
// content gives *feed.VersionError.
func (p *Publisher) Plan(ctx context.Context, packages []Package) ([]Result, error) {
	state, err := p.Sync(ctx)
	if errors.Is(err, fs.ErrNotExist) {
		// A feed that was seen elsewhere is not opened here: Publish would fail.
		if _, unseen := feed.LoadState(ctx, p.State, p.Own.Lineage(), p.Feed); errors.Is(unseen, fs.ErrNotExist) {
			state, err = nil, nil
		}
	}
	if err != nil {
		return nil, err
	}
	out := make([]Result, len(packages))
	for i, pkg := range packages {
		have, held, err := p.held(state, pkg)
		if err != nil {
			return nil, err
		}
		out[i] = Result{Ref: pkg.Ref, Index: have.Index, ID: have.ID, New: !held, Source: pkg.Source}
	}
	return out, nil
}

// held reports whether the feed, as far as it is known, has a package with
// this very content.
func (p *Publisher) held(s *feed.State, pkg Package) (feed.Row, bool, error) {
	if s == nil {
		return feed.Row{Index: -1}, false, nil
	}
	row, ok := s.Index.State(pkg.Ref)
	if !ok {
		return feed.Row{Index: -1}, false, nil
	}
	if row.Manifest != pkg.Digest || row.What == feed.IsWithdrawal {
		return row, false, fmt.Errorf("%s: %w", pkg.Source, &feed.VersionError{Ref: pkg.Ref, Have: row.Manifest, Got: pkg.Digest, Index: row.Index, Withdrawn: row.What == feed.IsWithdrawal})
	}
	return row, true, nil
}

// Publish signs and commits packages, in batches of which each is one commit.
// The feed is opened where there is none. What the feed holds already is not
// published again.
func (p *Publisher) Publish(ctx context.Context, packages []Package) ([]Result, error) {
	var out []Result
	room := p.room()
	for len(packages) > 0 {
		n := min(len(packages), room)
		results, err := p.publish(ctx, packages[:n])
		out = append(out, results...)
		if err != nil {
			return out, err
		}
		packages = packages[n:]
	}
	return out, nil
}

// room is how many statements fit a batch: a feed that is opened carries the
// identities too.
func (p *Publisher) room() int {
	room := batchSize
	for _, v := range p.Own.Versions() {
		room -= len(v.Statements)
	}
	return max(room, 1)
}

func (p *Publisher) publish(ctx context.Context, packages []Package) ([]Result, error) {
	state, err := p.known(ctx)
	if err != nil {
		return nil, err
	}
	asked := state == nil
	signed := map[signing.ID]bool{}
	for range maxTries {
		results, todo, err := p.split(state, packages)
		for i := range results {
			// Committed by a try whose answer said something else, or was lost.
			results[i].New = signed[results[i].ID]
		}
		if len(todo) < len(packages) && !asked {
			// What is known may be old: a version may have been withdrawn since.
			if state, err = p.Sync(ctx); err != nil {
				return nil, err
			}
			asked = true
			continue
		}
		if err != nil || len(todo) == 0 {
			return results, err
		}
		d, err := p.draft(ctx, state)
		if err != nil {
			return nil, err
		}
		for _, i := range todo {
			d.add(packages[i], p.Now())
		}
		ids, indices, err := p.commit(ctx, d)
		if err == nil {
			for k, i := range todo {
				results[i].ID, results[i].Index, results[i].New = ids[k], indices[k], true
			}
			return results, nil
		}
		// A feed that is known and not there is one of another place: reading it says so.
		if elsewhere := errors.Is(err, fs.ErrNotExist) && !asked; !elsewhere && !retryable(err, d) {
			return nil, err
		}
		for _, id := range ids {
			signed[id] = true
		}
		if state, err = p.Sync(ctx); err != nil {
			return nil, err
		}
		asked = true
	}
	return nil, fmt.Errorf("feed %s: others of the Space published each time: %w", p.Feed, errAlready)
}

// retryable reports whether the feed holds something that was not known here:
// after reading it, the statements can be signed again.
func retryable(err error, d *draft) bool {
	if _, ok := errors.AsType[*feedhttp.ConflictError](err); ok && d.opening != nil {
		return true // somebody else opened the feed, in other words
	}
	if _, ok := errors.AsType[*feed.ChainError](err); ok {
		return true
	}
	if v, ok := errors.AsType[*feed.VersionError](err); ok {
		return v.Have == v.Got && !v.Withdrawn // the same content is in already
	}
	return errors.Is(err, errAlready)
}

var errAlready = errors.New("the feed has it already")

// known returns what is known of the feed without asking, or asks where
// nothing is. nil stands for a feed that does not exist.
func (p *Publisher) known(ctx context.Context) (*feed.State, error) {
	state, err := feed.LoadState(ctx, p.State, p.Own.Lineage(), p.Feed)
	if err == nil {
		return state, nil
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	state, err = p.Sync(ctx)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return state, err
}

// split parts what the feed holds from what is to be published. The results
// of the latter are filled in by publish.
func (p *Publisher) split(s *feed.State, packages []Package) ([]Result, []int, error) {
	results := make([]Result, len(packages))
	var todo []int
	for i, pkg := range packages {
		row, held, err := p.held(s, pkg)
		if err != nil {
			return nil, nil, err
		}
		results[i] = Result{Ref: pkg.Ref, Index: row.Index, ID: row.ID, Source: pkg.Source}
		if !held {
			todo = append(todo, i)
		}
	}
	return results, todo, nil
}
