package feed

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"airlock/signing"
	"airlock/storage"
	"airlock/trust"
)

// Signers is who may sign in a feed from which entry on: what the identities
// among its entries add up to. Followers and committers both judge by it, so
// they agree on what the Space said.
//
// Open and Add take in entries in the order of the log. Between them the other
// methods may be called concurrently.
type Signers struct {
	id       ID
	epoch    uint64
	view     *trust.View // nil until a committer has read version 1
	document Document

	opening   Opening                            // zero where a follower goes on from a state
	opener    []byte                             // certificate that signed it
	pending   []signing.Attestation              // about identities that more statements must put in force
	documents map[storage.Digest]*trust.Identity // of pending ones
	inForce   []InForce
}

// Document fetches a small object of a feed's Space, checked against its
// digest, and refuses one of more than limit bytes.
type Document func(ctx context.Context, d storage.Digest, limit int64) ([]byte, error)

// InForce is an identity version and the entry from which it holds.
type InForce struct {
	From    int64 `json:"from"`
	Version int   `json:"version"`
}

// Carried returns the newest version of a list, 0 for none.
func Carried(list []InForce) int {
	newest := 0
	for _, f := range list {
		newest = max(newest, f.Version)
	}
	return newest
}

// ErrDocument reports an identity document that could not be had: that is no
// reason for an entry to be void.
var ErrDocument = errors.New("cannot be read")

// NewSigners returns the signers of a feed of which nothing was read yet. A
// follower gives the view that it judges by. A committer gives nil: it knows
// the Space by what the feed says of itself, from the identity that the opening
// names as the lineage.
func NewSigners(id ID, epoch uint64, view *trust.View, document Document) *Signers {
	return &Signers{id: id, epoch: epoch, view: view, document: document}
}

// Clone returns signers that take in entries on their own.
func (s *Signers) Clone() *Signers {
	c := *s
	c.pending, c.inForce, c.documents = slices.Clone(s.pending), slices.Clone(s.inForce), maps.Clone(s.documents)
	if s.view != nil {
		c.view = s.view.Clone()
	}
	return &c
}

func (s *Signers) at(index int64) trust.Position {
	return trust.Position{Feed: s.id.String(), Epoch: s.epoch, Index: index}
}

// Open takes in entry 0, unverified: it names the identity version under which
// the feed was opened, which decides who may have signed it.
func (s *Signers) Open(a signing.Attestation) error {
	st, err := signing.ParseStatement(a.Payload())
	if err != nil {
		return err
	}
	if st.Kind != signing.Feed {
		return fmt.Errorf("is a statement of kind %s", st.Kind)
	}
	if s.opening, err = parseOpening(st, s.id, s.epoch); err != nil {
		return err
	}
	s.opener = a.CertificateDER()
	if s.Opened() == nil {
		s.putInForce(s.opening.Identity, 0)
	}
	return nil
}

// Opened reports whether the identity version under which the feed was opened
// is known: nil, or what is missing. The identities up to it stand right behind
// entry 0.
func (s *Signers) Opened() error {
	if s.view == nil || s.view.History().Version(s.opening.Identity) == nil {
		return &trust.DeniedError{Reason: trust.Malformed, Rule: "form", Thing: s.id.String(),
			Why: fmt.Sprintf("identity version %d, under which it was opened, does not stand right behind entry 0", s.opening.Identity)}
	}
	return nil
}

// CheckOpener refuses a feed of which nothing was accepted yet, where the Space
// has dropped the leaf that opened it by an identity version which is known and
// which the feed does not carry: rule opening. Every feed of a Space carries its
// identities, so either its people have not carried that one here, or somebody
// else opened the feed with an old key.
func (s *Signers) CheckOpener() error {
	cert, err := signing.ParseCertificate(s.opener)
	if err != nil {
		return err
	}
	history, carried := s.view.History(), Carried(s.inForce)
	for n := carried + 1; n <= history.Current().Version; n++ {
		if _, listed := history.Version(n).Leaf(signing.KeyThumbprint(cert)); !listed {
			return &trust.DeniedError{Reason: trust.Untrusted, Rule: "opening", Thing: s.id.String(),
				Why: fmt.Sprintf("was opened by a key that identity version %d dropped, and carries the identity up to version %d only", n, carried)}
		}
	}
	return nil
}

// Believed is trust.View.Believed for an entry of the feed.
func (s *Signers) Believed(a signing.Attestation, index int64) (trust.Signed, error) {
	if err := s.Opened(); err != nil {
		return trust.Signed{}, err
	}
	return s.view.Believed(a, s.at(index))
}

// Revoked returns what tells of a row whether a revocation voids it, nil while
// the Space has revoked no key.
func (s *Signers) Revoked() func(Row) bool {
	if s.view == nil || len(s.view.History().Current().Revocations) == 0 {
		return nil
	}
	return func(r Row) bool { return s.view.Revoked(int(r.Leaf), s.at(r.Index)) }
}

// putInForce records from where a version holds, for the view and the state.
func (s *Signers) putInForce(version int, from int64) {
	s.view.PutInForce(version, s.at(from))
	if n := len(s.inForce); n > 0 && s.inForce[n-1].Version >= version {
		return
	} else if n > 0 && s.inForce[n-1].From == from {
		s.inForce[n-1].Version = version
		return
	}
	s.inForce = append(s.inForce, InForce{from, version})
}
