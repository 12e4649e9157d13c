package main

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"iter"

	"airlock/feed"
	"airlock/internal/home"
	"airlock/storage"
)

// inboxPlace is what was pushed to this home, to be read like any place.
type inboxPlace struct{ place }

// openPushed opens the inbox of the home. It may come late, as a medium may: what came
// here another way too may be pushed later.
func (a *app) openPushed(ctx context.Context, h *home.Home) (*conn, error) {
	c, err := a.openStore(ctx, h.Inbox(), reading)
	if errors.Is(err, storage.ErrNoStore) {
		return nil, &failure{code: exitUsage, cause: &notPushedError{err}, what: "nothing was ever pushed to " + h.Path(),
			hint: "airlock agent --inbox ADDRESS, with this home, takes in what is pushed; to whom, the operator says: airlock server push list"}
	}
	if err != nil {
		return nil, err
	}
	c.place, c.late = inboxPlace{c.place}, true
	return c, nil
}

// Checkpoint returns that of a feed, or a *notPushedError.
func (p inboxPlace) Checkpoint(ctx context.Context, id feed.ID) (feed.Checkpoint, error) {
	c, err := p.place.Checkpoint(ctx, id)
	return c, notPushed(err)
}

// Segments yields what was pushed, and where that ends a *notPushedError.
func (p inboxPlace) Segments(ctx context.Context, id feed.ID, from, to int64) iter.Seq2[feed.Segment, error] {
	return func(yield func(feed.Segment, error) bool) {
		has, err := p.Checkpoint(ctx, id)
		if err != nil {
			yield(feed.Segment{}, err)
			return
		}
		for s, err := range p.place.Segments(ctx, id, min(from, has.Size), min(to, has.Size)) {
			if !yield(s, err) || err != nil {
				return
			}
		}
		if to > has.Size {
			yield(feed.Segment{}, &notPushedError{&feed.GapError{ID: id, From: max(from, has.Size), To: to}})
		}
	}
}

// Object returns an object, or a *notPushedError.
func (p inboxPlace) Object(ctx context.Context, id feed.ID, d storage.Digest, off int64) (io.ReadCloser, error) {
	r, err := p.place.Object(ctx, id, d, off)
	return r, notPushed(err)
}

// notPushedError is that the inbox does not have a thing, which a push may bring.
type notPushedError struct{ err error }

func notPushed(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return &notPushedError{err}
	}
	return err
}

func (e *notPushedError) Error() string { return e.err.Error() }
func (e *notPushedError) Unwrap() error { return e.err }

// Hint says who brings it.
func (e *notPushedError) Hint() string {
	return "the push has not brought it yet: an agent here takes it in (airlock agent --inbox ADDRESS), and what is offered and how that stands the operator sees at the server: airlock server push list"
}
