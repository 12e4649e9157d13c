// Package receipts is what a receiving Space gives back: signed accounts of
// what it did with a package, and the ledger that holds them against each other.
//
// Receipts are statements of kind receipt in the receiver's own feed named
// [Feed], so one log, one verifier and one transport carry them. They name
// people, and are never served without a credential.
//
// # Receipt
//
// The subject is the manifest of the package, the subject's name
// "<kind>/<name>@<version>". The predicate, canonical JSON as everywhere, with
// these members in this order, ? marking those that may be absent
// (testdata/receipt.json is one):
//
//	bundle?      SHA-256 of the manifest of the bundle that brought the package
//	by?          who acted, 1 to 256 bytes
//	checkpoint   the checkpoint note of the package's feed that was acted on,
//	             verbatim: two Spaces that were shown different logs find out
//	critical?    as in every predicate
//	environment? where, 1 to 256 bytes
//	epoch        of the receipts feed
//	feed         the receipts feed
//	finished?    RFC 3339, UTC: when it was done, by the receiver's clock
//	instance     the installation, 32 hexadecimal digits at random
//	lineage      of the receiver
//	log?         {digest?, url?}: a log of the work, its SHA-256, where it lies
//	number       1, 2, 3 … in the instance, each once
//	operation?   add, change or remove, of an apply
//	outcome      imported, verified, applied, deployed, failed or rejected
//	previous?    statement id of the receipt before; absent in number 1
//	publication  {epoch, feed, kind, lineage, name, statement, version}: the
//	             entry that was acted on, a publication or a withdrawal
//	reason?      why, 1 to 1,000 bytes; never absent where failed or rejected
//	started?     RFC 3339, UTC
//	targets?     machines or folders, 1 to 32 of 1 to 128 bytes, sorted, each once
//	time         RFC 3339, UTC: when the receipt was made, by the receiver's clock
//
// Texts are printable UTF-8.
package receipts

import (
	"encoding/hex"
	"fmt"
	"net/url"
	"slices"
	"time"

	"airlock/feed"
	"airlock/signing"
	"airlock/storage"
	"airlock/trust"
)

// Feed is the name of the feed with a Space's receipts.
const Feed = feed.ReceiptsName

// Bounds of a receipt, in bytes but for MaxTargets.
const (
	MaxText    = 256 // by, environment
	MaxReason  = 1000
	MaxTarget  = 128
	MaxTargets = 32
	MaxURL     = 1024
)

// Outcome is what became of a package.
type Outcome string

// The outcomes.
const (
	Imported Outcome = "imported" // taken in, to be served on
	Verified Outcome = "verified"
	Applied  Outcome = "applied" // handed to its target, which took it
	Deployed Outcome = "deployed"
	Failed   Outcome = "failed"   // the target did not take it
	Rejected Outcome = "rejected" // the policy keeps it out
)

// Outcomes lists all of them.
var Outcomes = []Outcome{Imported, Verified, Applied, Deployed, Failed, Rejected}

// Receipt is the predicate; see the package documentation.
type Receipt struct {
	Bundle      *storage.Digest `json:"bundle,omitempty"`
	By          string          `json:"by,omitempty"`
	Checkpoint  string          `json:"checkpoint"`
	Critical    bool            `json:"critical,omitempty"`
	Environment string          `json:"environment,omitempty"`
	Epoch       uint64          `json:"epoch"`
	Feed        feed.ID         `json:"feed"`
	Finished    string          `json:"finished,omitempty"`
	Instance    string          `json:"instance"`
	Lineage     trust.Lineage   `json:"lineage"`
	Log         *Log            `json:"log,omitempty"`
	Number      int64           `json:"number"`
	Operation   string          `json:"operation,omitempty"`
	Outcome     Outcome         `json:"outcome"`
	Previous    *signing.ID     `json:"previous,omitempty"`
	Publication Publication     `json:"publication"`
	Reason      string          `json:"reason,omitempty"`
	Started     string          `json:"started,omitempty"`
	Targets     []string        `json:"targets,omitempty"`
	Time        string          `json:"time"`

	// Manifest is the statement's subject, no member of the predicate.
	Manifest storage.Digest `json:"-"`
}

// Log is where a log of the work is.
type Log struct {
	Digest *storage.Digest `json:"digest,omitempty"`
	URL    string          `json:"url,omitempty"`
}

// Publication is the entry that was acted on.
type Publication struct {
	Epoch     uint64        `json:"epoch"`
	Feed      feed.ID       `json:"feed"`
	Kind      string        `json:"kind"`
	Lineage   trust.Lineage `json:"lineage"` // of the publisher
	Name      string        `json:"name"`
	Statement signing.ID    `json:"statement"`
	Version   string        `json:"version"`
}

// Ref returns the package.
func (p Publication) Ref() feed.Ref { return feed.Ref{Kind: p.Kind, Name: p.Name, Version: p.Version} }

// Statement returns the statement of a receipt; an error names the member that
// is not as it must be.
func (r Receipt) Statement() (signing.Statement, error) {
	if err := r.check(); err != nil {
		return signing.Statement{}, err
	}
	raw, err := signing.MarshalCanonical(r)
	return signing.Statement{Kind: signing.Receipt, Subject: r.Manifest, SubjectName: r.Publication.Ref().String(), Predicate: raw}, err
}

// Parse reads the predicate of a statement of kind receipt. Whether the
// statement counts is for whoever verified it.
func Parse(st signing.Statement) (Receipt, error) {
	r := Receipt{Manifest: st.Subject}
	if st.Kind != signing.Receipt {
		return r, fmt.Errorf("receipt: a statement of kind %s", st.Kind)
	}
	if err := signing.UnmarshalCanonical(st.Predicate, &r); err != nil {
		return r, fmt.Errorf("receipt: %w", err)
	}
	if err := r.check(); err != nil {
		return r, err
	}
	if want := r.Publication.Ref().String(); st.SubjectName != want {
		return r, fmt.Errorf("receipt %d: subject name is %.200q, want %q", r.Number, st.SubjectName, want)
	}
	return r, nil
}

func (r Receipt) check() error {
	fail := func(member, format string, args ...any) error {
		return fmt.Errorf("receipt %d: %s: %s", r.Number, member, fmt.Sprintf(format, args...))
	}
	if r.Feed.Name != Feed {
		return fail("feed", "%s is not named %s", r.Feed, Feed)
	}
	if !IsInstance(r.Instance) {
		return fail("instance", "%.60q is not 32 hexadecimal digits", r.Instance)
	}
	if r.Number < 1 || (r.Number == 1) != (r.Previous == nil) {
		return fail("previous", "number 1 follows none, every other number the receipt before")
	}
	if !slices.Contains(Outcomes, r.Outcome) {
		return fail("outcome", "%.60q is not one of %v", r.Outcome, Outcomes)
	}
	if r.Operation != "" && !slices.Contains([]string{"add", "change", "remove"}, r.Operation) {
		return fail("operation", "%.60q is not one of add, change, remove", r.Operation)
	}
	if r.Manifest.IsZero() {
		return fail("subject", "no manifest")
	}
	if err := r.Publication.Ref().Check(); err != nil {
		return fail("publication", "%v", err)
	}
	// The note speaks of the very feed that holds the publication.
	c, err := feed.ParseCheckpoint([]byte(r.Checkpoint))
	if err != nil || c.Origin != r.Publication.Feed.Origin(r.Publication.Epoch) {
		return fail("checkpoint", "is no checkpoint of %s, epoch %d", r.Publication.Feed, r.Publication.Epoch)
	}
	if (r.Outcome == Failed || r.Outcome == Rejected) && r.Reason == "" {
		return fail("reason", "is missing where the outcome is %s", r.Outcome)
	}
	if err := r.checkTexts(fail); err != nil {
		return err
	}
	return r.checkTimes(fail)
}

type failer func(member, format string, args ...any) error

func (r Receipt) checkTexts(fail failer) error {
	texts := []struct {
		member, text string
		most         int
	}{{"by", r.By, MaxText}, {"environment", r.Environment, MaxText}, {"reason", r.Reason, MaxReason}}
	for _, t := range r.Targets {
		texts = append(texts, struct {
			member, text string
			most         int
		}{"targets", t, MaxTarget})
	}
	for _, t := range texts {
		if err := signing.CheckText(t.text, t.most); err != nil {
			return fail(t.member, "%w", err)
		}
	}
	if len(r.Targets) > MaxTargets {
		return fail("targets", "%d, at most %d are allowed", len(r.Targets), MaxTargets)
	}
	for i, t := range r.Targets {
		if t == "" || i > 0 && r.Targets[i-1] >= t {
			return fail("targets", "%.60q is empty, out of order or given twice", t)
		}
	}
	if r.Log == nil {
		return nil
	}
	if u, err := url.Parse(r.Log.URL); err != nil || r.Log.URL != "" && u.Scheme != "https" && u.Scheme != "http" || signing.CheckText(r.Log.URL, MaxURL) != nil {
		return fail("log", "url %.60q is not an http or https URL of at most %d bytes", r.Log.URL, MaxURL)
	}
	if r.Log.URL == "" && r.Log.Digest == nil {
		return fail("log", "neither a digest nor a URL")
	}
	return nil
}

func (r Receipt) checkTimes(fail failer) error {
	for _, t := range []struct{ member, text string }{{"time", r.Time}, {"started", r.Started}, {"finished", r.Finished}} {
		if t.text == "" && t.member != "time" {
			continue
		}
		if _, err := signing.ParseTime(t.text); err != nil {
			return fail(t.member, "%w", err)
		}
	}
	return nil
}

// OptionalTime is signing.FormatTime, and "" for the zero time.
func OptionalTime(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return signing.FormatTime(t)
}

// IsInstance reports whether s may be the id of an instance.
func IsInstance(s string) bool {
	b, err := hex.DecodeString(s)
	return err == nil && len(b) == 16 && hex.EncodeToString(b) == s
}
