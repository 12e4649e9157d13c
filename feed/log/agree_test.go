package log_test

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"airlock/feed"
	"airlock/feed/feedtest"
	"airlock/feed/log"
	"airlock/signing"
	"airlock/storage"
	"airlock/trust"
)

// chronicle is a random history of a feed: publications and withdrawals by good
// leaves, thieves and strangers, right and wrong, and identities that list,
// revoke, correct revocations and replace the root.
type chronicle struct {
	t       *testing.T
	a       *feedtest.Author
	rnd     *rand.Rand
	store   *storage.Store
	log     *log.Log
	leaves  []*signing.Signer // that were ever listed
	listed  []*signing.Signer // besides the publisher: keys that will be stolen
	tape    *feedtest.Tape    // what the log took
	steady  *feed.Follower    // reads after every step
	state   *feed.State       // of a newcomer after the last step
	version int               // of the identity that the log has
}

func newChronicle(t *testing.T, seed uint64) *chronicle {
	a := feedtest.NewAuthor(t, "acme/dev-qa/shared")
	c := &chronicle{t: t, a: a, rnd: rand.New(rand.NewPCG(seed, 0)), store: storage.NewMem(), tape: feedtest.NewTape(a), version: 1}
	c.leaves = []*signing.Signer{a.Space.Publisher}
	c.listed = []*signing.Signer{listed(a, "leaf 0")}
	c.leaves = append(c.leaves, c.listed...)
	c.steady = a.Follower(c.tape)
	c.restart()
	c.commit(a.Opening(), true)
	return c
}

func (c *chronicle) restart() {
	c.log = process(c.t, log.Config{Store: c.store, Key: feedtest.Key(1)}).Feed(c.a.ID)
}

// batch draws what is sent together: identities alone, or with a statement that
// may be refused with them, or statements.
func (c *chronicle) batch() []feedtest.Signed {
	n := 1 + c.rnd.IntN(3)
	if c.rnd.IntN(4) == 0 {
		c.nextIdentity()
		n = c.rnd.IntN(2)
	}
	out := c.identities()
	heads := map[string]*signing.ID{}
	for range n {
		s, name := c.statement(heads)
		id := s.ID()
		heads[name], out = &id, append(out, s)
	}
	return out
}

// identities are those that the log does not have yet.
func (c *chronicle) identities() (out []feedtest.Signed) {
	for n := c.version + 1; n <= c.a.Space.History().Current().Version; n++ {
		out = append(out, c.a.Identity(n)...)
	}
	return out
}

// nextIdentity makes the next version of the identity. One thief at least is
// always at work.
func (c *chronicle) nextIdentity() {
	space := c.a.Space
	switch kind := c.rnd.IntN(8); {
	case kind < 5:
		revoke(c.a, c.listed[0], c.position())
		c.listed = c.listed[1:]
	case kind < 6:
		space.Next(func(id *trust.Identity) {
			if n := len(id.Revocations); n > 0 {
				id.Revocations[c.rnd.IntN(n)].Since = []trust.RevokedFrom{{Epoch: 1, Feed: c.a.ID.String(), Size: c.position()}}
			}
		})
	case kind < 7: // the other leaves would need new certificates
		space.Next(func(id *trust.Identity) {
			for _, leaf := range c.listed {
				space.Drop(id, leaf)
			}
		})
		space.Next(space.Rotate)
		c.leaves, c.listed = append(c.leaves, space.Publisher), nil
	}
	if len(c.listed) < 2 {
		leaf := listed(c.a, fmt.Sprintf("leaf %d", len(c.leaves)))
		c.leaves, c.listed = append(c.leaves, leaf), append(c.listed, leaf)
	}
}

// position is where a revocation may begin.
func (c *chronicle) position() int64 {
	return max(2, c.tape.Len()-c.rnd.Int64N(12))
}

// statement draws a publication or withdrawal, and says of which name. Most name
// the head as readers see it.
func (c *chronicle) statement(heads map[string]*signing.ID) (feedtest.Signed, string) {
	name := []string{"p", "q"}[c.rnd.IntN(2)]
	ref := fmt.Sprintf("file/%s@%d", name, c.rnd.IntN(4))
	if c.rnd.IntN(4) > 0 {
		ref = fmt.Sprintf("file/%s@%d-%d", name, c.tape.Len(), len(heads))
	}
	previous := heads[name]
	if row, ok := c.state.Index.Head("file", name); ok && previous == nil {
		previous = &row.ID
	}
	if c.rnd.IntN(12) == 0 { // another entry, or none
		previous = nil
		if row := c.state.Index.Row(c.rnd.Int64N(c.state.Index.Size())); row.ID != (signing.ID{}) {
			previous = &row.ID
		}
	}
	leaf := c.a.Space.Publisher
	switch n := c.rnd.IntN(20); {
	case n == 0: // dropped, revoked, whatever
		leaf = c.leaves[c.rnd.IntN(len(c.leaves))]
	case n < 14 && len(c.listed) > 0:
		leaf = c.listed[c.rnd.IntN(len(c.listed))]
	}
	files := []feedtest.File{feedtest.Text("content", fmt.Sprint(ref, c.rnd.IntN(2)))}
	if state, ok := c.state.Index.State(feedtest.ParseRef(ref)); ok && previous != nil && c.rnd.IntN(2) == 0 {
		w := feed.Withdrawal{Epoch: 1, Feed: c.a.ID, Kind: "file", Lineage: c.a.Space.Lineage(), Name: name, Previous: previous,
			Reason: fmt.Sprint(c.rnd.Uint64()), Time: "2026-02-03T04:05:06Z", Version: state.Ref.Version}
		st, err := w.Statement(state.Manifest)
		return c.a.Sign(leaf, st, err), name
	}
	at := signing.FormatTime(time.Unix(c.rnd.Int64N(1<<31), 0))
	return c.a.Draft(leaf, ref, files, func(p *feed.Publication) { p.Previous, p.Time = previous, at }), name
}

// commit sends a batch, and checks that the log takes it exactly where readers
// would let all of it count. Identities stay out of a refused batch too, so they
// come again with the next.
func (c *chronicle) commit(batch []feedtest.Signed, wanted bool) {
	c.t.Helper()
	if len(batch) == 0 {
		return
	}
	would := c.tape.Clone().Add(batch...)
	_, report, err := c.a.Follower(would).Sync(c.t.Context(), c.a.ID)
	must(c.t, err)
	var why error
	for i := c.tape.Len(); i < would.Len() && why == nil; i++ {
		why = report.Void[i]
	}
	_, err = feedtest.Append(c.t.Context(), c.store, c.log, c.a.ID, batch...)
	if (err == nil) != (why == nil) || wanted && err != nil {
		c.t.Fatalf("the log says %v of a batch of %d at %d, readers say %v", err, len(batch), c.tape.Len(), why)
	}
	if err == nil {
		c.tape.Add(batch...)
		c.version = c.a.Space.History().Current().Version
	}
	c.read()
}

// read reads the log by a newcomer, and on by who has read it step by step: both
// must find the same.
func (c *chronicle) read() {
	c.t.Helper()
	newcomer := c.a.Follower(&feedtest.Source{Log: c.log, Store: c.store})
	var err error
	c.state, _, err = newcomer.Sync(c.t.Context(), c.a.ID)
	must(c.t, err)
	next := *c.steady
	next.View, err = trust.NewView(c.steady.View.History().Clone(), nil) // as after a restart
	must(c.t, err)
	next.Source, c.steady = c.tape, &next
	_, _, err = next.Sync(c.t.Context(), c.a.ID)
	must(c.t, err)
	if kept(c.t, c.steady, c.a) != kept(c.t, newcomer, c.a) {
		c.t.Fatalf("at %d entries a newcomer finds something else than who has read all along", c.tape.Len())
	}
}

// kept is what a follower keeps of the feed.
func kept(t *testing.T, f *feed.Follower, a *feedtest.Author) string {
	t.Helper()
	value, _, err := f.State.Cells.Load(t.Context(), "seen/"+storage.Digest(a.Space.Lineage()).Hex()+"/"+a.ID.Name)
	must(t, err)
	return string(value)
}

// TestCommitterAgrees takes random histories: at every step the committer takes
// a batch exactly where readers let it count, newcomers and those who read all
// along find the same, and no name is ever blocked.
func TestCommitterAgrees(t *testing.T) {
	var taken, revoked int
	for seed := range uint64(4) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			c := newChronicle(t, seed)
			for step := range 30 {
				if c.rnd.IntN(5) == 0 {
					c.restart()
				}
				c.commit(c.batch(), false)
				if step%10 == 9 {
					c.wantFree()
				}
			}
			for row := range c.state.Index.Rows(0) {
				if row.Link {
					revoked++
				}
			}
			taken += int(c.tape.Len())
		})
	}
	t.Logf("%d entries were taken, %d of them do not count", taken, revoked)
	if taken < 200 || revoked < 20 {
		t.Error("this shows little")
	}
}

// wantFree publishes a new version of each name, and every version that readers
// hold for free, behind the head that they see.
func (c *chronicle) wantFree() {
	c.t.Helper()
	for _, name := range []string{"p", "q"} {
		for n := range 5 {
			ref := fmt.Sprintf("file/%s@%d", name, n)
			if n == 4 {
				ref = fmt.Sprintf("file/%s@new-%d", name, c.tape.Len())
			}
			if _, ok := c.state.Index.State(feedtest.ParseRef(ref)); ok {
				continue
			}
			batch := c.identities()
			s := c.a.Draft(c.a.Space.Publisher, ref, nil, func(p *feed.Publication) {
				p.Previous = nil
				if row, ok := c.state.Index.Head("file", name); ok {
					p.Previous = &row.ID
				}
			})
			c.commit(append(batch, s), len(batch) == 0)
		}
	}
}
