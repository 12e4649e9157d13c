package server

import (
	"context"
	"errors"
	"fmt"
	"io/fs"

	"airlock/feed/feedhttp"
	"airlock/trust"
)

// The file of an admission is written once, so that a name never passes to
// another lineage. Whether it is in force is a cell beside it: none, or one
// that holds inForce, or one that holds dismissed.
const (
	inForce   = "in force"
	dismissed = "dismissed"
)

func standingKey(s trust.Space) string { return "admission/" + s.String() }

// Dismiss takes the admission of a Space back: it may not append any more, and
// its feeds stay readable. All servers of the store heed it with the next
// batch. Admit puts the admission in force again, for the same lineage
// only. A Space that was never admitted gives a *trust.DeniedError with
// RuleAdmission.
func (s *Server) Dismiss(ctx context.Context, c feedhttp.Caller, space trust.Space) error {
	_, err := s.admitted(ctx, space)
	if err == nil {
		err = s.setStanding(ctx, space, dismissed)
	}
	s.audit(ctx, c, "dismiss", space.String(), err)
	return err
}

// Dismissed reports whether the admission of a Space was taken back.
func (s *Server) Dismissed(ctx context.Context, space trust.Space) (bool, error) {
	value, _, err := s.standing(ctx, space)
	return value == dismissed, err
}

// checkStanding refuses an admitted Space whose admission was taken back. It
// looks each time: what was taken back is not in force a moment longer.
func (s *Server) checkStanding(ctx context.Context, space trust.Space) error {
	gone, err := s.Dismissed(ctx, space)
	if err != nil || !gone {
		return err
	}
	return &trust.DeniedError{Reason: trust.Untrusted, Rule: RuleAdmission, Thing: space.String(), Why: "is not admitted here any more"}
}

func (s *Server) standing(ctx context.Context, space trust.Space) (value, tag string, err error) {
	b, tag, err := s.config.Store.Cells.Load(ctx, standingKey(space))
	switch value = string(b); {
	case errors.Is(err, fs.ErrNotExist):
		return inForce, "", nil
	case err != nil:
		return "", "", err
	case value != inForce && value != dismissed:
		return "", "", fmt.Errorf("store: admission of %s is %.20q, which this version does not know", space, value)
	}
	return value, tag, nil
}

// setStanding changes the cell where it says something else.
func (s *Server) setStanding(ctx context.Context, space trust.Space, value string) error {
	have, tag, err := s.standing(ctx, space)
	if err == nil && have != value {
		_, err = s.config.Store.Cells.Swap(ctx, standingKey(space), tag, []byte(value))
	}
	return err
}
