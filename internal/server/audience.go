package server

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"airlock/feed"
	"airlock/feed/feedhttp"
	"airlock/trust"
)

var _ feedhttp.Audiences = (*Server)(nil)

// audience returns who may read a feed, besides its own Space and administrators.
func (s *Server) audience(ctx context.Context, id feed.ID) (feedhttp.Audience, error) {
	b, err := s.access.bucket(ctx, bucketOf(id.Space))
	if err != nil {
		return feedhttp.Audience{}, err
	}
	if of := b.space(id.Space); of != nil {
		if a, ok := of.Audiences[id.Name]; ok {
			return a, nil
		}
	}
	return feedhttp.DefaultAudience(id), nil
}

// inAudience reports whether a caller is one of those who may read a feed.
func (s *Server) inAudience(ctx context.Context, c feedhttp.Caller, id feed.ID) (bool, error) {
	a, err := s.audience(ctx, id)
	if err != nil || a.All || c.Role != feedhttp.Enrolled {
		return a.All, err
	}
	if _, ok := slices.BinarySearch(a.Spaces, c.Space.String()); ok {
		return true, nil
	}
	if len(a.Groups) == 0 {
		return false, nil
	}
	b, err := s.access.bucket(ctx, bucketOf(c.Space))
	if err != nil {
		return false, err
	}
	of := b.space(c.Space)
	return of != nil && slices.ContainsFunc(of.Groups, func(group string) bool { return slices.Contains(a.Groups, group) }), nil
}

// mayGovern is the access rule of who reads a feed: its own Space says it, and
// administrators.
func mayGovern(c feedhttp.Caller, id feed.ID) error {
	switch {
	case c.Covers(id) && (c.Role == feedhttp.Administrator || isOwner(c, id)):
		return nil
	case c.Role == feedhttp.Nobody:
		return fmt.Errorf("feed %s: %w", id, feedhttp.ErrUnauthorized)
	}
	// The answer is the same whether or not there is such a feed.
	return &trust.DeniedError{Reason: trust.Untrusted, Rule: RuleCaller, Thing: id.String(), Why: fmt.Sprintf("only %s, or an administrator, says who reads it", id.Space)}
}

// Audience returns who may read a feed, besides its own Space and
// administrators. Only they may ask.
func (s *Server) Audience(ctx context.Context, c feedhttp.Caller, id feed.ID) (feedhttp.Audience, error) {
	if err := mayGovern(c, id); err != nil {
		return feedhttp.Audience{}, err
	}
	return s.audience(ctx, id)
}

// SetAudience says who may read a feed, besides its own Space and
// administrators. Only they may. The feed need not exist yet, its Space must be
// admitted. All servers heed it within a second.
func (s *Server) SetAudience(ctx context.Context, c feedhttp.Caller, id feed.ID, a feedhttp.Audience) error {
	err := s.setAudience(ctx, c, id, a)
	s.audit(ctx, c, "audience", id.String(), err, "to", strings.Join(a.Names(), ","))
	return err
}

func (s *Server) setAudience(ctx context.Context, c feedhttp.Caller, id feed.ID, a feedhttp.Audience) error {
	if err := mayGovern(c, id); err != nil {
		return err
	}
	if _, err := s.admitted(ctx, id.Space); err != nil {
		return err
	}
	if err := a.Check(); err != nil {
		return &feedhttp.RequestError{Why: err.Error()}
	}
	return s.access.change(ctx, bucketOf(id.Space), func(b *accessBucket) error {
		of := b.edit(id.Space)
		if delete(of.Audiences, id.Name); a.Equal(feedhttp.DefaultAudience(id)) {
			return nil
		}
		if of.Audiences == nil {
			of.Audiences = map[string]feedhttp.Audience{}
		}
		of.Audiences[id.Name] = a
		return nil
	})
}

// Groups returns the Spaces of each group.
func (s *Server) Groups(ctx context.Context, c feedhttp.Caller) (map[string][]trust.Space, error) {
	if err := mayAdminister(c); err != nil {
		return nil, err
	}
	out := map[string][]trust.Space{}
	for n := range accessBuckets {
		b, err := s.access.newest(ctx, n)
		if err != nil {
			return nil, err
		}
		for name, of := range b.Spaces {
			space, _ := trust.ParseSpace(name) // the bucket was checked
			for _, group := range of.Groups {
				out[group] = append(out[group], space)
			}
		}
	}
	for _, spaces := range out {
		slices.SortFunc(spaces, func(a, b trust.Space) int { return strings.Compare(a.String(), b.String()) })
	}
	return out, nil
}

// SetGroup adds a Space, which must be admitted, to a group, or takes it out of
// it. Administrators may.
func (s *Server) SetGroup(ctx context.Context, c feedhttp.Caller, group string, space trust.Space, in bool) error {
	err := s.setGroup(ctx, c, group, space, in)
	operation := "group remove"
	if in {
		operation = "group add"
	}
	s.audit(ctx, c, operation, space.String(), err, "group", group)
	return err
}

func (s *Server) setGroup(ctx context.Context, c feedhttp.Caller, group string, space trust.Space, in bool) error {
	if err := mayAdminister(c); err != nil {
		return err
	}
	if err := trust.CheckLabel(group); err != nil {
		return &feedhttp.RequestError{Why: fmt.Sprintf("group: %s", err)}
	}
	if _, err := s.admitted(ctx, space); err != nil {
		return err
	}
	return s.access.change(ctx, bucketOf(space), func(b *accessBucket) error {
		of := b.edit(space)
		of.Groups = slices.DeleteFunc(of.Groups, func(have string) bool { return have == group })
		if in {
			of.Groups = append(of.Groups, group)
			slices.Sort(of.Groups)
		}
		return nil
	})
}
