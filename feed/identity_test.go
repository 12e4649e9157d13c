package feed_test

import (
	"errors"
	"io/fs"
	"testing"

	"airlock/feed"
	"airlock/feed/feedtest"
	"airlock/signing"
	"airlock/trust"
)

// listing returns the change that lists a leaf.
func listing(a *feedtest.Author, leaf *signing.Signer) func(*trust.Identity) {
	return func(id *trust.Identity) { a.Space.List(id, leaf) }
}

// every syncs a tape by a newcomer and by a follower that stops after every
// entry, and checks that both find the same void.
func every(t *testing.T, a *feedtest.Author, tape *feedtest.Tape, void ...int64) {
	t.Helper()
	newcomer := a.Follower(tape)
	s, _ := sync(t, newcomer, a.ID)
	wantVoid(t, s, void...)
	steady := a.Follower(tape)
	for size := int64(2); size <= tape.Len(); size++ {
		steady = later(t, steady, tape.First(size))
		s, _ = sync(t, steady, a.ID)
	}
	wantVoid(t, s, void...)
	if stateOf(t, steady, a.ID) != stateOf(t, newcomer, a.ID) {
		t.Error("the state depends on how the feed was read")
	}
	// Who learned everything from another feed finds the same in this one.
	knowing := a.Follower(tape)
	knowing.View = a.Space.View(nil)
	s, _ = sync(t, knowing, a.ID)
	wantVoid(t, s, void...)
}

// TestIdentityByPosition lists and drops leaves: they count from the entry that
// lists them until the entry that drops them (rule 8.4, position).
func TestIdentityByPosition(t *testing.T) {
	a, tape := example(t)
	carol := a.Space.Leaf("carol", trust.Publisher)
	by := func(leaf *signing.Signer, ref string) feedtest.Signed { return a.Draft(leaf, ref, nil, nil) }
	tape.Add(by(carol, "file/c@1")) // 5: not listed yet
	a.Space.Next(listing(a, carol))
	tape.Add(a.Identity(2)...)      // 6
	tape.Add(by(carol, "file/c@2")) // 7
	alice := a.Space.Publisher
	a.Space.Next(func(id *trust.Identity) { a.Space.Drop(id, alice) })
	tape.Add(a.Identity(3)...)                                   // 8
	tape.Add(by(alice, "file/d@1"), by(carol, "file/e@1"))       // 9: dropped, 10
	tape.Add(a.Identity(2)[0])                                   // 11: repeated
	tape.Add(by(alice, "file/d@2"), a.Unknown("note", false, 1)) // 12, 13: still dropped
	every(t, a, tape, 5, 9, 11, 12, 13)
}

// TestIdentityRotation puts a new root in force by two statements, with entries
// before, between and behind them (rule 8.3).
func TestIdentityRotation(t *testing.T) {
	a, tape := example(t)
	before := a.Space.Publisher
	a.Space.Next(a.Space.Rotate)
	after := a.Space.Publisher
	both := a.Identity(2)
	if len(both) != 2 || both[0].ID() == both[1].ID() {
		t.Fatalf("%d statements, or one twice", len(both))
	}
	tape.Add(a.Draft(after, "file/x@1", nil, nil))  // 5: not in force
	tape.Add(both[0])                               // 6
	tape.Add(a.Draft(after, "file/x@2", nil, nil))  // 7: one statement alone does nothing
	tape.Add(a.Draft(before, "file/y@1", nil, nil)) // 8: so the old one counts
	tape.Add(both[1])                               // 9
	tape.Add(a.Draft(after, "file/z@1", nil, nil))  // 10
	tape.Add(a.Draft(before, "file/z@2", nil, nil)) // 11: the old certificate is dropped
	every(t, a, tape, 5, 7, 11)
}

// TestIdentityStolenRoot tries what a thief of the present root can: a new root
// of his own, for which there is no commitment.
func TestIdentityStolenRoot(t *testing.T) {
	a, tape := example(t)
	thief := feedtest.NewAuthor(t, "acme/dev-qa/shared")
	id := a.Space.Draft()
	other := thief.Space.Version(1).Identity
	id.Root, id.Leaves, id.Next = other.Root, other.Leaves, other.Next
	if _, err := id.Format(); err != nil {
		t.Fatal(err)
	}
	for _, signer := range []*signing.Signer{a.Space.RootSigner(), thief.Space.RootSigner()} {
		st, err := trust.IdentityStatement(id, a.Space.Lineage(), id)
		s := a.Sign(signer, st, err)
		s.Objects = [][]byte{id.Raw()}
		tape.Add(s)
	}
	tape.Add(a.Draft(thief.Space.Publisher, "file/x@1", nil, nil), a.Publish("file/a@3"))
	f := a.Follower(tape)
	s, _ := sync(t, f, a.ID)
	got := voids(s)
	if got[6] == "" || got[7] == "" || got[8] != "" || f.View.History().Current().Version != 1 {
		t.Errorf("identity version %d, void: %v", f.View.History().Current().Version, got)
	}
}

// TestOpenedUnderLaterIdentity opens a feed when the identity is at version 3:
// newcomers who know version 1 learn the others before entry 0 is judged.
func TestOpenedUnderLaterIdentity(t *testing.T) {
	a := feedtest.NewAuthor(t, "acme/dev-qa/shared")
	a.Space.Next(listing(a, a.Space.Leaf("carol", trust.Publisher)))
	a.Space.Next(a.Space.Rotate)
	tape := feedtest.NewTape(a).Add(a.Opening()...)
	first := tape.Len()
	tape.Add(a.Publish("file/a@1"))
	f := a.Follower(tape.First(first))
	s, _ := sync(t, f, a.ID)
	wantVoid(t, s)
	s, _ = sync(t, later(t, f, tape), a.ID)
	wantVoid(t, s)
	newcomer := a.Follower(tape)
	sync(t, newcomer, a.ID)
	if f.View.History().Current().Version != 3 || stateOf(t, f, a.ID) != stateOf(t, newcomer, a.ID) {
		t.Error("the state depends on how the feed was read")
	}
	var learned []int
	g := a.Follower(tape)
	g.Learned = func(h *trust.History) error { learned = append(learned, h.Current().Version); return nil }
	sync(t, g, a.ID)
	if len(learned) != 1 || learned[0] != 3 {
		t.Errorf("told of versions %v, want 3 once", learned)
	}
}

// TestOpeningRefused begins feeds wrongly: there is no key to check anything
// with, so nothing of them is taken.
func TestOpeningRefused(t *testing.T) {
	for name, first := range map[string]func(a *feedtest.Author) []feedtest.Signed{
		"not an opening": func(a *feedtest.Author) []feedtest.Signed { return []feedtest.Signed{a.Publish("file/a@1")} },
		"of another feed": func(a *feedtest.Author) []feedtest.Signed {
			return feedtest.AuthorOf(t, a.Space, "other").Opening()
		},
		"of another epoch": func(a *feedtest.Author) []feedtest.Signed {
			b := feedtest.AuthorOf(t, a.Space, "shared")
			b.Epoch = 2
			return b.Opening()
		},
		"by an approver": func(a *feedtest.Author) []feedtest.Signed {
			st, err := signing.ParseStatement(a.Opening()[0].Payload())
			return []feedtest.Signed{a.Sign(a.Space.Approver, st, err)}
		},
		"under an identity that never comes": func(a *feedtest.Author) []feedtest.Signed {
			o := feed.Opening{Epoch: 1, Feed: a.ID, Identity: 7, Lineage: a.Space.Lineage(), LogKey: a.Key.Public(), Origin: a.ID.Origin(1)}
			st, err := o.Statement()
			return []feedtest.Signed{a.Sign(a.Space.Leaf("x", trust.Publisher), st, err)}
		},
		"without the identity it names, by a leaf of the first": func(a *feedtest.Author) []feedtest.Signed {
			a.Space.Next(listing(a, a.Space.Leaf("carol", trust.Publisher)))
			return a.Opening()[:2]
		},
	} {
		t.Run(name, func(t *testing.T) {
			a := feedtest.NewAuthor(t, "acme/dev-qa/shared")
			tape := feedtest.NewTape(a).Add(first(a)...).Add(a.Publish("file/b@1"))
			wantRefused(t, a.Follower(tape), a.ID, nil)
		})
	}
}

// TestDroppedOpener has a feed that a dropped leaf opened: who knows of that, by
// another feed, takes it once it carries the identity that drops the leaf, and
// who took it before goes on (rule opening).
func TestDroppedOpener(t *testing.T) {
	a, tape := example(t)
	known := a.Space.History()
	alice, carol := a.Space.Publisher, a.Space.Leaf("carol", trust.Publisher)
	a.Space.Next(listing(a, carol))
	a.Space.Next(func(id *trust.Identity) { a.Space.Drop(id, alice) })
	follower := func(h *trust.History) *feed.Follower {
		f := a.Follower(tape)
		view, err := trust.NewView(h, trust.NewPolicy(a.Space.Name, a.Space.Lineage()))
		if err != nil {
			t.Fatal(err)
		}
		f.View = view
		return f
	}
	wantOpening := func(src feed.Source) {
		t.Helper()
		f := follower(a.Space.History())
		f.Source = src
		err := wantRefused(t, f, a.ID, trust.ErrUntrusted)
		if denied, ok := errors.AsType[*trust.DeniedError](err); !ok || denied.Rule != "opening" {
			t.Errorf("got %v, want a refusal by rule opening", err)
		}
	}
	wantOpening(tape)
	wantOpening(tape.Clone().Add(a.Identity(2)...))
	early := follower(known)
	sync(t, early, a.ID)
	early.View = a.Space.View(early.View.Policy()) // learned by another feed
	early.Source = tape.Clone().Add(a.Publish("file/late@1"))
	sync(t, early, a.ID)
	own := follower(a.Space.History())
	own.View = a.Space.View(nil)
	sync(t, own, a.ID)
	tape.Add(a.Identity(2)...).Add(a.Identity(3)...)
	sync(t, follower(a.Space.History()), a.ID)
}

// TestMissingIdentityDocument has a source that lost the document of an
// identity that a root signed: that stops the follower, for what comes after
// could not be judged.
func TestMissingIdentityDocument(t *testing.T) {
	a, tape := example(t)
	v := a.Space.Next(listing(a, a.Space.Leaf("carol", trust.Publisher)))
	tape.Add(a.Identity(2)...).Add(a.Publish("file/a@3"))
	whole := tape.Clone()
	tape.Forget(v.Identity.Digest())
	f := a.Follower(tape)
	if err := wantRefused(t, f, a.ID, feed.ErrDocument); errors.Is(err, fs.ErrNotExist) {
		t.Errorf("passes for a feed that is not there: %v", err)
	}
	s, _ := sync(t, later(t, f, whole), a.ID)
	wantVoid(t, s)
}

// TestRevocation revokes a key from a position that followers have passed: all
// read the feed again, and the entries from there on do not count.
func TestRevocation(t *testing.T) {
	a, tape := example(t)
	carol := a.Space.Leaf("carol", trust.Publisher)
	a.Space.Next(listing(a, carol))
	tape.Add(a.Identity(2)...) // 5
	for _, ref := range []string{"file/c@1", "file/d@1", "file/e@1"} {
		tape.Add(a.Draft(carol, ref, nil, nil)) // 6, 7, 8
	}
	before := a.Follower(tape)
	s, _ := sync(t, before, a.ID)
	wantVoid(t, s)
	a.Space.Next(func(id *trust.Identity) {
		a.Space.Revoke(id, carol, trust.Position{Feed: a.ID.String(), Epoch: 1, Index: 7})
	})
	withoutRevocation := tape.Clone()
	tape.Add(a.Identity(3)...) // 9
	every(t, a, tape, 7, 8)

	// Who learns it by another feed reads this one again, though it is the same.
	elsewhere := later(t, before, withoutRevocation)
	elsewhere.View = a.Space.View(nil)
	s, report := sync(t, elsewhere, a.ID)
	wantVoid(t, s, 7, 8)
	if report.From != 0 || len(report.Void) != 2 {
		t.Errorf("read again: %+v", report)
	}
	if _, report := sync(t, later(t, elsewhere, withoutRevocation), a.ID); report.From != 9 {
		t.Errorf("read a third time: %+v", report)
	}
}

// as has a leaf publish for a moment: what it signs moves the heads.
func as(a *feedtest.Author, leaf *signing.Signer, sign func() feedtest.Signed) feedtest.Signed {
	owner := a.Space.Publisher
	defer func() { a.Space.Publisher = owner }()
	a.Space.Publisher = leaf
	return sign()
}

// TestRevokedLinks revokes the key of a thief who published and withdrew between
// the Space's own statements. It is as if he had not, and nothing of the Space
// falls with him: he blocks no name, uses up no version and withdraws nothing,
// for followers who had taken his entries and for newcomers (rules 4.3, 4.4).
func TestRevokedLinks(t *testing.T) {
	a, tape := example(t) // a@1, b@1, a@2 as 2 to 4
	thief := a.Space.Leaf("carol", trust.Publisher)
	a.Space.Next(listing(a, thief))
	stolen := func(ref string) feedtest.Signed {
		return as(a, thief, func() feedtest.Signed {
			return a.Publish(ref, feedtest.Text("content", "by the thief"))
		})
	}
	tape.Add(a.Identity(2)...)                                                       // 5
	tape.Add(stolen("file/a@3"))                                                     // 6: takes a version
	tape.Add(a.Publish("file/a@4"))                                                  // 7: follows it
	tape.Add(as(a, thief, func() feedtest.Signed { return a.Withdraw("file/b@1") })) // 8
	tape.Add(a.Publish("file/b@2"))                                                  // 9
	tape.Add(stolen("file/a@5"))                                                     // 10
	tape.Add(a.Withdraw("file/a@5"))                                                 // 11: of what the thief published
	tape.Add(stolen("file/c@1"))                                                     // 12: the first of its name
	every(t, a, tape)
	early := a.Follower(tape)
	sync(t, early, a.ID)

	a.Space.Next(func(id *trust.Identity) {
		a.Space.Revoke(id, thief, trust.Position{Feed: a.ID.String(), Epoch: 1, Index: 6})
	})
	tape.Add(a.Identity(3)...)                                                                            // 13
	tape.Add(a.Publish("file/a@3"))                                                                       // 14: the thief's numbers are free
	tape.Add(a.Publish("file/a@5"))                                                                       // 15
	tape.Add(a.Publish("file/c@1"))                                                                       // 16: follows the void 12
	tape.Add(a.Withdraw("file/b@1"))                                                                      // 17: it was live
	tape.Add(stolen("file/d@1"))                                                                          // 18: dropped by now, so not even a link
	tape.Add(a.Draft(a.Space.Publisher, "file/d@1", nil, func(p *feed.Publication) { p.Previous = nil })) // 19
	every(t, a, tape, 6, 8, 10, 11, 12, 18)

	s, _ := sync(t, later(t, early, tape), a.ID)
	for ref, index := range map[string]int64{"file/a@3": 14, "file/a@4": 7, "file/a@5": 15, "file/b@1": 17, "file/b@2": 9, "file/c@1": 16, "file/d@1": 19} {
		if row, ok := s.Index.State(feedtest.ParseRef(ref)); !ok || row.Index != index {
			t.Errorf("%s is entry %d, %v; want %d", ref, row.Index, ok, index)
		}
	}
}

// TestRevocationCorrected moves the place from which a key is revoked, back and
// forth: what counts follows, and what is a link stays.
func TestRevocationCorrected(t *testing.T) {
	a, tape := example(t)
	carol := a.Space.Leaf("carol", trust.Publisher)
	a.Space.Next(listing(a, carol))
	tape.Add(a.Identity(2)...) // 5
	for _, ref := range []string{"file/a@3", "file/a@4"} {
		tape.Add(as(a, carol, func() feedtest.Signed { return a.Publish(ref) })) // 6, 7
	}
	a.Space.Next(func(id *trust.Identity) {
		a.Space.Revoke(id, carol, trust.Position{Feed: a.ID.String(), Epoch: 1, Index: 6})
	})
	tape.Add(a.Identity(3)...)                                                // 8
	tape.Add(a.Publish("file/a@3", feedtest.Text("content", "not by carol"))) // 9
	tape.Add(a.Publish("file/a@5"))                                           // 10
	every(t, a, tape, 6, 7)
	a.Space.Next(func(id *trust.Identity) {
		id.Revocations[0].Since = []trust.RevokedFrom{{Epoch: 1, Feed: a.ID.String(), Size: 7}}
	})
	tape.Add(a.Identity(4)...).Add(a.Publish("file/a@6")) // 11, 12
	every(t, a, tape, 7, 9)                               // a@3 is carol's again
}

// TestRevocationHidesNoFork gives a follower that must read again another
// history, signed by the same key.
func TestRevocationHidesNoFork(t *testing.T) {
	for _, size := range []int64{10, 400} {
		a, tape := example(t)
		fill(a, tape, size)
		f := a.Follower(tape)
		sync(t, f, a.ID)
		a.Space.Next(func(id *trust.Identity) {
			a.Space.Revoke(id, a.Space.Approver, trust.Position{Feed: a.ID.String(), Epoch: 1, Index: 7})
		})
		fork := tape.First(6)
		for n := range size {
			fork.Add(a.Unknown("note", false, 7000+int(n)))
		}
		fork.Add(a.Identity(2)...)
		for name, view := range map[string]*trust.View{"learned in the fork": later(t, f, fork).View, "known before": a.Space.View(nil)} {
			g := later(t, f, fork)
			g.View = view
			wantRefused(t, g, a.ID, feed.ErrForked)
			if len(evidence(t, g)) != 2 {
				t.Errorf("%s: evidence %q", name, evidence(t, g))
			}
		}
	}
}

// TestForgottenIdentities follows with a home that lost what it learned: the
// feed is read again, instead of voiding what it cannot judge.
func TestForgottenIdentities(t *testing.T) {
	a, tape := example(t)
	carol := a.Space.Leaf("carol", trust.Publisher)
	a.Space.Next(listing(a, carol))
	tape.Add(a.Identity(2)...).Add(a.Draft(carol, "file/c@1", nil, nil))
	f := a.Follower(tape)
	sync(t, f, a.ID)
	tape.Add(a.Draft(carol, "file/d@1", nil, nil))
	forgetful := later(t, f, tape)
	forgetful.View = a.View()
	s, report := sync(t, forgetful, a.ID)
	wantVoid(t, s)
	if report.From != 0 {
		t.Errorf("%+v", report)
	}
}
