package server

import (
	"context"
	"fmt"
	"io/fs"

	"airlock/feed"
	"airlock/feed/feedhttp"
	"airlock/storage"
	"airlock/trust"
)

var _ feedhttp.Callers = (*Server)(nil)

// Identify says whose credentials these are.
func (s *Server) Identify(ctx context.Context, shown feedhttp.Credentials) (feedhttp.Caller, error) {
	if s.peers.shows(shown.Token) {
		return feedhttp.Caller{Role: feedhttp.Peer, Changed: s.access.view.Load().changed}, nil
	}
	if shown.Token != "" {
		return s.byToken(ctx, shown.Token)
	}
	if len(shown.Certificates) > 0 {
		return s.byCertificate(ctx, shown.Certificates[0])
	}
	return feedhttp.Caller{Changed: s.access.view.Load().changed}, nil
}

// mayRead is the access rule of every read. What a caller may not read does
// not exist for it. Who shows no credential reads nothing, or where the server
// is open, what every admitted Space may read; of feeds that name people,
// nothing anywhere.
func (s *Server) mayRead(ctx context.Context, c feedhttp.Caller, id feed.ID) error {
	ok, err := s.reads(ctx, c, id)
	if err != nil || ok {
		return err
	}
	// It takes as long as looking for a feed that is not there.
	_, _ = s.logs.Feed(feed.ID{Space: id.Space, Name: noFeed}).Head(ctx, 0)
	return fmt.Errorf("feed %s: %w", id, fs.ErrNotExist)
}

// noFeed is the name of a feed that cannot be: it is no label.
const noFeed = "-"

// reads reports whether a caller may read a feed, whether or not there is one.
func (s *Server) reads(ctx context.Context, c feedhttp.Caller, id feed.ID) (bool, error) {
	switch {
	case c.Role == feedhttp.Nobody && (!s.config.Open || id.NamesPeople()):
		// Whether there is such a feed is not said.
		return false, fmt.Errorf("feed %s: %w", id, feedhttp.ErrUnauthorized)
	case !c.Covers(id):
		return false, nil
	case isInside(c, id):
		return true, nil
	}
	return s.inAudience(ctx, c, id)
}

// isInside reports whether all feeds of a feed's Space are the caller's business:
// to read, and to bring what the Space signed.
func isInside(c feedhttp.Caller, id feed.ID) bool {
	return c.Role == feedhttp.Administrator || c.Role == feedhttp.Peer || isOwner(c, id)
}

// mustBeKnown is the access rule of what concerns no single feed.
func (s *Server) mustBeKnown(c feedhttp.Caller) error {
	if c.Role == feedhttp.Nobody && !s.config.Open {
		return feedhttp.ErrUnauthorized
	}
	return nil
}

// RuleCaller is the rule of a *trust.DeniedError about a caller that is another
// than the one who may.
const RuleCaller = "caller"

// MayAppend is the access rule of everything that is taken in. Who signed is
// another question, and asked always. Only on an open server it is the only
// one.
func (s *Server) MayAppend(ctx context.Context, c feedhttp.Caller, id feed.ID) error {
	err := s.mayAppend(c, id)
	if err != nil {
		s.audit(ctx, c, "append", id.String(), err)
	}
	return err
}

func (s *Server) mayAppend(c feedhttp.Caller, id feed.ID) error {
	switch {
	case s.config.Open:
		return nil
	case c.Role == feedhttp.Nobody:
		return fmt.Errorf("feed %s: %w", id, feedhttp.ErrUnauthorized)
	case c.Covers(id) && isInside(c, id):
		return nil
	}
	return &trust.DeniedError{Reason: trust.Untrusted, Rule: RuleCaller, Thing: id.String(), Why: fmt.Sprintf("only %s adds to it, and the credential is not one of it for this feed", id.Space)}
}

// isOwner reports whether the caller is the feed's own Space.
func isOwner(c feedhttp.Caller, id feed.ID) bool {
	return c.Role == feedhttp.Enrolled && c.Space == id.Space
}

// mayAdminister is the access rule of what is the operator's alone.
func mayAdminister(c feedhttp.Caller) error {
	if c.Role == feedhttp.Administrator && c.Feeds == nil {
		return nil
	}
	return &trust.DeniedError{Reason: trust.Untrusted, Rule: RuleCaller, Thing: c.String(), Why: "is no administrator of this server"}
}

// mayHave is the access rule of objects. They are kept by Space, and who may read
// one feed of it need not know what another names: so the feed must speak of the
// object, or of the payload that it helps to read. What no feed speaks of, such as
// what was uploaded for a batch that never came, is for nobody outside.
func (s *Server) mayHave(ctx context.Context, c feedhttp.Caller, id feed.ID, d storage.Digest, of feedhttp.Of) error {
	if err := s.mayRead(ctx, c, id); err != nil {
		return err
	}
	if d == emptyConfig || isInside(c, id) && c.Feeds == nil {
		return nil
	}
	ok, err := s.speaksOf(ctx, id, d, of)
	if err != nil {
		return outward(err)
	}
	if !ok {
		return fmt.Errorf("object %s of feed %s: %w", d, id, fs.ErrNotExist)
	}
	return nil
}

// emptyConfig is named by every manifest, and stored nowhere.
var emptyConfig = storage.DigestOf(feed.EmptyConfig)

func (s *Server) speaksOf(ctx context.Context, id feed.ID, d storage.Digest, of feedhttp.Of) (bool, error) {
	l := s.logs.Feed(id)
	if of == (feedhttp.Of{}) {
		return l.Names(ctx, d)
	}
	ok, err := l.Names(ctx, of.Payload)
	if ok && err == nil && !of.Base.IsZero() {
		ok, err = l.Names(ctx, of.Base)
	}
	if !ok || err != nil {
		return false, err
	}
	helper, err := s.helper(ctx, id, of)
	return helper == d, err
}

// helper returns the object that helps to read a payload.
func (s *Server) helper(ctx context.Context, id feed.ID, of feedhttp.Of) (storage.Digest, error) {
	objects := s.config.Store.Objects(id.Space.String())
	if differ, ok := objects.(storage.Differ); ok && !of.Base.IsZero() {
		p, err := differ.Delta(ctx, of.Base, of.Payload)
		return p.To.Digest, err
	}
	chunker, ok := objects.(storage.Chunker)
	if !ok || !of.Base.IsZero() {
		return storage.Digest{}, fs.ErrNotExist
	}
	b, err := s.cached(ctx, id.Space, "frames/"+string(of.Payload[:]), func(ctx context.Context) ([]byte, error) {
		x, err := chunker.Chunks(ctx, of.Payload)
		if err != nil {
			return nil, err
		}
		return x.Frames.Digest[:], nil
	})
	if err != nil {
		return storage.Digest{}, err
	}
	return storage.Digest(b), nil
}
