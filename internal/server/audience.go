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
func (s *Server) audience(ctx context.Context, id feed.ID) (feedhttp.Readers, error) {
	b, err := s.access.bucket(ctx, bucketOf(id.Space))
	if err != nil {
		return feedhttp.Readers{}, err
	}
	of := b.space(id.Space)
	if of == nil {
		of = &spaceAccess{}
	}
	return of.readers(id), nil
}

// inAudience reports whether a caller is one of those who may read a feed: who is
// in what its Space says and in what the operator says.
func (s *Server) inAudience(ctx context.Context, c feedhttp.Caller, id feed.ID) (bool, error) {
	r, err := s.audience(ctx, id)
	if err != nil {
		return false, err
	}
	in, err := s.isIn(ctx, c, r.Audience)
	if in && err == nil && r.Bound != nil {
		in, err = s.isIn(ctx, c, *r.Bound)
	}
	return in, err
}

func (s *Server) isIn(ctx context.Context, c feedhttp.Caller, a feedhttp.Audience) (bool, error) {
	if a.All || c.Role != feedhttp.Enrolled {
		return a.All, nil
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

// Audience returns who may read a feed, besides its own Space and administrators,
// and as whose word counts what the caller says of it. Only they may ask.
func (s *Server) Audience(ctx context.Context, c feedhttp.Caller, id feed.ID) (feedhttp.Readers, error) {
	if err := mayGovern(c, id); err != nil {
		return feedhttp.Readers{}, err
	}
	r, err := s.audience(ctx, id)
	r.Operator = c.Role == feedhttp.Administrator
	return r, err
}

// SetAudience says who may read a feed, besides its own Space and
// administrators. Only they may. What an administrator says bounds what the Space
// says: who reads is in both. The feed need not exist yet, its Space must be
// admitted. All servers heed it within a second.
func (s *Server) SetAudience(ctx context.Context, c feedhttp.Caller, id feed.ID, a feedhttp.Audience) error {
	err := s.setAudience(ctx, c, id, &a)
	s.audit(ctx, c, "audience", id.String(), err, "to", strings.Join(a.Names(), ","))
	return err
}

// ResetAudience takes back what administrators said of who may read a feed: what
// its Space says holds alone. Administrators may.
func (s *Server) ResetAudience(ctx context.Context, c feedhttp.Caller, id feed.ID) error {
	err := mayAdminister(c)
	if err == nil {
		err = s.setAudience(ctx, c, id, nil)
	}
	s.audit(ctx, c, "audience reset", id.String(), err)
	return err
}

// setAudience keeps what the caller says; nil for nothing.
func (s *Server) setAudience(ctx context.Context, c feedhttp.Caller, id feed.ID, a *feedhttp.Audience) error {
	if err := mayGovern(c, id); err != nil {
		return err
	}
	if _, err := s.admitted(ctx, id.Space); err != nil {
		return err
	}
	if a != nil {
		if err := a.Check(); err != nil {
			return &feedhttp.RequestError{Why: err.Error()}
		}
	}
	return s.access.change(ctx, bucketOf(id.Space), func(b *accessBucket) error {
		of := b.edit(id.Space)
		said := &of.Audiences
		if c.Role == feedhttp.Administrator {
			said = &of.Bounds
		}
		if delete(*said, id.Name); a != nil {
			if *said == nil {
				*said = map[string]feedhttp.Audience{}
			}
			(*said)[id.Name] = *a
		}
		of.tidied(id)
		return nil
	})
}

// Unknown returns those names of an audience that nobody has here: Spaces that were
// not admitted, and groups ("@name") that no Space is in. They may come yet, or be
// misspelt. Administrators may ask: whom else the operator keeps is no Space's
// business.
func (s *Server) Unknown(ctx context.Context, c feedhttp.Caller, a feedhttp.Audience) ([]string, error) {
	var out []string
	if len(a.Groups) > 0 {
		groups, err := s.Groups(ctx, c)
		if err != nil {
			return nil, err
		}
		for _, name := range a.Groups {
			if len(groups[name]) == 0 {
				out = append(out, "@"+name)
			}
		}
	}
	if err := mayAdminister(c); err != nil {
		return nil, err
	}
	for _, name := range a.Spaces {
		space, err := trust.ParseSpace(name)
		if err == nil {
			_, err = s.admission(ctx, space)
		}
		switch {
		case deniedAdmission(err):
			out = append(out, name)
		case err != nil:
			return nil, err
		}
	}
	return out, nil
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
