package feedhttp

import (
	"context"
	"fmt"

	"airlock/signing"
	"airlock/trust"
)

// Media types of what Spaces send about themselves.
const (
	JoinMediaType     = "application/vnd.airlock.join.v1+json"
	IdentityMediaType = "application/vnd.airlock.identity.v1" // see trust.ParseFile
)

const (
	joinPath     = "/v1/join"
	identityPath = "/v1/identities"
)

// maxEnrol bounds what Spaces send about themselves, in bytes. It is read from
// anybody, so it is less than an identity file may have: room for a hundred
// versions. A longer one the operator takes in, see Enroller.
const maxEnrol = 1 << 20

// JoinRequest asks an operator for admission. In JSON it is canonical.
type JoinRequest struct {
	Identity   []byte `json:"identity"`   // the Space's identity file
	Invitation string `json:"invitation"` // its text
	Proof      []byte `json:"proof"`      // a trust.Enrolment, an attestation in its stored form
}

// Admission says how things stand with a Space.
type Admission struct {
	Lineage trust.Lineage `json:"lineage"`
	Space   string        `json:"space"`
	State   string        `json:"state"` // Pending or Admitted
}

// The states of an Admission.
const (
	Pending  = "pending"  // the administrator has not decided yet
	Admitted = "admitted" // it may connect
)

// Enroller lets Spaces in. What they send proves itself, so neither method needs a
// credential.
type Enroller interface {
	// Enrol takes the request of a Space that has an invitation. The same Space may
	// ask again with it, to hear how things stand.
	Enrol(ctx context.Context, c Caller, r JoinRequest) (Admission, error)
	// Learn takes in the identity file of an admitted Space, and returns the newest
	// version that is known of it then. Roots sign it, so it may come from anybody.
	Learn(ctx context.Context, c Caller, file []byte) (int, error)
}

// identityKnown is the answer to POST /v1/identities.
type identityKnown struct {
	Version int `json:"version"`
}

func postJoin(h *Handler, c *call) (answer, error) {
	if h.config.Enroller == nil {
		return answer{}, errNoRoute
	}
	return h.withBody(c, JoinMediaType, "request to join", maxEnrol, func(body []byte) (any, error) {
		var r JoinRequest
		if err := signing.UnmarshalCanonical(body, &r); err != nil {
			return nil, badRequest("join: %v", err)
		}
		return h.config.Enroller.Enrol(c.r.Context(), c.caller, r)
	})
}

func postIdentity(h *Handler, c *call) (answer, error) {
	if h.config.Enroller == nil {
		return answer{}, errNoRoute
	}
	return h.withBody(c, IdentityMediaType, "identity file", maxEnrol, func(body []byte) (any, error) {
		version, err := h.config.Enroller.Learn(c.r.Context(), c.caller, body)
		return identityKnown{version}, err
	})
}

// Join asks the operator for admission.
func (c *Client) Join(ctx context.Context, r JoinRequest) (Admission, error) {
	var a Admission
	body, err := signing.MarshalCanonical(r)
	if err == nil {
		err = c.askJSON(ctx, post(joinPath, JoinMediaType, body), &a)
	}
	if err == nil && a.State != Pending && a.State != Admitted {
		err = c.named(fmt.Errorf("answer: state %.40q is none that is known", clean(a.State)))
	}
	return a, err
}

// Tell hands the newest identity file of a Space to a server that admitted it, and
// returns the version that the server knows then.
func (c *Client) Tell(ctx context.Context, file []byte) (int, error) {
	var known identityKnown
	err := c.askJSON(ctx, post(identityPath, IdentityMediaType, file), &known)
	return known.Version, err
}

// post is a request with a body of a media type.
func post(path, mediaType string, body []byte) request {
	rq := jsonRequest(path, body, maxInfo)
	rq.header = [][2]string{{"Content-Type", mediaType}}
	return rq
}
