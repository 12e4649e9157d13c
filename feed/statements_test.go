package feed_test

import (
	"errors"
	"slices"
	"testing"

	"airlock/feed"
	"airlock/feed/feedtest"
	"airlock/signing"
	"airlock/trust"
)

// reread returns the indices of the rows whose statements come, verified.
func reread(t *testing.T, f *feed.Follower, s *feed.State, rows []feed.Row) (got []int64, err error) {
	t.Helper()
	err = f.Statements(t.Context(), s, rows, func(row feed.Row, v trust.Verified, a signing.Attestation) error {
		if v.ID() != row.ID || a.ID() != row.ID || v.At() != s.At(row.Index) {
			t.Errorf("entry %d: %s at %s", row.Index, v.ID(), v.At())
		}
		got = append(got, row.Index)
		return nil
	})
	return got, err
}

// TestStatements reads accepted entries again, from neighbouring segments and
// from some far apart, by a follower that followed and by one that only has the
// state: a leaf that an identity dropped since counts where it stands.
func TestStatements(t *testing.T) {
	a, tape := example(t)
	carol := a.Space.Leaf("carol", trust.Publisher)
	a.Space.Next(listing(a, carol))
	tape.Add(a.Identity(2)...).Add(a.Draft(carol, "file/c@1", nil, nil))
	a.Space.Next(func(id *trust.Identity) { a.Space.Drop(id, carol) })
	tape.Add(a.Identity(3)...)
	fill(a, tape, 1500)
	f := a.Follower(tape)
	s, _ := sync(t, f, a.ID)
	want := []int64{0, 2, 6, 8, 255, 256, 600, 601, 1499}
	var rows []feed.Row
	for _, i := range want {
		rows = append(rows, s.Index.Row(i))
	}
	for name, f := range map[string]*feed.Follower{"followed": f, "from the state": later(t, f, tape)} {
		if got, err := reread(t, f, s, rows); err != nil || !slices.Equal(got, want) {
			t.Errorf("%s: entries %d, %v; want %d", name, got, err, want)
		}
	}
	stop := errors.New("enough")
	err := f.Statements(t.Context(), s, rows, func(feed.Row, trust.Verified, signing.Attestation) error { return stop })
	if err != stop {
		t.Errorf("got %v, want what the caller returned", err)
	}
}

// TestStatementsFromLiars reads entries again from sources that changed since
// they were accepted: nothing else can be put in their place.
func TestStatementsFromLiars(t *testing.T) {
	a, tape := example(t)
	approver := a.Sign(a.Space.Approver, mustParse(t, a.Unknown("note", false, 70)), nil)
	fill(a, tape, 8)
	tape.Add(a.Unknown("note", false, 70)) // 8
	fill(a, tape, 12)
	f := a.Follower(tape)
	s, _ := sync(t, f, a.ID)
	replace := func(raw []byte) func([]byte) []byte { return func([]byte) []byte { return raw } }
	for name, c := range map[string]struct {
		lie  func(feed.Segment) (feed.Segment, error)
		want error // nil for a *feed.GapError
	}{
		"another statement":    {feedtest.Change(8, replace(a.Unknown("note", false, 9).Bytes())), signing.ErrBadSignature},
		"neighbours exchanged": {feedtest.Swap(7), signing.ErrBadSignature},
		"a flipped bit":        {feedtest.FlipEntry(8), signing.ErrBadSignature},
		"no attestation":       {feedtest.Change(8, replace([]byte("{}"))), signing.ErrBadSignature},
		"not signed":           {feedtest.Change(8, replace(transplant(t, feedtest.Signed{Attestation: parse(t, tape.Entry(8))}, a.Publish("file/a@3")).Bytes())), signing.ErrBadSignature},
		"signed by a stranger": {feedtest.Change(8, replace(stranger(t, a, tape.Entry(8)))), trust.ErrUntrusted},
		"missing":              {feedtest.Truncate(8), nil},
		"nothing at all":       {feedtest.Truncate(0), nil},
		"a later segment": {func(s feed.Segment) (feed.Segment, error) {
			return feed.Segment{Start: 9, Statements: s.Statements}, nil
		}, nil},
		"the line breaks": {func(s feed.Segment) (feed.Segment, error) { return s, feedtest.ErrBroken }, feedtest.ErrBroken},
	} {
		f.Source = &feedtest.Tampered{Source: tape, Segment: c.lie}
		got, err := reread(t, f, s, []feed.Row{s.Index.Row(8)})
		_, gap := errors.AsType[*feed.GapError](err)
		if ok := c.want == nil && gap || c.want != nil && errors.Is(err, c.want); !ok || len(got) > 0 {
			t.Errorf("%s: entries %d, %v; want %v", name, got, err, c.want)
		}
	}
	// Another leaf of the Space may have signed the same words: they are its word
	// all the same.
	f.Source = &feedtest.Tampered{Source: tape, Segment: feedtest.Change(8, replace(approver.Bytes()))}
	if _, err := reread(t, f, s, []feed.Row{s.Index.Row(8)}); err != nil {
		t.Errorf("signed by another leaf: %v", err)
	}
}

// TestStatementsRevoked reads with a view that has learned of a revocation
// since: what it voids is not handed out.
func TestStatementsRevoked(t *testing.T) {
	a, tape := example(t)
	f := a.Follower(tape)
	s, _ := sync(t, f, a.ID)
	a.Space.Next(func(id *trust.Identity) { a.Space.Revoke(id, a.Space.Publisher, s.At(0)) })
	f.View = a.Space.View(nil)
	_, err := reread(t, f, s, []feed.Row{s.Index.Row(3)})
	wantDenied(t, err, "revocation")
}

// stranger returns a statement as a leaf of another Space signs it.
func stranger(t *testing.T, a *feedtest.Author, raw []byte) []byte {
	t.Helper()
	other := feedtest.NewAuthor(t, a.ID.String())
	return a.Sign(other.Space.Publisher, mustParse(t, feedtest.Signed{Attestation: parse(t, raw)}), nil).Bytes()
}

func mustParse(t *testing.T, s feedtest.Signed) signing.Statement {
	t.Helper()
	st, err := signing.ParseStatement(s.Payload())
	if err != nil {
		t.Fatal(err)
	}
	return st
}
