package trust

import (
	"encoding/json"
	"fmt"

	"airlock/signing"
	"airlock/storage"
)

// Want is what a caller expects of a statement. Zero fields expect nothing.
type Want struct {
	Kind    signing.Kind
	Subject storage.Digest
}

// Bound is what every predicate but an identity's holds: where the statement
// belongs. Moved elsewhere it is void.
type Bound struct {
	Critical bool    `json:"critical,omitempty"`
	Epoch    uint64  `json:"epoch"`
	Feed     string  `json:"feed"`
	Lineage  Lineage `json:"lineage"`
}

// parseBound reads the four members by their exact names: to decode into a
// Bound would take "Critical" and "FEED" as well, which others overlook. The
// rest of the predicate is its kind's.
func parseBound(predicate []byte) (b Bound, err error) {
	for name, value := range signing.Members(predicate) {
		var field any
		switch name {
		case "critical":
			field = &b.Critical
		case "epoch":
			field = &b.Epoch
		case "feed":
			field = &b.Feed
		case "lineage":
			field = &b.Lineage
		default:
			continue
		}
		if err := json.Unmarshal(value, field); err != nil {
			return b, fmt.Errorf("%s: %w", name, err)
		}
	}
	return b, nil
}

// Signed is a statement that the Space made for the place where it stands: by a
// leaf that was in force there. It says nothing of a revocation since; what is
// acted on is Verified.
type Signed struct {
	statement signing.Statement
	id        signing.ID
	person    string
	key       storage.Digest
	leaf      int
	bound     Bound
	at        Position
}

// Statement returns what was said.
func (s Signed) Statement() signing.Statement { return s.statement }

// Leaf is the place of the leaf that signed in the list of the identity version
// in force.
func (s Signed) Leaf() int { return s.leaf }

// Verified is a statement that the Space made, at a place where it counts.
type Verified struct{ signed Signed }

// Statement returns what was said.
func (v Verified) Statement() signing.Statement { return v.signed.statement }

// ID names the statement.
func (v Verified) ID() signing.ID { return v.signed.id }

// Person is who held the key, by the word of the Space.
func (v Verified) Person() string { return v.signed.person }

// Key is the thumbprint of the key that signed.
func (v Verified) Key() storage.Digest { return v.signed.key }

// Bound returns where the statement belongs.
func (v Verified) Bound() Bound { return v.signed.bound }

// At is the position for which the statement was verified.
func (v Verified) At() Position { return v.signed.at }
