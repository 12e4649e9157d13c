package server

import (
	"context"
	"fmt"
	"io/fs"

	"airlock/feed"
	"airlock/feed/feedhttp"
	"airlock/trust"
)

var _ feedhttp.Callers = (*Server)(nil)

// Identify says whose credentials these are.
func (s *Server) Identify(ctx context.Context, shown feedhttp.Credentials) (feedhttp.Caller, error) {
	if shown.Token != "" {
		return s.byToken(ctx, shown.Token)
	}
	return feedhttp.Caller{Changed: s.access.view.Load().changed}, nil
}

// mayRead is the access rule of every read. What a caller may not read does
// not exist for it. Who shows no credential reads nothing, or where the server
// is open, what every admitted Space may read; of feeds that name people,
// nothing anywhere.
func (s *Server) mayRead(c feedhttp.Caller, id feed.ID) error {
	switch {
	case c.Role == feedhttp.Nobody && (!s.config.Open || id.NamesPeople()):
		// Whether there is such a feed is not said.
		return fmt.Errorf("feed %s: %w", id, feedhttp.ErrUnauthorized)
	case !c.Covers(id):
	case c.Role == feedhttp.Administrator, c.Role == feedhttp.Peer, isOwner(c, id):
		return nil
	case !id.NamesPeople():
		return nil
	}
	return fmt.Errorf("feed %s: %w", id, fs.ErrNotExist)
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
	case c.Covers(id) && (c.Role == feedhttp.Administrator || c.Role == feedhttp.Peer || isOwner(c, id)):
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
