package feed_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"golang.org/x/mod/sumdb/tlog"

	"airlock/feed"
	"airlock/feed/feedtest"
	"airlock/signing"
	"airlock/storage"
)

// TestFollow reads a feed from a log, as a newcomer and step by step, and gets
// its packages.
func TestFollow(t *testing.T) {
	w := feedtest.New(t, storage.NewMem())
	f := w.Follower(w.Source())
	s, report := sync(t, f, w.ID)
	if report.From != 0 || report.To != 2 || s.Edge.Size() != 2 {
		t.Errorf("first: %+v", report)
	}
	w.Publish("file/a@1", feedtest.Text("a.txt", "one"), feedtest.Text("b.txt", "two"))
	w.Publish("file/a@2")
	w.Withdraw("file/a@1")
	f = later(t, f, w.Source())
	s, report = sync(t, f, w.ID)
	if report.From != 2 || report.To != 5 || len(report.Void) > 0 {
		t.Errorf("second: %+v", report)
	}
	if row, ok := s.Index.State(feedtest.ParseRef("file/a@1")); !ok || row.What != feed.IsWithdrawal {
		t.Errorf("file/a@1 is %v", row)
	}
	var got []string
	err := f.Fetch(t.Context(), s, []feed.Row{s.Index.Row(2), s.Index.Row(3)}, func(p *feed.Package) error {
		for i, l := range p.Manifest.Layers {
			text, err := feedtest.ReadAll(t.Context(), p, i)
			got = append(got, l.Path+"="+text)
			if err != nil {
				return err
			}
		}
		return nil
	})
	if want := []string{"a.txt=one", "b.txt=two", "content=file/a@2"}; err != nil || !slices.Equal(got, want) {
		t.Errorf("got %q, %v; want %q", got, err, want)
	}
	before := stateOf(t, f, w.ID)
	if _, report = sync(t, f, w.ID); report.From != 5 || report.To != 5 || stateOf(t, f, w.ID) != before {
		t.Errorf("nothing new: %+v", report)
	}
}

// What is taken from new entries is taken before the state that passes them is
// kept: after a failure it is offered again.
func TestAcceptedBeforeKept(t *testing.T) {
	a, tape := example(t)
	f := a.Follower(tape)
	var told [][2]int64
	fault := errors.New("disk full")
	f.Accepted = func(_ context.Context, s *feed.State, from int64) error {
		told = append(told, [2]int64{from, s.Edge.Size()})
		return fault
	}
	wantRefused(t, f, a.ID, fault)
	fault = nil
	sync(t, f, a.ID)
	size := tape.Len()
	sync(t, f, a.ID) // nothing new
	tape.Add(a.Publish("file/c@1"))
	sync(t, f, a.ID)
	if want := [][2]int64{{0, size}, {0, size}, {size, size + 1}}; !slices.Equal(told, want) {
		t.Errorf("told %v, want %v", told, want)
	}
}

// TestNewcomer follows one feed in one go, in steps of every size around the
// borders of segments, and twice at once: the states are the same.
func TestNewcomer(t *testing.T) {
	a, tape := example(t)
	carol := a.Space.Leaf("carol", "publisher")
	tape.Add(a.Draft(carol, "file/early@1", nil, nil)) // void: listed later
	v := a.Space.Next(listing(a, carol))
	tape.Add(a.Identity(v.Identity.Version)...)
	late := a.Draft(carol, "file/late@1", nil, nil)
	tape.Add(late, late)
	fill(a, tape, 700)
	whole := a.Follower(tape)
	want, _ := sync(t, whole, a.ID)
	wantVoid(t, want, 5, 8)
	for _, step := range []int64{1, 2, 7, 100, 255, 256, 257} {
		f := a.Follower(tape)
		var got *feed.State
		for size := int64(2); ; size = min(size+step, tape.Len()) {
			f = later(t, f, tape.First(size))
			got, _ = sync(t, f, a.ID)
			if size == tape.Len() {
				break
			}
		}
		if stateOf(t, f, a.ID) != stateOf(t, whole, a.ID) {
			t.Errorf("step %d: another state than in one go: %v, want %v", step, voids(got), voids(want))
		}
	}
}

// TestBadEntries are entries that must not count, one feed each. The feed goes
// on: the entry behind is taken.
func TestBadEntries(t *testing.T) {
	other := feedtest.NewAuthor(t, "acme/dev-qa/shared") // the same name, another lineage
	for _, c := range []struct {
		name string
		rule string // of a DeniedError
		want any    // or another error
		bad  func(a *feedtest.Author) []feedtest.Signed
	}{
		{"leaf that nobody lists", "position", nil, func(a *feedtest.Author) []feedtest.Signed {
			return []feedtest.Signed{a.Draft(a.Space.Leaf("mallory", "publisher"), "file/x@1", nil, nil)}
		}},
		{"leaf without the role", "role", nil, func(a *feedtest.Author) []feedtest.Signed {
			return []feedtest.Signed{a.Draft(a.Space.Approver, "file/x@1", nil, nil)}
		}},
		{"leaf of another Space of that name", "position", nil, func(a *feedtest.Author) []feedtest.Signed {
			return []feedtest.Signed{other.Draft(other.Space.Publisher, "file/x@1", nil, nil)}
		}},
		{"root instead of a leaf", "position", nil, func(a *feedtest.Author) []feedtest.Signed {
			return []feedtest.Signed{a.Draft(a.Space.RootSigner(), "file/x@1", nil, nil)}
		}},
		{"from another feed", "binding", nil, func(a *feedtest.Author) []feedtest.Signed {
			return []feedtest.Signed{feedtest.AuthorOf(t, a.Space, "other").Draft(a.Space.Publisher, "file/x@1", nil, nil)}
		}},
		{"from another epoch", "binding", nil, func(a *feedtest.Author) []feedtest.Signed {
			return []feedtest.Signed{a.Draft(a.Space.Publisher, "file/x@1", nil, func(p *feed.Publication) { p.Epoch = 2 })}
		}},
		{"for another lineage", "binding", nil, func(a *feedtest.Author) []feedtest.Signed {
			return []feedtest.Signed{a.Draft(a.Space.Publisher, "file/x@1", nil, func(p *feed.Publication) { p.Lineage = other.Space.Lineage() })}
		}},
		{"signature of another statement", "signature", nil, func(a *feedtest.Author) []feedtest.Signed {
			return []feedtest.Signed{transplant(t, a.Draft(a.Space.Publisher, "file/x@1", nil, nil), a.Draft(a.Space.Publisher, "file/y@1", nil, nil))}
		}},
		{"repeated", "", new(*feed.RepeatedError), func(a *feedtest.Author) []feedtest.Signed {
			return []feedtest.Signed{a.Opening()[1]}
		}},
		{"previous that skips", "", new(*feed.ChainError), func(a *feedtest.Author) []feedtest.Signed {
			return []feedtest.Signed{a.Draft(a.Space.Publisher, "file/a@3", nil, func(p *feed.Publication) { p.Previous = nil })}
		}},
		{"withdrawal by a leaf without the role", "role", nil, func(a *feedtest.Author) []feedtest.Signed {
			return []feedtest.Signed{a.DraftWithdrawal(a.Space.Approver, "file/a@1", nil)}
		}},
		{"second opening", "", new(*feed.OpenedAgainError), func(a *feedtest.Author) []feedtest.Signed {
			b := feedtest.AuthorOf(t, a.Space, "shared")
			b.Key = feedtest.Key(9)
			return b.Opening()[:1]
		}},
		{"name with a slash", "", nil, func(a *feedtest.Author) []feedtest.Signed {
			return []feedtest.Signed{a.Draft(a.Space.Publisher, "file/x@1", nil, func(p *feed.Publication) { p.Name = "../x" })}
		}},
		{"identity by a leaf", "root", nil, func(a *feedtest.Author) []feedtest.Signed {
			return identityBy(t, a, a.Space.Publisher)
		}},
		{"identity by a stranger's root", "root", nil, func(a *feedtest.Author) []feedtest.Signed {
			return identityBy(t, a, other.Space.RootSigner())
		}},
		{"critical kind by a stranger", "position", nil, func(a *feedtest.Author) []feedtest.Signed {
			b := feedtest.NewAuthor(t, "acme/dev-qa/shared")
			return []feedtest.Signed{b.Unknown("new", true, 1)}
		}},
		{"unknown kind that looks like an identity", "kind", nil, func(a *feedtest.Author) []feedtest.Signed {
			predicate := fmt.Appendf(nil, `{"epoch":1,"feed":%q,"lineage":%q,"predicateType":%q}`, a.ID, a.Space.Lineage(), signing.Identity.PredicateType())
			st := signing.Statement{Kind: "new", SubjectName: "x", Predicate: predicate}
			return []feedtest.Signed{a.Sign(a.Space.RootSigner(), st, nil)}
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			a, tape := example(t)
			bad := c.bad(a)
			tape.Add(bad...).Add(a.Publish("file/a@3"))
			s, report := sync(t, a.Follower(tape), a.ID)
			at := tape.Len() - 2
			wantVoid(t, s, at)
			err := report.Void[at]
			switch {
			case c.rule != "":
				wantDenied(t, err, c.rule)
			case c.want != nil && !errors.As(err, c.want):
				t.Errorf("got %v, want a %T", err, c.want)
			}
			if row, ok := s.Index.State(feedtest.ParseRef("file/a@3")); !ok || row.Index != at+1 {
				t.Errorf("the feed did not go on: %v, %v", row, ok)
			}
		})
	}
}

// TestSecondContent puts a second content for a version into a log: it does not
// count and is a link all the same, so what the committer who let it in takes
// for the head is the head (rules 4.3 and 4.4).
func TestSecondContent(t *testing.T) {
	a, tape := example(t)
	second := a.Draft(a.Space.Publisher, "file/a@2", []feedtest.File{feedtest.Text("x", "other")}, nil)
	beside := a.Draft(a.Space.Publisher, "file/a@3", nil, nil)
	behind := a.Draft(a.Space.Publisher, "file/a@4", nil, after(second))
	tape.Add(second, beside, behind)
	s, report := sync(t, a.Follower(tape), a.ID)
	wantVoid(t, s, 5, 6)
	if version, ok := errors.AsType[*feed.VersionError](report.Void[5]); !ok || version.Index != 4 {
		t.Errorf("the second content: %v", report.Void[5])
	}
	if chain, ok := errors.AsType[*feed.ChainError](report.Void[6]); !ok || chain.HeadIndex != 5 {
		t.Errorf("beside it: %v", report.Void[6])
	}
	if row, ok := s.Index.State(feedtest.ParseRef("file/a@2")); !ok || row.Index != 4 {
		t.Errorf("file/a@2 is %+v", row)
	}
}

// after makes a publication follow a statement.
func after(s feedtest.Signed) func(*feed.Publication) {
	return func(p *feed.Publication) { id := s.ID(); p.Previous = &id }
}

// TestBadSignatureForms puts entries into a log whose signatures nobody may
// store. What they are is certain, the tree covers them, so they are void and
// the feed goes on; and the statement they stand for is not in, so that it can
// still come.
func TestBadSignatureForms(t *testing.T) {
	a, tape := example(t)
	statement := a.Publish("file/a@3")
	id := a.Space.Next(listing(a, a.Space.Leaf("carol", "publisher")))
	identity := a.Identity(id.Identity.Version)[0]
	for _, sig := range [][]byte{highSOf(t, statement.Signature()), []byte("no signature"), {0x30, 6, 2, 1, 0, 2, 1, 1}} {
		addUnsound(tape, statement, sig)
	}
	addUnsound(tape, identity, highSOf(t, identity.Signature()))
	tape.Add(statement, identity, a.Publish("file/a@4"))
	every(t, a, tape, 5, 6, 7, 8)
	f := a.Follower(tape)
	_, report := sync(t, f, a.ID)
	for i := int64(5); i <= 8; i++ {
		wantDenied(t, report.Void[i], "signature")
		if err := report.Void[i]; !errors.Is(err, signing.ErrBadSignature) {
			t.Errorf("entry %d: %v does not match ErrBadSignature", i, err)
		}
	}
	if f.View.History().Current().Version != 2 {
		t.Error("the identity was not learned")
	}

	// The form of entry 0 is no matter of one entry: nothing can be checked
	// without its key.
	opening := a.Opening()
	first := feedtest.NewTape(a)
	addUnsound(first, opening[0], highSOf(t, opening[0].Signature()))
	wantRefused(t, a.Follower(first.Add(opening[1:]...)), a.ID, nil)
}

// addUnsound adds a statement with other bytes for a signature, under the leaf
// hash of just that.
func addUnsound(tape *feedtest.Tape, s feedtest.Signed, signature []byte) {
	swap := func(b []byte) []byte { return bytes.Replace(b, base64Of(s.Signature()), base64Of(signature), 1) }
	tape.AddRaw(swap(s.Bytes()), tlog.RecordHash(swap(feed.LogEntry(s.Attestation))))
}

// TestUnread has entries that are no attestation at all: they have no place in a
// tree, also not where a log made one up for them, and the error says which
// entry and why. Other ways to write what a leaf hash covers are among them, or
// any source could void any entry.
func TestUnread(t *testing.T) {
	a, tape := example(t)
	good := a.Publish("file/a@3")
	leaf := feed.LeafHash(good.Attestation)
	b64 := string(base64Of(good.Payload()))
	for name, raw := range map[string][]byte{
		"nothing":        []byte("{}"),
		"cut":            good.Bytes()[:len(good.Bytes())-1],
		"line break":     bytes.Replace(good.Bytes(), []byte(b64), []byte(b64[:8]+"\n"+b64[8:]), 1),
		"two signatures": bytes.Replace(good.Bytes(), []byte(`}]}`), []byte(`},{"sig":"AA=="}]}`), 1),
		"bad time stamp": bytes.Replace(good.Bytes(), []byte(`"}}}`), []byte(`"},"timestampVerificationData":{"rfc3161Timestamps":[{"signedTimestamp":"%"}]}}}`), 1),
	} {
		for _, leaf := range []tlog.Hash{leaf, {}, tlog.RecordHash(raw)} {
			bad := tape.Clone()
			bad.AddRaw(raw, leaf)
			fill(a, bad, 300)
			newcomer, known := a.Follower(bad), a.Follower(tape)
			sync(t, known, a.ID)
			known.Source = bad
			for _, f := range []*feed.Follower{newcomer, known} {
				err := wantRefused(t, f, a.ID, feed.ErrRoot)
				unread, ok := errors.AsType[*feed.UnreadError](err)
				if !ok || unread.Index != 5 || unread.ID != a.ID || unread.Err == nil {
					t.Errorf("%s: got %v, want a *UnreadError about entry 5", name, err)
				}
			}
			if n := len(evidence(t, known)); n != 0 {
				t.Errorf("%s: %d pieces of evidence", name, n)
			}
		}
	}
}

// transplant gives a statement the signature of another by the same key.
func transplant(t *testing.T, to, from feedtest.Signed) feedtest.Signed {
	t.Helper()
	raw := bytes.Replace(to.Bytes(), base64Of(to.Signature()), base64Of(from.Signature()), 1)
	a, err := signing.ParseAttestation(raw)
	if err != nil {
		t.Fatal(err)
	}
	return feedtest.Signed{Attestation: a, Objects: to.Objects}
}

// identityBy is a statement about an identity document that nobody has: what
// is not signed by a root must not make the follower look for it.
func identityBy(t *testing.T, a *feedtest.Author, by *signing.Signer) []feedtest.Signed {
	predicate, err := signing.MarshalCanonical(map[string]any{"space": a.Space.Name.URI(), "version": 2})
	st := signing.Statement{Kind: signing.Identity, Subject: storage.DigestOf([]byte("nowhere")), SubjectName: "identity", Predicate: predicate}
	return []feedtest.Signed{a.Sign(by, st, err)}
}

// TestUnknownKinds keeps and skips what this version does not know, and stops
// where it says that it must be understood.
func TestUnknownKinds(t *testing.T) {
	a, tape := example(t)
	tape.Add(a.Unknown("novelty", false, 1), a.Publish("file/a@3"))
	f := a.Follower(tape)
	s, _ := sync(t, f, a.ID)
	wantVoid(t, s)
	if row := s.Index.Row(5); row.What != feed.IsOther || row.Ref.Kind != "novelty" {
		t.Errorf("row of an unknown kind: %+v", row)
	}
	tape.Add(a.Unknown("novelty", true, 2), a.Publish("file/a@4"))
	err := wantRefused(t, later(t, f, tape), a.ID, nil)
	var critical *feed.CriticalError
	if !errors.As(err, &critical) || critical.Index != 7 || critical.Kind != "novelty" {
		t.Errorf("got %v, want a *CriticalError for entry 7", err)
	}
}

// TestBadSources are sources that lie about a feed of which the follower has
// seen the first part. Each is refused, and the state stays.
func TestBadSources(t *testing.T) {
	a, tape := example(t)
	fill(a, tape, 300)
	seen := tape.First(200)
	note := a.Unknown("note", false, 1000)
	stranger := feedtest.NewTape(a)
	stranger.Key = feedtest.Key(2)
	for i := range tape.Len() {
		at, err := signing.ParseAttestation(tape.Entry(i))
		if err != nil {
			t.Fatal(err)
		}
		stranger.Add(feedtest.Signed{Attestation: at})
	}
	var gap *feed.GapError
	type segments = func(feed.Segment) (feed.Segment, error)
	lie := func(s segments) feed.Source { return &feedtest.Tampered{Source: tape, Segment: s} }
	for name, c := range map[string]struct {
		src  feed.Source
		want error
		as   any
	}{
		"a bit flipped":              {lie(feedtest.FlipEntry(250)), feed.ErrRoot, nil},
		"a bit flipped in the last":  {lie(feedtest.FlipEntry(299)), feed.ErrRoot, nil},
		"two entries exchanged":      {lie(feedtest.Swap(250)), feed.ErrRoot, nil},
		"an entry of another feed's": {lie(feedtest.Change(250, func([]byte) []byte { return note.Bytes() })), feed.ErrRoot, nil},
		"no attestation":             {lie(feedtest.Change(250, func([]byte) []byte { return []byte("{}") })), feed.ErrRoot, nil},
		"high-S in the place of low": {lie(feedtest.Change(250, func(b []byte) []byte { return highS(t, feedtest.Signed{Attestation: parse(t, b)}) })), feed.ErrRoot, nil},
		"fewer entries than it says": {lie(feedtest.Truncate(290)), nil, &gap},
		"none of the new ones":       {lie(feedtest.Truncate(200)), nil, nil},
		"a gap":                      {lie(func(s feed.Segment) (feed.Segment, error) { s.Start += 256; return s, nil }), nil, &gap},
		"the same entries again":     {lie(func(s feed.Segment) (feed.Segment, error) { s.Start = 0; return s, nil }), nil, nil},
		"segments longer than they are": {lie(func(s feed.Segment) (feed.Segment, error) {
			s.Statements = append(s.Statements, s.Statements...)
			return s, nil
		}), nil, nil},
		"no entries at all":            {lie(func(s feed.Segment) (feed.Segment, error) { s.Statements = nil; return s, nil }), nil, nil},
		"a broken line":                {lie(func(s feed.Segment) (feed.Segment, error) { return s, feedtest.ErrBroken }), feedtest.ErrBroken, nil},
		"another log key":              {stranger, feed.ErrCheckpoint, nil},
		"checkpoint flipped":           {&feedtest.Tampered{Source: tape, Head: flipNote}, feed.ErrCheckpoint, nil},
		"checkpoint says another size": {&feedtest.Tampered{Source: tape, Head: func(c feed.Checkpoint) feed.Checkpoint { c.Size = 299; return c }}, feed.ErrCheckpoint, nil},
		"checkpoint of a huge size":    {&feedtest.Tampered{Source: tape, Head: func(c feed.Checkpoint) feed.Checkpoint { c.Size = 1 << 60; return c }}, nil, nil},
		"no such feed any more":        {feedtest.NewTape(a), fs.ErrNotExist, nil},
	} {
		t.Run(name, func(t *testing.T) {
			for _, known := range []bool{true, false} {
				f := a.Follower(seen)
				if known {
					sync(t, f, a.ID)
				} else if name == "none of the new ones" {
					continue
				}
				err := wantRefused(t, later(t, f, c.src), a.ID, c.want)
				if c.as != nil && !errors.As(err, c.as) {
					t.Errorf("known %v: got %v, want a %T", known, err, c.as)
				}
				if n := len(evidence(t, f)); n > 0 {
					t.Errorf("known %v: a damaged source left %d pieces of evidence against the Space", known, n)
				}
			}
		})
	}
}

func flipNote(c feed.Checkpoint) feed.Checkpoint {
	c.Note = bytes.Clone(c.Note)
	c.Note[len(c.Note)-10] ^= 1
	return c
}

// endless yields segments that go on for ever, for a checkpoint that nobody
// signed.
type endless struct {
	*feedtest.Tape
	yielded atomic.Int64
}

func (e *endless) Checkpoint(ctx context.Context, id feed.ID) (feed.Checkpoint, error) {
	return e.Key.Sign("e1.other.dev-qa.acme.airlock.example", 1<<40, tlog.Hash{})
}

func (e *endless) Segments(ctx context.Context, _ feed.ID, _, _ int64) iter.Seq2[feed.Segment, error] {
	return func(yield func(feed.Segment, error) bool) {
		for start := int64(0); ; start += feed.SegmentSize {
			s := feed.Segment{Start: start}
			for i := range int64(feed.SegmentSize) {
				s.Statements = append(s.Statements, e.Entry(min(start+i, e.Len()-1)))
			}
			if n := e.yielded.Add(1); n > 1000 {
				yield(s, feedtest.ErrBroken) // so that the test ends all the same
				return
			}
			if !yield(s, nil) {
				return
			}
		}
	}
}

// TestEndlessSource ends soon: the checkpoint is checked as soon as the key is
// known, and objects are bounded.
func TestEndlessSource(t *testing.T) {
	a, tape := example(t)
	src := &endless{Tape: tape}
	wantRefused(t, a.Follower(src), a.ID, feed.ErrCheckpoint)
	if n := src.yielded.Load(); n > 16 {
		t.Errorf("%d segments were read", n)
	}

	a.Space.Next(listing(a, a.Space.Leaf("carol", "publisher")))
	tape.Add(a.Identity(2)...)
	wantRefused(t, a.Follower(&feedtest.Tampered{Source: tape, Bytes: feedtest.Endless}), a.ID, nil)
}

// TestReadObject reads objects of the allowed size, and of one byte more.
func TestReadObject(t *testing.T) {
	a, tape := example(t)
	object := make([]byte, 100)
	tape.Add(feedtest.Signed{Attestation: a.Unknown("note", false, 1).Attestation, Objects: [][]byte{object}})
	d := storage.DigestOf(object)
	if b, err := feed.ReadObject(t.Context(), tape, a.ID, d, 100); err != nil || !bytes.Equal(b, object) {
		t.Errorf("%d bytes, %v", len(b), err)
	}
	if b, err := feed.ReadObject(t.Context(), tape, a.ID, d, 99); !errors.Is(err, feed.ErrMalformed) {
		t.Errorf("%d bytes where 99 are allowed, %v", len(b), err)
	}
}

// TestCanceled ends a sync whose source waits for ever, and leaves no goroutine
// with it: the bubble would not end.
func TestCanceled(t *testing.T) {
	a, tape := example(t)
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		waiting := &feedtest.Tampered{Source: tape, Segment: func(s feed.Segment) (feed.Segment, error) {
			cancel()
			<-ctx.Done()
			return s, ctx.Err()
		}}
		if _, _, err := a.Follower(waiting).Sync(ctx, a.ID); !errors.Is(err, context.Canceled) {
			t.Errorf("got %v", err)
		}
	})
}

// TestBadPackages fetches packages whose objects are not what was published.
func TestBadPackages(t *testing.T) {
	a := feedtest.NewAuthor(t, "acme/dev-qa/shared")
	tape := feedtest.NewTape(a).Add(a.Opening()...)
	wrongKind := a.Draft(a.Space.Publisher, "file/kind@1", nil, func(p *feed.Publication) { p.Kind = "script-module" })
	wrongVersion := a.Draft(a.Space.Publisher, "file/version@1", nil, func(p *feed.Publication) { p.Version = "2" })
	wrongSize := a.Draft(a.Space.Publisher, "file/size@1", nil, func(p *feed.Publication) { p.ManifestSize++ })
	tape.Add(a.Publish("file/good@1"), wrongKind, wrongVersion, wrongSize)
	s, _ := sync(t, a.Follower(tape), a.ID)
	wantVoid(t, s)
	fetch := func(src feed.Source, i int64) (err error) {
		return a.Follower(src).Fetch(t.Context(), s, []feed.Row{s.Index.Row(i)}, func(p *feed.Package) error {
			_, err := feedtest.ReadAll(t.Context(), p, 0)
			return err
		})
	}
	if err := fetch(tape, 2); err != nil {
		t.Error(err)
	}
	for i := int64(3); i < 6; i++ {
		if err := fetch(tape, i); err == nil {
			t.Errorf("entry %d: a manifest of another package was taken", i)
		}
	}
	flip := func(_ storage.Digest, r io.ReadCloser) io.ReadCloser {
		b, _ := io.ReadAll(r)
		b[0] ^= 1
		return io.NopCloser(bytes.NewReader(b))
	}
	if err := fetch(&feedtest.Tampered{Source: tape, Bytes: flip}, 2); !errors.As(err, new(*storage.DigestError)) {
		t.Errorf("flipped: got %v, want a *storage.DigestError", err)
	}
	if err := fetch(&feedtest.Tampered{Source: tape, Bytes: feedtest.Endless}, 2); err == nil {
		t.Error("an endless manifest was taken")
	}
	payload := storage.DigestOf([]byte("file/good@1"))
	for name, change := range map[string]func(storage.Digest, io.ReadCloser) io.ReadCloser{
		"flipped": flip, "endless": feedtest.Endless,
		"cut": func(_ storage.Digest, r io.ReadCloser) io.ReadCloser { return io.NopCloser(io.LimitReader(r, 3)) },
	} {
		onlyPayload := func(d storage.Digest, r io.ReadCloser) io.ReadCloser {
			if d == payload {
				return change(d, r)
			}
			return r
		}
		if err := fetch(&feedtest.Tampered{Source: tape, Bytes: onlyPayload}, 2); err == nil {
			t.Errorf("payload %s: taken", name)
		}
	}
}

// TestImpostor follows the feed of a Space that took a trusted name: its
// lineage is another, and nothing of it is taken.
func TestImpostor(t *testing.T) {
	a, _ := example(t)
	_, impostor := example(t)
	err := wantRefused(t, a.Follower(impostor), a.ID, nil)
	wantDenied(t, err, "position")
}
