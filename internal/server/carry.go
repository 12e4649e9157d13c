package server

import (
	"context"
	"errors"
	"fmt"
	"io/fs"

	"airlock/feed/feedhttp"
	"airlock/trust"
)

// A store of the format storage.Earlier says in a cell of its own for each Space
// whether its admission is in force, and in one of two words.
const (
	earlierInForce   = "in force"
	earlierDismissed = "dismissed"
)

func earlierStandingKey(s trust.Space) string { return "admission/" + s.String() }

// CarriedOver returns the Spaces that a store of the format storage.Earlier has
// dismissed, and that CarryOver dismisses here too.
func (s *Server) CarriedOver(ctx context.Context) ([]trust.Space, error) {
	admitted, err := s.Spaces(ctx)
	if err != nil {
		return nil, err
	}
	var out []trust.Space
	for _, h := range admitted {
		value, _, err := s.config.Store.Cells.Load(ctx, earlierStandingKey(h.Space()))
		switch {
		case errors.Is(err, fs.ErrNotExist):
		case err != nil:
			return nil, err
		case string(value) == earlierDismissed:
			out = append(out, h.Space())
		case string(value) != earlierInForce:
			return nil, fmt.Errorf("store: admission of %s is %.20q, which no version wrote", h.Space(), value)
		}
	}
	return out, nil
}

// CarryOver brings what a store of the format storage.Earlier says of Spaces to
// where this version looks for it, and returns the Spaces that it dismissed. It
// may be repeated. Administrators may.
func (s *Server) CarryOver(ctx context.Context, c feedhttp.Caller) ([]trust.Space, error) {
	spaces, err := s.CarriedOver(ctx)
	if err != nil {
		return nil, err
	}
	for _, space := range spaces {
		if err := s.Dismiss(ctx, c, space); err != nil {
			return nil, fmt.Errorf("dismiss %s: %w", space, err)
		}
	}
	return spaces, nil
}
