package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"airlock/feed"
	"airlock/feed/feedhttp"
	"airlock/internal/agent"
	"airlock/internal/apply"
	"airlock/internal/home"
	"airlock/internal/server"
	"airlock/trust"
)

// lease is a subscriber's place among the agents of its Space.
type lease struct {
	self agent.Agent
	desk *agent.Desk // nil for one that works alone
	// held are the rules, by name, that are this agent's work, with their fences, and
	// elsewhere those that are another's.
	held      map[string]int64
	elsewhere map[string]agent.Standing
	// learn are the rules of whose program the board knows more than this home.
	learn  map[string]bool
	told   string // what people were told of all that
	moved  bell   // rung when work has changed hands, or that cannot be told
	hangUp func() // ends answering others
}

// boards is what places have that keep a board for a Space's agents.
type boards interface {
	Board(ctx context.Context, space trust.Space) (value []byte, tag string, err error)
	SetBoard(ctx context.Context, space trust.Space, tag string, value []byte) (newTag string, err error)
}

var (
	_ boards = (*feedhttp.Client)(nil)
	_ boards = (*server.Local)(nil)
)

// boardCell is the board of one Space.
type boardCell struct {
	boards
	space trust.Space
}

func (c boardCell) Load(ctx context.Context) ([]byte, string, error) {
	return c.Board(ctx, c.space)
}

func (c boardCell) Swap(ctx context.Context, tag string, value []byte) (string, error) {
	return c.SetBoard(ctx, c.space, tag, value)
}

// newSelf says who this process is among the agents of its Space.
func newSelf(patience time.Duration) agent.Agent {
	label, _ := os.Hostname() // for people: none is none
	return agent.Agent{ID: agent.NewID(), Label: label, Patience: patience}
}

func (r *subscriber) workOf(rule string) string { return r.sub.Name + "/" + rule }

// clockIn looks which of the rules are this agent's work, and takes what nobody
// does. Where there is no board, or no Space, it works alone; so it does with what was
// pushed to this home, which no other agent has.
func (r *subscriber) clockIn(ctx context.Context) error {
	own, err := r.home.Identity()
	if r.options.dryRun || len(r.rules) == 0 || r.source() == r.home.Inbox() || errors.Is(err, home.ErrNoSpace) {
		return nil
	}
	if err != nil {
		return err
	}
	desk := r.desk
	if desk == nil {
		place, ok := r.conn.place.(boards)
		if p, paced := r.conn.place.(pacedPlace); paced {
			place, ok = p.place.(boards)
		}
		if !ok {
			return fmt.Errorf("%s has no board", r.conn.name)
		}
		desk = agent.NewDesk(boardCell{place, own.Space()}, r.self, time.Now)
	}
	all, err := r.lookAround(ctx, desk)
	if why := noBoard(err); why != "" {
		r.alone(fmt.Sprintf("works alone: %s keeps no board for the agents of %s: %s", r.conn.name, own.Space(), why))
		return nil
	}
	if err != nil {
		return err
	}
	if r.desk == nil {
		r.desk, r.held, r.learn = desk, map[string]int64{}, map[string]bool{}
		r.answerOthers(ctx, all)
	}
	r.stand(all)
	return nil
}

// noBoard says why there is no board; "" for any other error, and for none.
func noBoard(err error) string {
	switch {
	case deniedBy(server.RuleAdmission, server.RuleCaller)(err), errors.Is(err, feedhttp.ErrUnauthorized):
		return oneLine(err.Error())
	case errors.Is(err, fs.ErrNotExist):
		return "it is of an earlier version"
	case errors.Is(err, fs.ErrPermission), errors.Is(err, syscall.EROFS):
		return "nothing can be written there"
	}
	return ""
}

// lookAround is what a desk says of all rules. One scan for cron waits until it is
// known whose they are.
func (r *subscriber) lookAround(ctx context.Context, desk *agent.Desk) (map[string]agent.Standing, error) {
	place, err := filepath.Abs(r.home.Path())
	if err != nil {
		return nil, err
	}
	last := map[string]string{}
	for _, p := range r.rules {
		last[r.workOf(p.rule)] = ""
		if w := r.state.Work[p.rule]; w.Here && r.state.Home == place {
			last[r.workOf(p.rule)] = w.Holder
		}
	}
	r.state.Home = place
	for {
		all, err := desk.Look(ctx, last)
		if err != nil || !r.options.once || settled(all) {
			return all, err
		}
		if !sleep(ctx, r.self.Patience/10) {
			return nil, ctx.Err()
		}
	}
}

// settled reports whether it is known whose all the work is.
func settled(all map[string]agent.Standing) bool {
	for _, s := range all {
		if !s.Held && !s.Alive {
			return false
		}
	}
	return true
}

// alone is how things are where there is no board.
func (r *subscriber) alone(why string) {
	r.clockOut()
	r.state.Work, r.state.Home = nil, ""
	r.sayOnce(why)
}

// stand notes whose work the rules are, and what there is to learn of those that
// this agent has taken over.
func (r *subscriber) stand(all map[string]agent.Standing) {
	work, others := map[string]agent.Worked{}, []string{}
	held, took := map[string]int64{}, []string{}
	r.elsewhere = map[string]agent.Standing{}
	for _, p := range r.rules {
		is, was := all[r.workOf(p.rule)], r.state.Work[p.rule]
		work[p.rule] = agent.Worked{Here: is.Held, Holder: is.ID, Label: is.Label, Noted: was.Noted, Since: is.Since}
		if !is.Held {
			r.elsewhere[p.rule] = is
			others = append(others, p.rule+" is done by the agent on "+dash(is.Label)+" since "+is.Since)
			continue
		}
		if held[p.rule] = is.Fence; r.held[p.rule] == is.Fence {
			continue
		}
		if r.learn[p.rule] = is.Noted != was.Noted || is.Noted == 0; is.Acted > r.state.Acted[p.rule] {
			r.state.Done(p.rule, is.Acted)
		}
		if was.Holder != "" && !was.Here {
			took = append(took, p.rule+" was taken over from the agent on "+dash(was.Label))
		}
	}
	r.held, r.state.Work = held, work
	if text := strings.Join(append(took, others...), ", "); text != "" {
		r.sayOnce(text)
	} else {
		r.told = ""
	}
}

// sayOnce tells people something once.
func (r *subscriber) sayOnce(text string) {
	if r.told != text {
		r.told = text
		r.note("%s", text)
	}
}

// answerOthers answers other agents who ask whether this one is there, also while a
// program runs, and takes over what they leave, until clockOut.
func (r *subscriber) answerOthers(ctx context.Context, before map[string]agent.Standing) {
	ctx, end := context.WithCancel(ctx)
	names := map[string]string{}
	for _, p := range r.rules {
		names[r.workOf(p.rule)] = ""
	}
	desk, every := r.desk, r.self.Patience/3
	var answering sync.WaitGroup
	answering.Go(func() {
		for wait := every; sleep(ctx, wait); {
			all, err := desk.Look(ctx, names)
			if err != nil || !sameHands(before, all) {
				r.moved.ring()
			}
			if wait = every; err == nil {
				before, wait = all, untilNext(desk, every)
			}
		}
	})
	r.hangUp = func() { end(); answering.Wait() }
}

// untilNext is how long an agent waits until it looks again: every, or less where
// somebody loses its work before.
func untilNext(desk *agent.Desk, every time.Duration) time.Duration {
	if at := desk.Until(); !at.IsZero() {
		return min(every, max(time.Until(at), every/100))
	}
	return every
}

// sameHands reports whether an agent holds the same rules as before.
func sameHands(before, all map[string]agent.Standing) bool {
	for name, s := range all {
		if before[name].Held != s.Held {
			return false
		}
	}
	return true
}

// farewell bounds how long it is tried to give back what is held.
const farewell = 5 * time.Second

// clockOut gives back what is held.
func (r *subscriber) clockOut() {
	if r.desk == nil {
		return
	}
	r.hangUp()
	ctx, cancel := context.WithTimeout(context.Background(), farewell)
	defer cancel()
	if err := r.desk.Leave(ctx); err != nil {
		r.note("airlock: warning: another agent of the Space waits for %s until it takes over: %s", r.self.Patience, oneLine(err.Error()))
	}
	r.desk, r.held, r.elsewhere, r.learn = nil, nil, nil, nil
}

// free reports whether none of the rules is this agent's work.
func (r *subscriber) free() bool { return len(r.rules) > 0 && len(r.elsewhere) == len(r.rules) }

// confirm is asked before a rule's target is touched: agent.ErrLost where the rule is
// another agent's by now.
func (r *subscriber) confirm(rule string) func(context.Context) error {
	return func(ctx context.Context) error {
		if r.desk == nil {
			return nil
		}
		all, err := r.desk.Look(ctx, map[string]string{r.workOf(rule): ""})
		if s := all[r.workOf(rule)]; err == nil && s.Fence != r.held[rule] {
			err = fmt.Errorf("%s: %w", r.workOf(rule), agent.ErrLost)
		}
		return err
	}
}

// sharing tells the other agents what a rule's program took, and is handed next.
func (r *subscriber) sharing(rule, target string) func(context.Context, feed.ID, []apply.Item, *apply.Action) (int64, error) {
	return func(ctx context.Context, id feed.ID, took []apply.Item, next *apply.Action) (int64, error) {
		if r.desk == nil {
			return 0, nil
		}
		t := agent.Taken{Epoch: r.at.Epoch, Lineage: r.at.Lineage}
		for _, it := range took {
			if row, ok := publicationOf(r.at.Index, it); ok {
				t.Entries = append(t.Entries, row.Index)
			}
		}
		if next != nil {
			t.Begun = next.Row.Index
		}
		return r.desk.Note(ctx, r.workOf(rule), target, id, t)
	}
}

// learnOf brings the home's record of what a rule's program took up to what the
// board says, where another agent has handed it something, or this home did that was
// put back from a backup since.
func (r *subscriber) learnOf(ctx context.Context, p *puller) error {
	e, ok := p.target.(*apply.Exec)
	if !ok || !r.learn[p.rule] {
		return nil
	}
	have, err := e.Installed(ctx, r.at.ID)
	if err != nil {
		return err
	}
	t, ok := r.desk.Taken(r.workOf(p.rule), apply.RecordName(p.options.exec), r.at.ID)
	if !ok || t.Lineage != r.at.Lineage || t.Epoch < r.at.Epoch { // nobody said anything of it
		if len(have) > 0 {
			_, err = e.Sharing(ctx, r.at.ID, have, nil)
		}
		return err
	}
	if n := len(t.Entries); t.Epoch > r.at.Epoch || n > 0 && t.Entries[n-1] >= r.at.Index.Size() {
		return &failure{code: exitIncomplete, what: fmt.Sprintf("another agent of this Space has handed out more of feed %s than %s shows", r.at.ID, r.conn.name),
			hint: "the source is behind what it or another one has shown: it is asked again"}
	}
	known := map[int64]apply.Item{}
	for _, it := range have {
		if i, ok := r.at.Index.ByID(it.Statement); ok {
			known[i] = it
		}
	}
	var items []apply.Item
	for _, n := range t.Entries {
		it, ok := known[n]
		if row := r.at.Index.Row(n); !ok && row.What == feed.IsPublication {
			it, ok = apply.Item{Ref: row.Ref, Index: n, Statement: row.ID, Manifest: row.Manifest}, true
		}
		if ok {
			items = append(items, it)
		}
	}
	return e.Adopt(ctx, r.at.ID, items)
}

// learned notes that the home knows what the board says of the programs of rules, by
// what a turn has come to.
func (r *subscriber) learned(full bool) {
	if full {
		clear(r.learn)
	}
	for rule := range r.held {
		if w := r.state.Work[rule]; !r.learn[rule] {
			w.Noted = r.desk.Noted(r.workOf(rule))
			r.state.Work[rule] = w
		}
	}
}

// act notes that a rule acted at its time of day, for this home and for others who
// may do its work tomorrow.
func (r *subscriber) act(ctx context.Context, rule string) {
	if _, others := r.elsewhere[rule]; others {
		return
	}
	r.state.Act(rule, r.moment.at)
	if r.desk == nil {
		return
	}
	if err := r.desk.Act(ctx, r.workOf(rule), r.moment.at); err != nil {
		r.note("airlock: warning: other agents do not know that %s acted: %s", rule, oneLine(err.Error()))
	}
}
