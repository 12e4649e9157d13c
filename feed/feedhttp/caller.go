package feedhttp

import (
	"context"
	"crypto/x509"
	"slices"
	"time"

	"airlock/feed"
	"airlock/trust"
)

// Role is what a caller is to a server.
type Role uint8

// The roles.
const (
	Nobody        Role = iota // showed no credential
	Enrolled                  // a Space that was admitted
	Administrator             // the operator
	Peer                      // another server of the same store
)

// Caller is who asks, and what the transport knows of the other end. The
// backend decides what that allows, and writes it down.
type Caller struct {
	Role  Role
	Space trust.Space // of a caller that is Enrolled; zero where unknown
	// Credential names what was shown, for the audit line; it is no secret.
	Credential string
	// Feeds are the patterns of the feeds for which the credential is good; nil
	// for all.
	Feeds []feed.Pattern
	// Until is when the credential ends; zero for never.
	Until time.Time
	// Changed is closed when what callers may do has changed since Identify:
	// who waits asks it again. nil where that never happens.
	Changed <-chan struct{}
	// Forwarded holds that another server passed the request on: it is not passed
	// on again.
	Forwarded bool
	// Address is the remote address, for the audit line.
	Address string
	// Request is the id of the request, end to end.
	Request string
}

// String names the caller for logs: "nobody", a Space, "administrator", "peer".
func (c Caller) String() string {
	switch c.Role {
	case Enrolled:
		return c.Space.String()
	case Administrator:
		return "administrator"
	case Peer:
		return "peer"
	}
	return "nobody"
}

// Covers reports whether the caller's credential is good for a feed.
func (c Caller) Covers(id feed.ID) bool {
	return c.Feeds == nil || slices.ContainsFunc(c.Feeds, func(p feed.Pattern) bool { return p.Match(id) })
}

// Credentials is what a request shows of who asks.
type Credentials struct {
	// Token is that of an Authorization field with the scheme Bearer (RFC 6750,
	// section 2.1); empty where there is none.
	Token string
	// Certificates is the chain of a TLS client, its own certificate first. The
	// client has shown that it holds the key of that one; nothing else was
	// checked. nil where it showed none.
	Certificates []*x509.Certificate
}

// Callers knows who may ask. It may be used concurrently.
type Callers interface {
	// Identify says whose credentials these are; Nobody's where there are none.
	// What is not known here, has ended or was revoked is an error that matches
	// ErrUnauthorized. Address and Request are left to the transport.
	Identify(ctx context.Context, shown Credentials) (Caller, error)
	// Enter counts a request of a caller. One more than it is granted is a
	// *RateError.
	Enter(ctx context.Context, c Caller) error
}
