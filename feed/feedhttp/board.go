package feedhttp

import (
	"context"
	"errors"
	"net/http"

	"airlock/signing"
	"airlock/storage"
	"airlock/trust"
)

// MaxBoard bounds a board, in bytes.
const MaxBoard = 1 << 20

// Boards keeps one cell for each Space, in which the agents of that Space tell each
// other who does which work. What is in it is theirs alone: nobody else reads it, and
// the server does not look into it. The Space itself and administrators may.
type Boards interface {
	// Board returns the bytes and their tag; neither where nobody wrote any.
	Board(ctx context.Context, c Caller, space trust.Space) (value []byte, tag string, err error)
	// SetBoard writes at most MaxBoard bytes if the cell still has the tag, and
	// returns the new one; ErrPrecondition where it has another.
	SetBoard(ctx context.Context, c Caller, space trust.Space, tag string, value []byte) (newTag string, err error)
}

// boardDoc is the answer to GET and the request of PUT, in canonical JSON; the
// answer to PUT has the new tag alone.
//
//	{"tag":"…","value":"<base64>"}
type boardDoc struct {
	Tag   string `json:"tag"` // empty where there is nothing
	Value []byte `json:"value,omitempty"`
}

// maxBoardBody bounds a boardDoc, in bytes: base64, a tag and the names.
const maxBoardBody = MaxBoard/3*4 + 8<<10

func boardPath(space trust.Space) string { return "/v1/spaces/" + space.String() + "/board" }

func getBoard(h *Handler, c *call) (answer, error) {
	if h.config.Boards == nil {
		return answer{}, errNoRoute
	}
	value, tag, err := h.config.Boards.Board(c.r.Context(), c.caller, c.id.Space)
	if err != nil {
		return answer{}, err
	}
	return jsonAnswer(boardDoc{tag, value})
}

func putBoard(h *Handler, c *call) (answer, error) {
	if h.config.Boards == nil {
		return answer{}, errNoRoute
	}
	return h.withBody(c, jsonMediaType, "board", maxBoardBody, func(body []byte) (any, error) {
		d, err := parseBoard(body)
		if err != nil {
			return nil, err
		}
		tag, err := h.config.Boards.SetBoard(c.r.Context(), c.caller, c.id.Space, d.Tag, d.Value)
		return boardDoc{Tag: tag}, err
	})
}

// parseBoard reads what Client.SetBoard sends, and nothing else.
func parseBoard(b []byte) (d boardDoc, err error) {
	if err := signing.UnmarshalCanonical(b, &d); err != nil {
		return d, badRequest("board: %s", err)
	}
	if len(d.Value) > MaxBoard {
		return d, &LimitError{"board", MaxBoard}
	}
	return d, nil
}

// Board returns what the agents of a Space, the client's own, told each other, and
// the tag of that; neither where there is nothing.
func (c *Client) Board(ctx context.Context, space trust.Space) (value []byte, tag string, err error) {
	var d boardDoc
	err = c.askJSON(ctx, request{method: http.MethodGet, path: boardPath(space), limit: maxBoardBody}, &d)
	return d.Value, d.Tag, err
}

// SetBoard writes it in the place of what has the tag, and returns the new one;
// storage.ErrConflict where something else is there. As a request may be sent twice,
// that may be what it wrote itself.
func (c *Client) SetBoard(ctx context.Context, space trust.Space, tag string, value []byte) (newTag string, err error) {
	body, err := signing.MarshalCanonical(boardDoc{tag, value})
	if err != nil {
		return "", err
	}
	rq := jsonRequest(boardPath(space), body, maxInfo)
	rq.method = http.MethodPut
	var d boardDoc
	err = c.askJSON(ctx, rq, &d)
	if errors.Is(err, ErrPrecondition) {
		err = storage.ErrConflict
	}
	return d.Tag, err
}
