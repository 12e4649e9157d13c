package feed

import (
	"fmt"

	"airlock/signing"
	"airlock/storage"
	"airlock/trust"
)

// Opening is the predicate of a feed's entry 0: the Space opens the feed and
// names the key that signs its checkpoints. The subject is the SHA-256 of the
// origin.
type Opening struct {
	Critical bool   `json:"critical,omitempty"`
	Epoch    uint64 `json:"epoch"`
	Feed     ID     `json:"feed"`
	// Identity is the version in force when the feed was opened; the entries
	// right after entry 0 carry all versions up to it.
	Identity int           `json:"identity"`
	Lineage  trust.Lineage `json:"lineage"`
	LogKey   []byte        `json:"logKey"` // Ed25519 public key, 32 bytes
	Origin   string        `json:"origin"`
	// Previous is the final checkpoint of the epoch before, a signed note.
	Previous string `json:"previous,omitempty"`
}

// Publication is the predicate that publishes a package. The subject is the
// manifest.
type Publication struct {
	Critical     bool          `json:"critical,omitempty"`
	Epoch        uint64        `json:"epoch"`
	Feed         ID            `json:"feed"`
	Kind         string        `json:"kind"`
	Lineage      trust.Lineage `json:"lineage"`
	ManifestSize int64         `json:"manifestSize"` // bytes
	Name         string        `json:"name"`
	// Previous is the statement before this one about the same kind and name,
	// so the order of versions is the source's word. Absent in the first.
	Previous *signing.ID `json:"previous,omitempty"`
	Time     string      `json:"time"` // RFC 3339, UTC, the publisher's clock: for people
	Title    string      `json:"title"`
	// Urgent asks subscribers to take it at once. What comes of that is for each
	// of them to say.
	Urgent  bool   `json:"urgent,omitempty"`
	Version string `json:"version"`
}

// Withdrawal is the predicate that withdraws a version, for good. The subject
// is its manifest.
type Withdrawal struct {
	Critical bool          `json:"critical,omitempty"`
	Epoch    uint64        `json:"epoch"`
	Feed     ID            `json:"feed"`
	Kind     string        `json:"kind"`
	Lineage  trust.Lineage `json:"lineage"`
	Name     string        `json:"name"`
	Previous *signing.ID   `json:"previous,omitempty"` // as in Publication, never absent
	Reason   string        `json:"reason"`             // at most 500 bytes
	Time     string        `json:"time"`
	Version  string        `json:"version"`
}

// Ref returns the package that is published.
func (p Publication) Ref() Ref { return Ref{p.Kind, p.Name, p.Version} }

// Ref returns the package that is withdrawn.
func (w Withdrawal) Ref() Ref { return Ref{w.Kind, w.Name, w.Version} }

// Statement returns the statement that opens the feed.
func (o Opening) Statement() (signing.Statement, error) {
	return statement(signing.Feed, storage.DigestOf([]byte(o.Origin)), o.Origin, o)
}

// Statement returns the statement that publishes the manifest.
func (p Publication) Statement(manifest storage.Digest) (signing.Statement, error) {
	return statement(signing.Publication, manifest, p.Ref().String(), p)
}

// Statement returns the statement that withdraws the manifest's version.
func (w Withdrawal) Statement(manifest storage.Digest) (signing.Statement, error) {
	return statement(signing.Withdrawal, manifest, w.Ref().String(), w)
}

func statement(kind signing.Kind, subject storage.Digest, name string, predicate any) (signing.Statement, error) {
	raw, err := signing.MarshalCanonical(predicate)
	return signing.Statement{Kind: kind, Subject: subject, SubjectName: name, Predicate: raw}, err
}

// parseOpening reads the predicate of a verified feed statement.
func parseOpening(st signing.Statement, id ID, epoch uint64) (Opening, error) {
	var o Opening
	if err := signing.UnmarshalCanonical(st.Predicate, &o); err != nil {
		return o, err
	}
	if len(o.LogKey) != 32 || o.Identity < 1 {
		return o, fmt.Errorf("opening of %s: want a log key of 32 bytes and an identity version", id)
	}
	if o.Origin != id.Origin(epoch) || st.Subject != storage.DigestOf([]byte(o.Origin)) {
		return o, fmt.Errorf("opening of %s: origin %.200q is not %s", id, o.Origin, id.Origin(epoch))
	}
	return o, nil
}

// parsePublication reads the predicate of a publication.
func parsePublication(st signing.Statement) (Publication, error) {
	p, ok := fastPublication(st.Predicate)
	if !ok {
		p = Publication{}
		if err := signing.UnmarshalCanonical(st.Predicate, &p); err != nil {
			return p, err
		}
	}
	if err := p.Ref().Check(); err != nil {
		return p, err
	}
	if p.ManifestSize < 1 || p.ManifestSize > MaxManifest {
		return p, fmt.Errorf("%s: manifest of %d bytes, want 1 to %d", p.Ref(), p.ManifestSize, MaxManifest)
	}
	if st.SubjectName != p.Ref().String() {
		return p, fmt.Errorf("%s: subject name is %.200q", p.Ref(), st.SubjectName)
	}
	return p, CheckTitle(p.Title)
}

// parseWithdrawal reads the predicate of a withdrawal.
func parseWithdrawal(st signing.Statement) (Withdrawal, error) {
	var w Withdrawal
	if err := signing.UnmarshalCanonical(st.Predicate, &w); err != nil {
		return w, err
	}
	if err := w.Ref().Check(); err != nil {
		return w, err
	}
	if len(w.Reason) > 500 || w.Previous == nil {
		return w, fmt.Errorf("%s: want a previous statement and a reason of at most 500 bytes", w.Ref())
	}
	return w, nil
}

// CheckOpening checks that a statement opens the feed, and names the log key
// of the server that is asked to keep it.
func CheckOpening(st signing.Statement, id ID, epoch uint64, logKey []byte) error {
	o, err := parseOpening(st, id, epoch)
	if err != nil {
		return err
	}
	if string(o.LogKey) != string(logKey) {
		return fmt.Errorf("opening of %s: names another log key than this server's", id)
	}
	return nil
}
