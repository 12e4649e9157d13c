package soak

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/url"
	"slices"
	"strings"
	"time"

	"airlock/feed"
	"airlock/feed/feedhttp"
	"airlock/feed/feedtest"
	"airlock/signing"
	"airlock/storage"
	"airlock/trust"
)

const (
	// askLimit bounds what a client waits for one answer, all attempts together.
	askLimit = 10 * time.Second
	// renewEvery is after how many questions a client is another one, that knows
	// nothing.
	renewEvery = 200
)

// client is what publishers and readers have in common.
type client struct {
	*track
	number int
	random *rand.Rand
	http   *feedhttp.Client
	seen   int64 // entries
}

func newClient(t *track, purpose string, number int) *client {
	c := &client{track: t, number: number, random: t.s.random(fmt.Sprintf("%s %d of %s", purpose, number, t.id))}
	c.http = t.s.client(c.random)
	return c
}

// ask lets a question be asked between the ends of two windows. It reports whether
// it was asked.
func (c *client) ask(ctx context.Context, question func(context.Context)) bool {
	c.quiet.RLock()
	defer c.quiet.RUnlock()
	if ctx.Err() != nil {
		return false
	}
	// It is asked to its end: what nobody waits for is what nobody can check.
	limited, cancel := context.WithTimeout(context.WithoutCancel(ctx), askLimit)
	defer cancel()
	question(limited)
	return true
}

// saw notes a head that the client was shown.
func (c *client) saw(call time.Duration, head feed.Checkpoint) {
	c.note(&op{Client: c.number, Call: call, Ret: c.s.now(), Result: seen, At: head.Size, Least: c.seen, Root: head.Root})
	c.seen = max(c.seen, head.Size)
}

// excused reports whether an error is one of those that servers and networks in
// trouble may give; others end the run.
func (c *client) excused(what string, err error) bool {
	var netErr net.Error
	var urlErr *url.Error
	problem, _ := errors.AsType[*feedhttp.ProblemError](err)
	switch {
	case problem != nil && slices.Contains([]string{"busy", "store-away", "unclear", "timeout", "closing", "slow", "no-space", "internal"}, problem.Name):
		c.s.tally.add(what + ": " + problem.Name)
	case problem == nil && (errors.As(err, &netErr) || errors.As(err, &urlErr) || errors.Is(err, context.DeadlineExceeded) || errors.Is(err, io.ErrUnexpectedEOF) ||
		strings.HasSuffix(err.Error(), "the server does not answer")):
		c.s.tally.add(what + ": no answer")
	case errors.Is(err, context.Canceled):
	default:
		c.s.broken(fmt.Errorf("client %d of %s: %s: %w", c.number, c.id, what, err))
		return false
	}
	return true
}

// publisher publishes versions of a name of its own and of names that others
// publish too.
type publisher struct {
	*client
	author   *feedtest.Author
	heads    map[string]signing.ID // as far as known
	versions int
	last     *statement    // that was committed
	pause    time.Duration // before the next, at most
}

func newPublisher(t *track, n int) *publisher {
	p := &publisher{client: newClient(t, "publisher", n), heads: map[string]signing.ID{}}
	p.author = feedtest.AuthorOf(t.s.t, t.s.space, t.id.Name)
	return p
}

func (p *publisher) run(ctx context.Context) {
	for p.ask(ctx, p.publish) && sleep(ctx, time.Duration(p.random.Int64N(int64(p.pause)))) {
		if p.random.IntN(3) == 0 {
			p.ask(ctx, p.look)
		}
		if p.random.IntN(renewEvery) == 0 {
			p.http, p.seen = p.s.client(p.random), 0
		}
	}
}

// look reads the head: what was published has to be seen.
func (p *publisher) look(ctx context.Context) {
	call := p.s.now()
	head, err := p.http.Checkpoint(ctx, p.id)
	if err == nil {
		p.saw(call, head)
	} else {
		p.excused("look", err)
	}
}

// draft signs one to three versions of a name that follow each other; now and then
// one that is taken.
func (p *publisher) draft() (*op, feed.Batch) {
	o := &op{Client: p.number}
	if p.last != nil && p.random.IntN(30) == 0 {
		o.Batch = []statement{{Name: p.last.Name, Version: p.last.Version}}
	} else {
		name := fmt.Sprintf("own-%d", p.number)
		if p.random.IntN(3) == 0 {
			name = fmt.Sprintf("shared-%d", p.random.IntN(3))
		}
		for range 1 + p.random.IntN(3)*p.random.IntN(2) {
			p.versions++
			o.Batch = append(o.Batch, statement{Name: name, Version: fmt.Sprintf("%d.%d", p.number, p.versions)})
		}
	}
	var signed []feedtest.Signed
	previous := p.heads[o.Batch[0].Name]
	for i := range o.Batch {
		st := &o.Batch[i]
		st.Previous = previous
		content := fmt.Sprintf("%d of %d", p.random.Uint64(), p.number)
		s := p.author.Draft(p.s.space.Publisher, fmt.Sprintf("file/%s@%s", st.Name, st.Version), []feedtest.File{feedtest.Text("f", content)}, func(pub *feed.Publication) {
			if pub.Previous = nil; !previous.IsZero() {
				pub.Previous = &st.Previous
			}
		})
		st.ID, previous = s.ID(), s.ID()
		p.wrote(st.ID, content)
		signed = append(signed, s)
	}
	return o, batchOf(p.id, signed)
}

func (p *publisher) publish(ctx context.Context) {
	o, batch := p.draft()
	o.Call = p.s.now()
	accepted, err := p.http.Publish(ctx, batch)
	o.Ret = p.s.now()
	if !p.answered(o, batch, accepted, err) {
		return
	}
	p.note(o)
	name := o.Batch[0].Name
	p.pause = 50 * time.Millisecond
	switch o.Result {
	case unclear:
		p.pause = 2 * time.Second
	case committed:
		p.s.tally.add("publish: acknowledged")
		p.s.tally.max("publish: slowest in ms", int((o.Ret - o.Call).Milliseconds()))
		p.last = &o.Batch[len(o.Batch)-1]
		p.heads[name] = p.last.ID
		p.saw(o.Call, accepted.Checkpoint)
		if p.random.IntN(20) == 0 {
			p.again(ctx, batch, accepted)
		}
	case notHead:
		p.s.tally.add("publish: refused, not the newest")
		if p.heads[name] = o.Head; o.Head.IsZero() {
			delete(p.heads, name)
		}
	case taken:
		p.s.tally.add("publish: refused, taken")
	}
}

// answered says in o what the client was told. It is false where that ends the run.
func (p *publisher) answered(o *op, b feed.Batch, accepted feed.Accepted, err error) bool {
	if chain, ok := errors.AsType[*feed.ChainError](err); ok {
		if o.Result = notHead; chain.Head != nil {
			o.Head = *chain.Head
		}
		return true
	}
	if version, ok := errors.AsType[*feed.VersionError](err); ok {
		o.Result, o.At = taken, version.Index
		return true
	}
	if err != nil {
		o.Result = unclear
		return p.excused("publish", err)
	}
	o.At = accepted.Indices[0]
	for i, at := range accepted.Indices {
		if at != o.At+int64(i) {
			p.s.broken(fmt.Errorf("client %d of %s: a batch of neighbours is at %v", p.number, p.id, accepted.Indices))
			return false
		}
	}
	if accepted.Added == len(b.Statements) {
		if err := accepted.Verify(p.id, p.s.key.Public(), b.Statements); err != nil {
			p.s.broken(fmt.Errorf("client %d of %s: %w", p.number, p.id, err))
			return false
		}
	}
	return true
}

// again sends a batch that was acknowledged, as one does who did not get the
// answer: it must be where it was.
func (p *publisher) again(ctx context.Context, b feed.Batch, before feed.Accepted) {
	accepted, err := p.s.client(p.random).Publish(ctx, b)
	if err != nil {
		p.excused("publish again", err)
		return
	}
	p.s.tally.add("publish: again")
	if accepted.Added != 0 || !slices.Equal(accepted.Indices, before.Indices) {
		p.s.broken(fmt.Errorf("client %d of %s: a batch was committed at %v and again at %v, %d of it new", p.number, p.id, before.Indices, accepted.Indices, accepted.Added))
	}
}

// reader reads heads, waits for news, and follows as receivers do.
type reader struct {
	*client
	state *storage.Store // of the follower
}

func newReader(t *track, n int) *reader {
	return &reader{newClient(t, "reader", 100+n), storage.NewMem()}
}

func (r *reader) run(ctx context.Context) {
	for r.ask(ctx, r.read) && sleep(ctx, time.Duration(r.random.Int64N(int64(50*time.Millisecond)))) {
		if r.random.IntN(renewEvery) == 0 {
			r.http, r.state, r.seen = r.s.client(r.random), storage.NewMem(), 0
		}
	}
}

func (r *reader) read(ctx context.Context) {
	call := r.s.now()
	switch r.random.IntN(4) {
	case 0:
		head, err := r.http.Checkpoint(ctx, r.id)
		if err != nil {
			r.excused("read", err)
			return
		}
		r.s.tally.add("read: head")
		r.saw(call, head)
	case 1:
		heads, err := r.http.Heads(ctx, map[feed.ID]int64{r.id: r.seen}, time.Second)
		if err != nil {
			r.excused("wait", err)
			return
		}
		if head, ok := heads[r.id]; ok {
			r.s.tally.add("read: waited")
			r.saw(call, head)
		}
	default:
		r.follow(ctx)
	}
}

// follow reads all that is new and verifies it. Whatever it finds wrong that is not
// a matter of the way there ends the run: an entry that does not count, too.
func (r *reader) follow(ctx context.Context) {
	call := r.s.now()
	view, err := trust.NewView(r.s.space.HistoryAt(1), nil)
	if err != nil {
		r.s.broken(err)
		return
	}
	f := feed.Follower{Source: r.http, View: view, State: r.state, Now: time.Now}
	state, report, err := f.Sync(ctx, r.id)
	if err != nil {
		r.excused("follow", err)
		return
	}
	for at, why := range report.Void {
		r.s.broken(fmt.Errorf("client %d of %s: entry %d is void: %w", r.number, r.id, at, why))
	}
	r.s.tally.add("read: followed")
	r.saw(call, state.Checkpoint())
}
