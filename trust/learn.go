package trust

import "fmt"

// Learn takes in an identity version found in a feed, with the statements found
// there. A version that is known must be the same document, and the statements
// by a root; a new one must extend the history. From where it holds is
// PutInForce's part.
func (v *View) Learn(version Version) error {
	id := version.Identity
	known := v.history.Version(id.Version)
	if known == nil {
		return v.history.Extend(version)
	}
	if known.Digest() != id.Digest() {
		return v.forked(version, known)
	}
	if len(version.Statements) == 0 {
		return fmt.Errorf("identity of %s, version %d: not signed", id.Space, id.Version)
	}
	for _, a := range version.Statements {
		if err := v.history.vouched(id, a); err != nil {
			return err
		}
	}
	return nil
}

// forked says what another document for a known version means: that the Space
// is forked, if the root of the version before signed it, and else nothing.
func (v *View) forked(other Version, known *Identity) error {
	id := other.Identity
	if before := v.history.Version(id.Version - 1); before != nil {
		if _, err := statementBy(id, v.history.Lineage(), before, other.Statements); err != nil {
			return err
		}
	}
	return &DeniedError{Reason: Untrusted, Rule: "lineage", Thing: id.Space,
		Why: fmt.Sprintf("identity version %d is %s here and %s elsewhere: the Space is forked", id.Version, id.Digest(), known.Digest())}
}

// PutInForce records that a known version holds from an entry on.
func (v *View) PutInForce(version int, from Position) {
	key := feedEpoch{from.Feed, from.Epoch}
	line := v.timeline[key]
	for _, f := range line {
		if f.version >= version && f.from <= from.Index {
			return // the same version again changes nothing, nor does an older one
		}
	}
	v.timeline[key] = append(line, inForce{from.Index, version})
}

// at returns the identity version in force at a position: the newest of those
// put in force up to there, version 1 before any was.
func (v *View) at(p Position) int {
	version := 1
	for _, f := range v.timeline[feedEpoch{p.Feed, p.Epoch}] {
		if f.from <= p.Index {
			version = max(version, f.version)
		}
	}
	return version
}
