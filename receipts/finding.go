package receipts

import (
	"errors"
	"fmt"

	"airlock/signing"
	"airlock/trust"
)

// FindingKind says what a finding is.
type FindingKind string

// The findings of a ledger.
const (
	Gap       FindingKind = "gap"       // numbers of an instance are missing
	Twice     FindingKind = "twice"     // a number names two statements
	Chain     FindingKind = "chain"     // a receipt does not follow the one before
	Malformed FindingKind = "malformed" // an entry of the kind is no receipt
	Fork      FindingKind = "fork"      // two roots of one log at one size were seen
)

// The findings that an audit adds: it has the feeds that receipts speak of.
const (
	Void          FindingKind = "void"          // an entry of the receipts feed does not count
	Note          FindingKind = "note"          // a checkpoint that the log never signed
	Orphan        FindingKind = "orphan"        // a receipt of what its feed does not hold
	Unanswered    FindingKind = "unanswered"    // a publication without a receipt past its time
	Contradiction FindingKind = "contradiction" // a receipt says what cannot be
	Clock         FindingKind = "clock"         // its own time is outside of what others prove
	Token         FindingKind = "token"         // a time stamp does not hold
	Unstamped     FindingKind = "unstamped"     // a receipt without a time stamp
	Behind        FindingKind = "behind"        // a longer log was shown elsewhere
	Unchecked     FindingKind = "unchecked"     // what it takes to check was not there
)

// Severity says what a finding means for who relies on the evidence.
type Severity string

// The severities, the worst first.
const (
	Forged     Severity = "forged"     // somebody made up a part of it
	Forked     Severity = "forked"     // a log said two things
	Untrusted  Severity = "untrusted"  // signed by who may not
	Difference Severity = "difference" // what was said does not add up
	Incomplete Severity = "incomplete" // a part could not be checked
)

// Severities lists them, the worst first.
var Severities = []Severity{Forged, Forked, Untrusted, Difference, Incomplete}

// Finding is something that an honest receiver and an honest log do not do, or
// what could not be checked.
type Finding struct {
	Kind     FindingKind
	Severity Severity
	Instance string // of Gap, Twice and Chain
	From, To int64  // numbers, To included; the size where Kind is Fork
	Origin   string // of a log, where Kind is Fork, Note or Behind
	// A and B are where the two sides stand; B is zero where there is one.
	A, B Place
	// NoteA and NoteB are the checkpoint notes of a Fork, verbatim.
	NoteA, NoteB string
	Why          string // of kinds that have no text of their own
}

// Remembered as the Index of a Place stands for what was seen of the feed here
// at another time.
const Remembered = -1

// String names an entry. Entry 0 opens a feed and is nobody's receipt: it stands
// for the feed as it is read now.
func (p Place) String() string {
	switch p.Index {
	case 0:
		return fmt.Sprintf("%s as it is read here", p.Feed)
	case Remembered:
		return fmt.Sprintf("%s as it was seen here before", p.Feed)
	}
	return fmt.Sprintf("%s entry %d", p.Feed, p.Index)
}

func (f Finding) String() string {
	switch f.Kind {
	case Gap:
		return fmt.Sprintf("%s: receipts %d to %d of instance %s are missing", f.A.Feed, f.From, f.To, f.Instance)
	case Twice:
		return fmt.Sprintf("number %d of instance %s was used twice: %s and %s", f.From, f.Instance, f.A, f.B)
	case Chain:
		return fmt.Sprintf("%s: receipt %d of instance %s does not follow receipt %d, %s", f.A, f.From, f.Instance, f.From-1, f.B)
	case Fork:
		if f.Why != "" { // both sides are the same feed, read at two places
			break
		}
		return fmt.Sprintf("log %s was shown with two roots at size %d: to %s and to %s", f.Origin, f.From, f.A, f.B)
	}
	if f.A.Index <= 0 {
		return fmt.Sprintf("%s: %s", f.A.Feed, f.Why)
	}
	return fmt.Sprintf("%s: %s", f.A, f.Why)
}

func forked(origin string, size int64, a, b sighting) Finding {
	return Finding{Kind: Fork, Severity: Forked, Origin: origin, From: size, To: size, A: a.by, B: b.by, NoteA: a.note, NoteB: b.note}
}

// severityOf sorts why a statement does not count.
func severityOf(err error) Severity {
	switch {
	case errors.Is(err, signing.ErrBadSignature), errors.Is(err, signing.ErrNotCanonical), errors.Is(err, trust.ErrMalformed):
		return Forged
	case errors.Is(err, trust.ErrUntrusted):
		return Untrusted
	}
	return Difference
}
