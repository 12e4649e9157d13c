package receipts

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/tlog"

	"airlock/feed"
	"airlock/feed/feedtest"
	"airlock/internal/tsa"
	"airlock/signing"
	"airlock/storage"
	"airlock/trust"
)

// audited is a source with two packages, and a Space that gives receipts of
// them: each test says what becomes of them.
type audited struct {
	tb       testing.TB
	source   *feedtest.Author
	log      *feedtest.Tape // of the source
	back     *feedtest.Author
	receipts *feedtest.Tape
	tsa, own *tsa.Identity // the authority that is believed, and another one
	options  AuditOptions
	packages []feedtest.Signed

	stamp  func(signing.Attestation) []byte
	now    time.Time
	number int64
	last   *signing.ID
}

var told = feedtest.Now.Add(time.Hour) // when receipts are made

func newAudited(tb testing.TB) *audited {
	w := &audited{tb: tb, source: feedtest.NewAuthor(tb, "acme/dev-qa/shared"), back: feedtest.NewAuthor(tb, "acme/production/receipts"), now: told}
	w.log = feedtest.NewTape(w.source).Add(w.source.Opening()...)
	w.packages = []feedtest.Signed{w.source.Publish("file/a@1"), w.source.Publish("file/b@1")}
	w.log.Add(w.packages...)
	w.receipts = feedtest.NewTape(w.back).Add(w.back.Opening()...)
	var err error
	if w.tsa, err = tsa.NewIdentity("clock", feedtest.Now); err == nil {
		w.own, err = tsa.NewIdentity("other", feedtest.Now)
	}
	w.check(err)
	believed, err := signing.ParseAuthorities(w.tsa.RootPEM())
	w.check(err)
	w.options = AuditOptions{Authorities: believed, Due: 7 * 24 * time.Hour, Now: told.Add(24 * time.Hour)}
	w.stamp = w.stampBy(w.tsa, nil)
	return w
}

func (w *audited) check(err error) {
	w.tb.Helper()
	if err != nil {
		w.tb.Fatal(err)
	}
}

// stampBy stamps by an authority's key, over other bytes where they are given.
func (w *audited) stampBy(by *tsa.Identity, over []byte) func(signing.Attestation) []byte {
	return func(a signing.Attestation) []byte {
		message := a.Signature()
		if over != nil {
			message = over
		}
		token, err := tsa.New(by, func() time.Time { return w.now }).Stamp(w.tb.Context(), message)
		w.check(err)
		return token
	}
}

// receipt makes the next receipt, of a package that was applied; change may
// spoil it.
func (w *audited) receipt(n int, change func(*Receipt)) feedtest.Signed {
	w.tb.Helper()
	c := w.checkpoint()
	st, err := signing.ParseStatement(w.packages[n].Payload())
	w.check(err)
	w.number++
	ref := feedtest.ParseRef(st.SubjectName)
	r := Receipt{By: "bob", Checkpoint: string(c.Note), Epoch: 1, Feed: w.back.ID, Instance: instanceA, Lineage: w.back.Space.Lineage(), Number: w.number,
		Operation: "add", Outcome: Applied, Previous: w.last, Time: signing.FormatTime(w.now), Manifest: st.Subject,
		Publication: Publication{Epoch: 1, Feed: w.source.ID, Kind: ref.Kind, Lineage: w.source.Space.Lineage(), Name: ref.Name, Statement: w.packages[n].ID(), Version: ref.Version}}
	if change != nil {
		change(&r)
	}
	st, err = r.Statement()
	s := w.back.Sign(w.back.Space.Publisher, st, err)
	id := s.ID()
	w.last = &id
	if w.stamp != nil {
		s.Attestation, err = s.WithTimestamp(w.stamp(s.Attestation))
		w.check(err)
	}
	return s
}

func (w *audited) add(n int, change func(*Receipt)) { w.receipts.Add(w.receipt(n, change)) }

func follow(tb testing.TB, a *feedtest.Author, src feed.Source) (*feed.Follower, *feed.State, map[int64]error) {
	tb.Helper()
	f := a.Follower(src)
	s, report, err := f.Sync(tb.Context(), a.ID)
	if err != nil {
		tb.Fatal(err)
	}
	return f, s, report.Void
}

func (w *audited) report(before func(*Audit)) *Report {
	w.tb.Helper()
	a := NewAudit(w.options)
	f, s, void := follow(w.tb, w.back, w.receipts)
	w.check(a.Receipts(w.tb.Context(), f, s, void))
	if before != nil {
		before(a)
	}
	f, s, _ = follow(w.tb, w.source, w.log)
	w.check(a.Feed(w.tb.Context(), f, s))
	return a.Report()
}

func (w *audited) findings(before func(*Audit)) (out []string) {
	for _, f := range w.report(before).Findings {
		out = append(out, fmt.Sprintf("%s %s %s", f.Severity, f.Kind, f))
	}
	return out
}

const back = "acme/production/receipts entry "

// TestAudit makes each finding for real: signed by who it is about.
func TestAudit(t *testing.T) {
	for name, c := range map[string]struct {
		tell func(w *audited)
		want []string // parts of the findings, each in its own
	}{
		"clean": {func(w *audited) { w.add(0, nil); w.add(1, nil) }, nil},
		"gap":   {func(w *audited) { w.add(0, nil); w.receipt(1, nil); w.add(1, nil) }, []string{"difference gap acme/production/receipts: receipts 2 to 2"}},
		"number twice": {func(w *audited) {
			w.add(0, nil)
			w.number, w.last = 0, nil
			w.add(1, nil)
		}, []string{"difference twice number 1 of instance"}},
		"chain": {func(w *audited) {
			w.add(0, nil)
			w.add(1, func(r *Receipt) { r.Previous = id("elsewhere") })
		}, []string{"difference chain " + back + "3"}},
		"malformed": {func(w *audited) {
			w.add(0, nil)
			st, err := signing.ParseStatement(w.receipt(1, nil).Payload())
			w.check(err)
			st.Predicate = fmt.Appendf(nil, `{"epoch":1,"feed":%q,"lineage":%q}`, w.back.ID, w.back.Space.Lineage())
			w.receipts.Add(w.back.Sign(w.back.Space.Publisher, st, nil))
		}, []string{"difference malformed " + back + "3", "unanswered"}},
		"no such publication": {func(w *audited) {
			w.add(0, nil)
			w.add(1, func(r *Receipt) { r.Publication.Statement = *id("elsewhere") })
		}, []string{"difference orphan " + back + "3: names a statement about file/b@1 that acme/dev-qa/shared does not hold", "unanswered"}},
		"another package": {func(w *audited) { w.add(0, nil); w.add(1, func(r *Receipt) { r.Publication.Name = "c" }) },
			[]string{"orphan " + back + "3: speaks of file/c@1, and the entry that it names of file/b@1"}},
		"another manifest": {func(w *audited) { w.add(0, nil); w.add(1, func(r *Receipt) { r.Manifest = *digest("other") }) },
			[]string{"orphan " + back + "3: speaks of file/b@1 with manifest"}},
		"another lineage": {func(w *audited) {
			w.add(0, nil)
			w.add(1, func(r *Receipt) { r.Publication.Lineage = trust.Lineage(*digest("other")) })
		}, []string{"orphan " + back + "3: names the lineage"}},
		"before it was there": {func(w *audited) {
			w.add(0, nil)
			w.add(1, func(r *Receipt) { r.Checkpoint = w.noteAt(3) })
		}, []string{"orphan " + back + "3: names entry 3, and a log of 3 entries"}},
		"no receipt": {func(w *audited) { w.add(0, nil) },
			[]string{"difference unanswered acme/dev-qa/shared entry 3: file/b@1 was published on 2026-02-03T04:05:06Z"}},
		"answered by the next version": {func(w *audited) {
			w.packages = append(w.packages, w.source.Publish("file/b@2"))
			w.log.Add(w.packages[2])
			w.add(0, nil)
			w.add(2, nil)
		}, nil},
		"withdrawn": {func(w *audited) {
			w.add(0, nil)
			w.log.Add(w.source.Withdraw("file/b@1"))
			w.add(1, nil)
		}, []string{"contradiction " + back + "3: says applied of file/b@1, which was withdrawn in the log that it names"}},
		"withdrawn later": {func(w *audited) { w.add(0, nil); w.add(1, nil); w.log.Add(w.source.Withdraw("file/b@1")) }, nil},
		"finished before it began": {func(w *audited) {
			w.add(0, nil)
			w.add(1, func(r *Receipt) { r.Started, r.Finished = "2026-02-03T05:05:06Z", "2026-02-03T05:00:06Z" })
		}, []string{"contradiction " + back + "3: was finished at"}},
		"made before it was finished": {func(w *audited) {
			w.add(0, nil)
			w.add(1, func(r *Receipt) { r.Started, r.Finished = "2026-02-03T05:05:06Z", "2026-02-03T05:06:06Z" })
		}, []string{"contradiction " + back + "3: was made at"}},
		"no stamp": {func(w *audited) { w.add(0, nil); w.stamp = nil; w.add(1, nil) }, []string{"difference unstamped " + back + "3"}},
		"stamp over another signature": {func(w *audited) {
			w.add(0, nil)
			w.stamp = w.stampBy(w.tsa, []byte("another signature"))
			w.add(1, nil)
		}, []string{"forged token " + back + "3"}},
		"stamp by another authority": {func(w *audited) { w.add(0, nil); w.stamp = w.stampBy(w.own, nil); w.add(1, nil) },
			[]string{"untrusted token " + back + "3"}},
		"clock ahead": {func(w *audited) {
			w.add(0, nil)
			w.add(1, func(r *Receipt) { r.Time = signing.FormatTime(w.now.Add(time.Hour)) })
		}, []string{"difference clock " + back + "3: says that it was made at 2026-02-03T06:05:06Z, and was not after 2026-02-03T05:05:0"}},
		"dated back": {func(w *audited) {
			w.add(0, nil)
			w.add(1, func(r *Receipt) { r.Time = "2026-02-01T00:00:00Z" })
		}, []string{"difference clock " + back + "3: says that it was made at 2026-02-01T00:00:00Z, and was not before 2026-02-03T04:05:06Z"}},
		"by a key that was dropped": {func(w *audited) {
			w.add(0, nil)
			alice := w.back.Space.Publisher
			w.back.Space.Next(func(id *trust.Identity) { w.back.Space.Drop(id, alice) })
			w.receipts.Add(w.back.Identity(2)...)
			w.add(1, nil)
		}, []string{"untrusted void " + back + "4: does not count", "unanswered"}},
		"by a key that was revoked": {func(w *audited) {
			w.add(0, nil)
			w.add(1, nil)
			alice := w.back.Space.Publisher
			w.back.Space.Next(func(id *trust.Identity) {
				w.back.Space.Revoke(id, alice, trust.Position{Feed: w.back.ID.String(), Epoch: 1, Index: 3})
			})
			w.receipts.Add(w.back.Identity(2)...)
		}, []string{"untrusted void " + back + "3: does not count", "unanswered"}},
		"a checkpoint that nobody signed": {func(w *audited) {
			w.add(0, nil)
			w.add(1, func(r *Receipt) { r.Checkpoint = w.signed(feedtest.Key(9), 4, "anything") })
		}, []string{"forged note " + back + "3", "forked fork log e1.shared"}},
		"a fork": {func(w *audited) {
			w.add(0, nil)
			w.add(1, func(r *Receipt) { r.Checkpoint = w.signed(w.source.Key, 4, "another root") })
		}, []string{"forked fork log e1.shared.dev-qa.acme.airlock.example was shown with two roots at size 4: to " + back + "2 and to " + back + "3",
			"forked fork log e1.shared.dev-qa.acme.airlock.example was shown with two roots at size 4: to " + back + "3 and to acme/dev-qa/shared as it is read here"}},
		"a longer log elsewhere": {func(w *audited) {
			w.add(0, nil)
			w.add(1, func(r *Receipt) { r.Checkpoint = w.signed(w.source.Key, 9, "another root") })
		}, []string{"incomplete behind " + back + "3: was shown 9 entries of acme/dev-qa/shared, and here are 4"}},
	} {
		t.Run(name, func(t *testing.T) {
			w := newAudited(t)
			w.options.Now = told.AddDate(0, 1, 0)
			c.tell(w)
			got := w.findings(nil)
			if len(got) != len(c.want) {
				t.Fatalf("got %q\nwant %q", got, c.want)
			}
			for _, want := range c.want {
				if !slices.ContainsFunc(got, func(f string) bool { return strings.Contains(f, want) }) {
					t.Errorf("got %q\nwant %q", got, want)
				}
			}
		})
	}
}

// signed is a checkpoint of the source's log by any key.
func (w *audited) signed(key feed.LogKey, size int64, root string) string {
	c, err := key.Sign(w.source.ID.Origin(1), size, tlog.Hash(storage.DigestOf([]byte(root))))
	w.check(err)
	return string(c.Note)
}

// noteAt is the checkpoint that the source's log had at a size.
func (w *audited) noteAt(size int64) string {
	c, err := w.log.First(size).Checkpoint(w.tb.Context(), w.source.ID)
	w.check(err)
	return string(c.Note)
}

// What others were shown of either log is held against it, too.
func TestAuditSightings(t *testing.T) {
	w := newAudited(t)
	w.add(0, nil)
	w.add(1, nil)
	got := w.findings(func(a *Audit) {
		c, err := w.back.Key.Sign(w.back.ID.Origin(1), 3, tlog.Hash(*digest("another root")))
		w.check(err)
		a.Saw(c, Place{w.source.ID, 7})
		c, err = w.source.Key.Sign(w.source.ID.Origin(1), 2, tlog.Hash(*digest("another root")))
		w.check(err)
		a.Saw(c, Place{w.source.ID, Remembered})
	})
	want := []string{"forked fork log e1.shared.dev-qa.acme.airlock.example was shown with two roots at size 2: to acme/dev-qa/shared as it was seen here before and to acme/dev-qa/shared as it is read here",
		"forked fork log e1.receipts.production.acme.airlock.example was shown with two roots at size 3: to acme/dev-qa/shared entry 7 and to acme/production/receipts as it is read here"}
	if !slices.Equal(got, want) {
		t.Errorf("%q", got)
	}
}

// TestBounds: each receipt was made between what it names and what names it.
func TestBounds(t *testing.T) {
	w := newAudited(t)
	w.add(0, nil)
	w.stamp = nil
	w.add(1, nil) // bounded by the next
	w.stamp = w.stampBy(w.tsa, nil)
	w.log.Add(w.source.Holdings("2026-02-03T05:00:00Z", w.checkpoint()))
	w.add(0, nil)
	w.now = w.now.Add(time.Hour)
	w.add(0, func(r *Receipt) { r.Checkpoint = w.noteAt(4) }) // an old log, named by a receipt that follows newer ones
	r := w.report(nil)
	var got []string
	for _, rec := range r.Receipts {
		got = append(got, OptionalTime(rec.NotBefore.Time)+" "+rec.NotBefore.Why, OptionalTime(rec.NotAfter.Time)+" "+rec.NotAfter.Why)
	}
	want := []string{
		"2026-02-03T04:05:06Z the log that it names holds acme/dev-qa/shared entry 2, signed then by its source", "2026-02-03T05:05:07Z time stamp by CN=clock time authority",
		"2026-02-03T04:05:06Z the log that it names holds acme/dev-qa/shared entry 2, signed then by its source", "2026-02-03T05:05:07Z receipt 3 follows it, which was not made after then",
		"2026-02-03T05:00:00Z the log that it names holds acme/dev-qa/shared entry 4, signed then by its source", "2026-02-03T05:05:07Z time stamp by CN=clock time authority",
		"2026-02-03T05:00:00Z it follows receipt 3, which was not made before then", "2026-02-03T06:05:07Z time stamp by CN=clock time authority",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
}

func (w *audited) checkpoint() feed.Checkpoint {
	c, err := w.log.Checkpoint(w.tb.Context(), w.source.ID)
	w.check(err)
	return c
}

// What is outside of the range is not reported; what is wrong with the numbers
// is, whatever the range.
func TestAuditRange(t *testing.T) {
	w := newAudited(t)
	w.add(0, nil)
	w.receipt(0, nil)
	w.stamp = nil
	w.add(1, nil)
	w.stamp, w.now = w.stampBy(w.tsa, nil), w.now.AddDate(0, 0, 3)
	w.add(1, nil)
	w.options.Until = told.Add(-2 * time.Hour)
	if r := w.report(nil); len(r.Receipts) != 0 || len(r.Findings) != 1 || r.Findings[0].Kind != Gap {
		t.Errorf("%d receipts, %v", len(r.Receipts), r.Findings)
	}
	w.options.Since, w.options.Until = told.AddDate(0, 0, 2), time.Time{}
	if r := w.report(nil); len(r.Receipts) != 2 || r.Receipts[0].Number != 3 || len(r.Findings) != 2 {
		t.Errorf("%d receipts, %v", len(r.Receipts), r.Findings)
	}
}

// resigned is a source that shows another statement's signature once it was
// read: what is handed out the second time was not verified.
type resigned struct {
	*feedtest.Tape
	after int
	with  []byte // the last entry, another time
}

func (r *resigned) Segments(ctx context.Context, id feed.ID, from, to int64) iter.Seq2[feed.Segment, error] {
	return func(yield func(feed.Segment, error) bool) {
		for s, err := range r.Tape.Segments(ctx, id, from, to) {
			if r.after--; r.after < 0 && err == nil {
				s.Statements = append(slices.Clone(s.Statements[:len(s.Statements)-1]), r.with)
			}
			if !yield(s, err) {
				return
			}
		}
	}
}

func TestAuditReadsTheSameTwice(t *testing.T) {
	w := newAudited(t)
	s := w.receipt(0, nil)
	w.receipts.Add(s)
	st, err := signing.ParseStatement(s.Payload())
	w.check(err)
	again := w.back.Sign(w.back.Space.Publisher, st, nil) // ECDSA is randomised
	f := w.back.Follower(&resigned{w.receipts, 1, again.Bytes()})
	state, _, err := f.Sync(t.Context(), w.back.ID)
	w.check(err)
	if err := NewAudit(w.options).Receipts(t.Context(), f, state, nil); !errors.Is(err, feed.ErrRoot) {
		t.Errorf("%v", err)
	}
}

// A receipt that does not name the one after which it is numbered bounds
// nothing but itself.
func TestBoundsBrokenChain(t *testing.T) {
	w := newAudited(t)
	w.stamp = nil
	w.add(0, nil)
	w.stamp = w.stampBy(w.tsa, nil)
	w.add(1, func(r *Receipt) { r.Previous = id("elsewhere") })
	if r := w.report(nil).Receipts[0]; !r.NotAfter.Time.IsZero() || !strings.Contains(r.NotAfter.Why, "neither it nor") {
		t.Errorf("%v", r.NotAfter)
	}
}
