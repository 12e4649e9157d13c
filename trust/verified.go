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

// Verified is a statement that the Space made, at a place where it counts.
type Verified struct {
	statement signing.Statement
	id        signing.ID
	person    string
	key       storage.Digest
	bound     Bound
	at        Position
}

// Statement returns what was said.
func (v Verified) Statement() signing.Statement { return v.statement }

// ID names the statement.
func (v Verified) ID() signing.ID { return v.id }

// Person is who held the key, by the word of the Space.
func (v Verified) Person() string { return v.person }

// Key is the thumbprint of the key that signed.
func (v Verified) Key() storage.Digest { return v.key }

// Bound returns where the statement belongs.
func (v Verified) Bound() Bound { return v.bound }

// At is the position for which the statement was verified.
func (v Verified) At() Position { return v.at }
