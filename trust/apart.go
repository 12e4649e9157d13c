package trust

import (
	"errors"
	"fmt"
	"slices"

	"airlock/signing"
)

// VerifyApart verifies a statement that came as a file, outside of its feed,
// against the identity alone. Its place is not known here, so it is held against
// the newest identity version that lists its key, which is returned, and a key
// that was ever revoked does not count. A refusal is a *DeniedError.
func (h *History) VerifyApart(a signing.Attestation, want Want) (Verified, int, error) {
	claim, err := signing.ParseStatement(a.Payload())
	if err != nil {
		return Verified{}, 0, fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	bound, err := parseBound(claim.Predicate)
	if err != nil {
		return Verified{}, 0, fmt.Errorf("%w: predicate: %w", ErrMalformed, err)
	}
	v, version, err := h.verifyAt(a, want, Position{Feed: bound.Feed, Epoch: bound.Epoch})
	if err != nil {
		return Verified{}, 0, err
	}
	revocations := h.Current().Revocations
	if i := slices.IndexFunc(revocations, func(r Revocation) bool { return r.Key == v.Key() }); i >= 0 {
		return Verified{}, 0, &DeniedError{Reason: Untrusted, Rule: "revocation", Thing: claim.SubjectName,
			Why: fmt.Sprintf("the key of %s was revoked (%s), and whether before or after this statement only the feed tells", v.Person(), revocations[i].Reason)}
	}
	return v, version, nil
}

// verifyAt goes back from the newest version to the one that lists the key.
func (h *History) verifyAt(a signing.Attestation, want Want, at Position) (Verified, int, error) {
	for n := h.Current().Version; ; n-- {
		view := &View{history: h, timeline: map[feedEpoch][]inForce{}}
		view.PutInForce(n, at)
		v, err := view.Verify(a, want, at)
		if denied, ok := errors.AsType[*DeniedError](err); err == nil || !ok || denied.Rule != "position" || n == 1 {
			return v, n, err
		}
	}
}
