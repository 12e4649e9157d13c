package server

import (
	"context"

	"airlock/feed/feedhttp"
	"airlock/trust"
)

// Dismiss takes the admission of a Space back: it may not append any more, its
// credentials are worth nothing, and its feeds stay readable. All servers of the
// store heed it with the next batch, and readers hear of it within a second.
// Admit puts the admission in force again, for the same lineage only. A Space
// that was never admitted gives a *trust.DeniedError with RuleAdmission.
// Administrators may.
func (s *Server) Dismiss(ctx context.Context, c feedhttp.Caller, space trust.Space) error {
	err := s.dismiss(ctx, c, space)
	s.audit(ctx, c, "dismiss", space.String(), err)
	return err
}

func (s *Server) dismiss(ctx context.Context, c feedhttp.Caller, space trust.Space) error {
	if err := mayAdminister(c); err != nil {
		return err
	}
	if _, err := s.admitted(ctx, space); err != nil {
		return err
	}
	return s.setDismissed(ctx, space, true)
}

// Dismissed reports whether the admission of a Space was taken back. It looks
// each time: what was taken back is not in force a moment longer.
func (s *Server) Dismissed(ctx context.Context, space trust.Space) (bool, error) {
	b, err := s.access.newest(ctx, bucketOf(space))
	if err != nil {
		return false, err
	}
	of := b.space(space)
	return of != nil && of.Dismissed, nil
}

// checkStanding refuses an admitted Space whose admission was taken back.
func (s *Server) checkStanding(ctx context.Context, space trust.Space) error {
	gone, err := s.Dismissed(ctx, space)
	if err != nil || !gone {
		return err
	}
	return &trust.DeniedError{Reason: trust.Untrusted, Rule: RuleAdmission, Thing: space.String(), Why: "is not admitted here any more"}
}

func (s *Server) setDismissed(ctx context.Context, space trust.Space, gone bool) error {
	return s.access.change(ctx, bucketOf(space), func(b *accessBucket) error {
		b.edit(space).Dismissed = gone
		return nil
	})
}
