package receipts

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"slices"
	"time"

	"golang.org/x/mod/sumdb/tlog"

	"airlock/feed"
	"airlock/signing"
	"airlock/storage"
	"airlock/trust"
)

// AuditOptions say what an audit goes by.
type AuditOptions struct {
	// Authorities are the time authorities that are believed; nil for none.
	Authorities *signing.Authorities
	// Due is how long a publication may be without a receipt; 0 asks for none.
	Due time.Duration
	Now time.Time
	// Since and Until bound what is reported, by when it can have been; zero
	// where there is no bound.
	Since, Until time.Time
}

// Audit holds the receipts of one Space against the feeds that they speak of:
// first Receipts, then Feed for each of Wanted, then Report. It is not for
// concurrent use.
type Audit struct {
	options     AuditOptions
	ledger      *Ledger
	feed        *feed.State // with the receipts
	leaves      []tlog.Hash // of that feed
	records     []Record
	answeredFor map[signing.ID]bool // publications that receipts speak of
	sources     map[source]*answered
	found       []Finding
	unheld      int // stamps that nobody here believes
	texts       texts
}

// source is a feed that receipts speak of.
type source struct {
	id    feed.ID
	epoch uint64
}

// answered is what a feed holds, as far as receipts are concerned.
type answered struct {
	lineage trust.Lineage
	signed  []signedAt // rising
	read    bool
}

// Record is a receipt as an audit reports it.
type Record struct {
	Place
	ID               signing.ID
	Number           int64
	Instance         string
	Publication      Publication
	PublicationEntry int64 // 0 where the feed does not have it
	Manifest         storage.Digest
	Outcome          Outcome
	Operation        string
	Environment      string
	Targets          []string
	By, Reason       string
	Person           string
	Key              storage.Digest
	Bundle           *storage.Digest
	Seen             int64 // size of the log that was acted on
	// Time is when it was made by the signer's own clock. What others prove is
	// that it was not made before NotBefore, nor after NotAfter.
	Time                string
	NotBefore, NotAfter Bound

	previous *signing.ID
	stamped  Bound
}

// Bound is one end of the time in which a receipt was made, and why. A zero
// Time is no bound, and Why says what is missing.
type Bound struct {
	Time time.Time
	Why  string
}

// NewAudit returns an audit that has read nothing.
func NewAudit(o AuditOptions) *Audit {
	return &Audit{options: o, ledger: NewLedger(), answeredFor: map[signing.ID]bool{}, sources: map[source]*answered{}, texts: texts{}}
}

// Receipts reads the receipts feed that f has just followed; void is what it
// found that does not count.
func (a *Audit) Receipts(ctx context.Context, f *feed.Follower, s *feed.State, void map[int64]error) error {
	a.feed = s
	count := 0
	for row := range s.Index.Rows(0) {
		if row.Void != "" {
			why := void[row.Index]
			a.find(Finding{Kind: Void, Severity: severityOf(why), A: Place{s.ID, row.Index}, Why: "does not count: " + row.Void})
		} else {
			count++
		}
	}
	a.records = make([]Record, 0, count)
	err := walk(ctx, f, s, a.readReceipt, func(w *walked, _ *feed.Edge) error {
		a.leaves = append(a.leaves, w.leaf)
		if got, ok := w.read.(readReceipt); ok {
			a.take(w, got)
		}
		return nil
	})
	if err == nil && a.unheld > 0 {
		a.find(Finding{Kind: Unchecked, Severity: Incomplete, A: Place{Feed: s.ID}, Why: fmt.Sprintf("%d time stamps were not checked: no time authority is believed here", a.unheld)})
	}
	return err
}

// readReceipt is a receipt and its time stamp, each with what is wrong with it.
type readReceipt struct {
	receipt   Receipt
	malformed error
	stamp     signing.Stamp
	unstamped error
}

func (a *Audit) readReceipt(w *walked) {
	if !isReceipt(w.row) {
		return
	}
	var got readReceipt
	got.receipt, got.malformed = Parse(w.verified.Statement())
	switch {
	case a.options.Authorities != nil:
		got.stamp, got.unstamped = a.options.Authorities.Verify(w.att)
	case w.att.Timestamp() == nil:
		got.unstamped = signing.ErrNoTimestamp
	default:
		got.unstamped = errUnheld
	}
	w.read = got
}

var errUnheld = errors.New("no time authority is believed here")

// take adds a receipt.
func (a *Audit) take(w *walked, got readReceipt) {
	e, ok := a.ledger.take(Place{a.feed.ID, w.row.Index}, w.verified, got.receipt, got.malformed)
	if !ok {
		return
	}
	r, place := e.Receipt, e.Place
	rec := Record{
		Place: place, ID: e.ID, Number: r.Number, Instance: a.texts.one(r.Instance), Publication: r.Publication, Manifest: r.Manifest,
		Outcome: r.Outcome, Operation: a.texts.one(r.Operation), Environment: a.texts.one(r.Environment), Targets: a.texts.all(r.Targets),
		By: a.texts.one(r.By), Reason: a.texts.one(r.Reason), Person: a.texts.one(e.Person), Key: e.Key, Bundle: r.Bundle,
		Time: r.Time, previous: r.Previous,
	}
	p := &rec.Publication
	p.Kind, p.Name, p.Version, p.Feed = a.texts.one(p.Kind), a.texts.one(p.Name), a.texts.one(p.Version), a.texts.feed(p.Feed)
	if c, err := feed.ParseCheckpoint([]byte(r.Checkpoint)); err == nil { // Parse has seen to it
		rec.Seen = c.Size
	}
	rec.stamped = a.stamped(place, got)
	a.contradicts(place, r)
	at := source{r.Publication.Feed, r.Publication.Epoch}
	if a.sources[at] == nil {
		a.sources[at] = &answered{lineage: r.Publication.Lineage}
	}
	a.answeredFor[r.Publication.Statement] = true
	a.records = append(a.records, rec)
}

// stamped returns the bound that a receipt's own time stamp sets.
func (a *Audit) stamped(place Place, got readReceipt) Bound {
	switch err := got.unstamped; {
	case err == nil:
		return Bound{got.stamp.Time.Add(got.stamp.Accuracy), a.texts.one("time stamp by " + got.stamp.Authority)}
	case errors.Is(err, errUnheld):
		a.unheld++
	case errors.Is(err, signing.ErrNoTimestamp):
		a.find(Finding{Kind: Unstamped, Severity: Difference, A: place, Why: "carries no time stamp"})
	default:
		severity := Forged
		if _, unknown := errors.AsType[x509.UnknownAuthorityError](err); unknown {
			severity = Untrusted
		}
		a.find(Finding{Kind: Token, Severity: severity, A: place, Why: err.Error()})
	}
	return Bound{}
}

// contradicts looks for what a receipt says against itself.
func (a *Audit) contradicts(place Place, r Receipt) {
	// Texts of one form and zone compare as times do.
	if r.Started != "" && r.Finished != "" && r.Finished < r.Started {
		a.contradiction(place, Place{}, "was finished at %s, before it was started at %s", r.Finished, r.Started)
	}
	if r.Finished != "" && r.Time < r.Finished {
		a.contradiction(place, Place{}, "was made at %s, before the work was finished at %s", r.Time, r.Finished)
	}
}

func (a *Audit) contradiction(place, other Place, format string, args ...any) {
	a.find(Finding{Kind: Contradiction, Severity: Difference, A: place, B: other, Why: fmt.Sprintf(format, args...)})
}

func (a *Audit) find(f Finding) { a.found = append(a.found, f) }

// Saw adds a checkpoint that somebody else was shown, of any log.
func (a *Audit) Saw(c feed.Checkpoint, by Place) { a.ledger.Saw(c, by) }

// Found adds what the caller found: a feed that could not be read, a fork that
// its follower met.
func (a *Audit) Found(f Finding) { a.find(f) }

// Wanted is a feed that receipts speak of.
type Wanted struct {
	ID      feed.ID
	Lineage trust.Lineage
	Epoch   uint64
}

// Wanted returns the feeds that the receipts speak of, in the order of their
// names.
func (a *Audit) Wanted() []Wanted {
	var out []Wanted
	for at, s := range a.sources {
		out = append(out, Wanted{at.id, s.lineage, at.epoch})
	}
	slices.SortFunc(out, compareWanted)
	return out
}

// texts keeps one copy of each text: a hundred thousand receipts say the same
// few things.
type texts map[string]string

func (t texts) one(s string) string {
	if have, ok := t[s]; ok {
		return have
	}
	t[s] = s
	return s
}

func (t texts) all(list []string) []string {
	for i, s := range list {
		list[i] = t.one(s)
	}
	return list
}

func (t texts) feed(id feed.ID) feed.ID {
	return feed.ID{Space: trust.Space{Organisation: t.one(id.Space.Organisation), Name: t.one(id.Space.Name)}, Name: t.one(id.Name)}
}
