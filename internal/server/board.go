package server

import (
	"context"
	"errors"
	"fmt"
	"io/fs"

	"airlock/feed/feedhttp"
	"airlock/internal/agent"
	"airlock/storage"
	"airlock/trust"
)

var _ feedhttp.Boards = (*Server)(nil)

// boardKey is the cell in which the agents of a Space tell each other who does
// which work; see the package internal/agent. The server does not look into it.
func boardKey(s trust.Space) string { return "boards/" + s.String() }

// Board returns what the agents of a Space told each other, and the tag of that.
func (s *Server) Board(ctx context.Context, c feedhttp.Caller, space trust.Space) (value []byte, tag string, err error) {
	if err := s.mayShare(ctx, c, space); err != nil {
		s.audit(ctx, c, "board", space.String(), err)
		return nil, "", err
	}
	return boardCell{s.config.Store.Cells, boardKey(space)}.Load(ctx)
}

// SetBoard writes what the agents of a Space tell each other where it has the tag,
// and returns the new one; feedhttp.ErrPrecondition where it has another. What was
// done is not audited, it is done again and again and none of the operator's
// business.
func (s *Server) SetBoard(ctx context.Context, c feedhttp.Caller, space trust.Space, tag string, value []byte) (string, error) {
	err := s.mayShare(ctx, c, space)
	if err == nil && len(value) > feedhttp.MaxBoard {
		err = &feedhttp.LimitError{What: "board", Max: feedhttp.MaxBoard}
	}
	if err != nil {
		s.audit(ctx, c, "board", space.String(), err)
		return "", err
	}
	tag, err = boardCell{s.config.Store.Cells, boardKey(space)}.Swap(ctx, tag, value)
	if errors.Is(err, storage.ErrConflict) {
		err = feedhttp.ErrPrecondition
	}
	return tag, err
}

// mayShare is the access rule of the board of a Space: its own agents have it, and
// administrators. Only admitted Spaces have one, so that there are no more of them.
func (s *Server) mayShare(ctx context.Context, c feedhttp.Caller, space trust.Space) error {
	switch {
	case c.Role == feedhttp.Enrolled && c.Space == space:
		return nil
	case c.Role == feedhttp.Administrator, c.Role == feedhttp.Nobody && s.config.Open:
		_, err := s.admission(ctx, space)
		return err
	case c.Role == feedhttp.Nobody:
		return fmt.Errorf("board of %s: %w", space, feedhttp.ErrUnauthorized)
	}
	return &trust.DeniedError{Reason: trust.Untrusted, Rule: RuleCaller, Thing: space.String(), Why: "only its own agents, or an administrator, have its board"}
}

// boardCell is the cell of a board.
type boardCell struct {
	cells storage.Cells
	key   string
}

var _ agent.Cell = boardCell{}

func (c boardCell) Load(ctx context.Context) (value []byte, tag string, err error) {
	value, tag, err = c.cells.Load(ctx, c.key)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, "", nil
	}
	return value, tag, err
}

func (c boardCell) Swap(ctx context.Context, tag string, value []byte) (newTag string, err error) {
	return c.cells.Swap(ctx, c.key, tag, value)
}
