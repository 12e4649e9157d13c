package feedhttp

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"

	"airlock/feed"
	"airlock/trust"
)

// Audience says who may read a feed, besides its own Space and administrators.
// In JSON, as a request and an answer have it, members without a value are left
// out.
type Audience struct {
	// All is every Space that is admitted, also in future.
	All bool `json:"all,omitempty"`
	// Groups and Spaces ("<organisation>/<space>") are sorted, each once.
	Groups []string `json:"groups,omitempty"`
	Spaces []string `json:"spaces,omitempty"`
}

// Bounds of an audience.
const (
	MaxAudience = 1000 // groups and Spaces together
	maxAudience = 1 << 20
)

// DefaultAudience is that of a feed of which nobody said anything: all, and of
// one that names people nobody.
func DefaultAudience(id feed.ID) Audience { return Audience{All: !id.NamesPeople()} }

// NewAudience returns the audience of groups ("@name") and Spaces, in any order.
func NewAudience(names []string) (Audience, error) {
	var a Audience
	for _, name := range names {
		if len(name) > 0 && name[0] == '@' {
			a.Groups = append(a.Groups, name[1:])
		} else {
			a.Spaces = append(a.Spaces, name)
		}
	}
	a.Groups, a.Spaces = sorted(a.Groups), sorted(a.Spaces)
	return a, a.Check()
}

func sorted(names []string) []string {
	slices.Sort(names)
	return slices.Compact(names)
}

// Check holds the form of an audience: either all, or groups and Spaces.
func (a Audience) Check() error {
	if n := len(a.Groups) + len(a.Spaces); a.All && n > 0 || n > MaxAudience {
		return fmt.Errorf("audience: all, or at most %d groups and Spaces", MaxAudience)
	}
	for i, name := range a.Groups {
		if err := trust.CheckLabel(name); err != nil {
			return fmt.Errorf("audience: group: %w", err)
		}
		if i > 0 && a.Groups[i-1] >= name {
			return fmt.Errorf("audience: group %s: not in order, or twice", name)
		}
	}
	for i, name := range a.Spaces {
		space, err := trust.ParseSpace(name)
		if err != nil || space.String() != name {
			return fmt.Errorf("audience: space %.150q: want <organisation>/<space>", name)
		}
		if i > 0 && a.Spaces[i-1] >= name {
			return fmt.Errorf("audience: space %s: not in order, or twice", name)
		}
	}
	return nil
}

// Names returns the groups ("@name") and Spaces; "all" alone where it is all.
func (a Audience) Names() []string {
	if a.All {
		return []string{"all"}
	}
	var out []string
	for _, g := range a.Groups {
		out = append(out, "@"+g)
	}
	return append(out, a.Spaces...)
}

// Equal reports whether two audiences are the same.
func (a Audience) Equal(b Audience) bool {
	return a.All == b.All && slices.Equal(a.Groups, b.Groups) && slices.Equal(a.Spaces, b.Spaces)
}

// Readers is who may read a feed, besides its own Space and administrators: who is
// in its audience and, where the operator said one, in that too.
type Readers struct {
	// Audience is what its Space says; where it said nothing what the operator
	// says, or DefaultAudience.
	Audience
	// Bound is what the operator says; nil for nothing.
	Bound *Audience `json:"bound,omitempty"`
	// Said holds that its Space said something.
	Said bool `json:"said,omitempty"`
	// Operator holds that what who asked for this says is the operator's word, and
	// not that of the feed's Space.
	Operator bool `json:"operator,omitempty"`
}

// With returns who reads the feed when who asked for r says something else; nil for
// nothing.
func (r Readers) With(id feed.ID, a *Audience) Readers {
	own, bound := a, r.Bound
	if r.Operator {
		own, bound = nil, a
		if r.Said {
			own = &r.Audience
		}
	}
	next := NewReaders(id, own, bound)
	next.Operator = r.Operator
	return next
}

// NewReaders returns who reads a feed of which its Space, and the operator, said
// this; nil for nothing. A bound of all says nothing, but of a feed that names people.
func NewReaders(id feed.ID, own, bound *Audience) Readers {
	if bound != nil && bound.All && !id.NamesPeople() {
		bound = nil
	}
	r := Readers{Audience: DefaultAudience(id), Bound: bound, Said: own != nil}
	if own == nil {
		own = bound
	}
	if own != nil {
		r.Audience = *own
	}
	return r
}

// Check holds the form of both.
func (r Readers) Check() error {
	if err := r.Audience.Check(); err != nil || r.Bound == nil {
		return err
	}
	return r.Bound.Check()
}

// Audiences keeps who may read which feed. A feed's own Space and administrators
// may ask and say it, also before the feed exists. What administrators say a Space
// can narrow, and not widen.
type Audiences interface {
	Audience(ctx context.Context, c Caller, id feed.ID) (Readers, error)
	SetAudience(ctx context.Context, c Caller, id feed.ID, a Audience) error
}

func getAudience(h *Handler, c *call) (answer, error) {
	if h.config.Audiences == nil {
		return answer{}, errNoRoute
	}
	a, err := h.config.Audiences.Audience(c.r.Context(), c.caller, c.id)
	if err != nil {
		return answer{}, err
	}
	return jsonAnswer(a)
}

func putAudience(h *Handler, c *call) (answer, error) {
	if h.config.Audiences == nil {
		return answer{}, errNoRoute
	}
	if err := checkMediaType(c.r, "application/json"); err != nil {
		return answer{}, err
	}
	// Who may not say it need not send it.
	if _, err := h.config.Audiences.Audience(c.r.Context(), c.caller, c.id); err != nil {
		return answer{}, err
	}
	body, err := h.paced(c, "audience", maxAudience)
	if err != nil {
		return answer{}, err
	}
	raw, err := io.ReadAll(body)
	if err != nil {
		return answer{}, bodyError(err)
	}
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.DisallowUnknownFields()
	var a Audience
	if err := dec.Decode(&a); err != nil || dec.More() {
		return answer{}, badRequest("audience: want {\"all\":true}, or \"groups\" and \"spaces\"")
	}
	if err := a.Check(); err != nil {
		return answer{}, badRequest("%s", err)
	}
	if err := h.config.Audiences.SetAudience(c.r.Context(), c.caller, c.id, a); err != nil {
		return answer{}, err
	}
	return jsonAnswer(a)
}

// Audience returns who may read a feed of the client's own Space.
func (c *Client) Audience(ctx context.Context, id feed.ID) (Readers, error) {
	var r Readers
	err := c.getJSON(ctx, feedPath(id)+"/audience", 2*maxAudience, &r)
	if err == nil {
		err = r.Check()
	}
	return r, err
}

// SetAudience says who may read a feed of the client's own Space.
func (c *Client) SetAudience(ctx context.Context, id feed.ID, a Audience) error {
	raw, err := json.Marshal(a)
	if err != nil {
		return err
	}
	_, err = c.fetch(ctx, request{
		method: http.MethodPut, path: feedPath(id) + "/audience", header: [][2]string{{"Content-Type", "application/json"}},
		body:   bodyOf(raw),
		length: int64(len(raw)), limit: maxAudience,
	})
	return err
}
