package agent

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"airlock/feed"
	"airlock/signing"
	"airlock/storage"
)

// Cell is where a board is kept. Its methods are those of storage.Cells for
// one key, but that Load of nothing gives no bytes, no tag and no error.
type Cell interface {
	Load(ctx context.Context) (value []byte, tag string, err error)
	Swap(ctx context.Context, tag string, value []byte) (newTag string, err error)
}

// Agent is a process that works for a Space, or a server for its store.
type Agent struct {
	ID    string // see NewID; of a server that of its home
	Label string // for people: the machine's name
	// Patience is how long it may be silent until another agent of the Space does
	// its work; 1 ms to a day.
	Patience time.Duration
}

// NewID returns an id for an agent. It is of the process and is kept nowhere: who
// is put back from a backup, or copied, is somebody else.
func NewID() string {
	var id [16]byte
	_, _ = rand.Read(id[:]) // never fails, see crypto/rand
	return hex.EncodeToString(id[:])
}

// Desk is where an agent learns on the board which rules are its work, and says what
// it does. It may be used concurrently.
type Desk struct {
	cell Cell
	self Agent
	now  func() time.Time // for waiting; what is written for people is by it too

	mu      sync.Mutex
	board   *board // as it was last seen
	tag     string
	held    map[string]int64 // work of this agent, with its fence
	watched map[string]watch // work of others
}

// watch is a question that a holder owes an answer to.
type watch struct {
	fence, asked int64
	until        time.Time // when the work is lost without an answer
	alive        bool      // it has answered one before
}

// NewDesk returns a desk at a board. now is the machine's clock.
func NewDesk(cell Cell, self Agent, now func() time.Time) *Desk {
	self.Label = signing.Printable(self.Label, maxLabel)
	return &Desk{cell: cell, self: self, now: now, held: map[string]int64{}, watched: map[string]watch{}}
}

// ErrLost reports work that another agent of the Space has taken over: what it does
// from then on must not be done here too.
var ErrLost = errors.New("another agent of this Space has taken over")

// Standing is how things are with a rule.
type Standing struct {
	Held  bool   // by this agent
	Alive bool   // somebody else's, who answers
	Label string // of the holder
	Since string // when it took it, by its clock
	ID    string // of the holder
	Fence int64
	Noted int64  // how often what was taken was written
	Acted string // when the rule last acted, of one that does at a time of day
}

// Look reads the board, answers who asked, asks others of whom this agent would
// take over, and takes what nobody does. last says of each rule who held it when
// this home last looked: where that was an agent of this very home that ended
// without a word, and with nothing half done, nobody is waited for.
func (d *Desk) Look(ctx context.Context, last map[string]string) (map[string]Standing, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.board = nil
	err := d.change(ctx, func(b *board) (changed bool, _ error) {
		for name, before := range last {
			changed = d.look(b, name, before) || changed
		}
		return changed, nil
	})
	if err != nil {
		return nil, err
	}
	out := map[string]Standing{}
	for name := range last {
		w := d.board.Work[name]
		_, held := d.held[name]
		out[name] = Standing{Held: held, Alive: d.watched[name].alive, Label: w.Label, Since: w.Since, ID: w.Holder, Fence: w.Fence, Noted: w.Noted, Acted: w.Acted}
	}
	return out, nil
}

// Until returns when the first of those who owe an answer loses its work to this
// agent, if it looks then; zero where nobody owes one.
func (d *Desk) Until() (at time.Time) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for name, w := range d.watched {
		if _, held := d.held[name]; !held && (at.IsZero() || w.until.Before(at)) {
			at = w.until
		}
	}
	return at
}

// look does what there is to do about one rule, and reports whether that is to be
// written.
func (d *Desk) look(b *board, name, before string) bool {
	w := b.Work[name]
	switch {
	case w == nil || w.Holder == "":
		d.take(b, name)
		return true
	case d.mine(name, w):
		late := w.Asked > w.Answered
		w.Answered = w.Asked
		delete(d.watched, name)
		return late
	case w.Holder == before && w.Label == d.self.Label && !w.busy():
		d.take(b, name)
		return true
	}
	delete(d.held, name)
	seen := d.watched[name]
	if seen.fence != w.Fence {
		seen = watch{fence: w.Fence}
	}
	if seen.asked > 0 && w.Answered >= seen.asked {
		seen.alive = true
	}
	asks := w.Asked == w.Answered
	if asks {
		w.Asked++
	}
	if asks || seen.asked != w.Asked {
		seen.asked, seen.until = w.Asked, d.now().Add(time.Duration(w.Patience)*time.Millisecond)
	}
	d.watched[name] = seen
	if !asks && !d.now().Before(seen.until) {
		d.take(b, name) // and forgets of whom once it is seen to be written: others may be faster
		return true
	}
	return asks
}

// busy reports whether a program is being handed something.
func (w *work) busy() bool {
	for _, t := range w.Taken {
		if t.Begun > 0 {
			return true
		}
	}
	return false
}

// mine reports whether this agent holds a rule.
func (d *Desk) mine(name string, w *work) bool {
	fence, ok := d.held[name]
	return ok && w != nil && w.Holder == d.self.ID && w.Fence == fence
}

func (d *Desk) take(b *board, name string) {
	w := b.Work[name]
	if w == nil {
		b.makeRoom()
		w = &work{}
		b.Work[name] = w
	}
	w.Fence++
	w.Holder, w.Label, w.Patience, w.Since = d.self.ID, d.self.Label, d.self.Patience.Milliseconds(), signing.FormatTime(d.now())
	w.Answered = w.Asked
	d.held[name] = w.Fence
}

// makeRoom forgets the rule that was given back first, where there are too many.
func (b *board) makeRoom() {
	if len(b.Work) < maxWork {
		return
	}
	oldest := ""
	for name, w := range b.Work {
		if w.Holder == "" && (oldest == "" || w.Since < b.Work[oldest].Since || w.Since == b.Work[oldest].Since && name < oldest) {
			oldest = name
		}
	}
	delete(b.Work, oldest)
}

// Leave gives back what this agent holds.
func (d *Desk) Leave(ctx context.Context) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(d.held) == 0 {
		return nil
	}
	return d.change(ctx, func(b *board) (changed bool, _ error) {
		for name := range d.held {
			if w := b.Work[name]; d.mine(name, w) {
				w.Holder, w.Label, w.Patience, w.Since = "", "", 0, signing.FormatTime(d.now())
				w.Answered = w.Asked
				changed = true
			}
		}
		return changed, nil
	})
}

// Taken returns what a rule's program took of a feed, by the word of the board as it
// was last seen; ok is false where nobody said anything of this program.
func (d *Desk) Taken(name, target string, id feed.ID) (t Taken, ok bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.board == nil || d.board.Work[name] == nil || d.board.Work[name].Target != target {
		return t, false
	}
	t, ok = d.board.Work[name].Taken[id]
	t.Entries = slices.Clone(t.Entries)
	return t, ok
}

// Note writes what a rule's program took of a feed, and what it is handed next. It
// is ErrLost, and nothing is written, where the rule is another agent's by now: then
// the program must not be handed anything. It returns the fence: the number of this
// agent in the order of those who held the rule.
func (d *Desk) Note(ctx context.Context, name, target string, id feed.ID, t Taken) (int64, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	err := d.say(ctx, name, func(w *work) {
		if w.Target != target {
			w.Target, w.Taken = target, nil
		}
		if w.Taken == nil {
			w.Taken = map[feed.ID]Taken{}
		}
		w.Taken[id] = t
		w.Noted++
	})
	return d.held[name], err
}

// Act writes when a rule acted that does so at a time of day; ErrLost as in Note.
func (d *Desk) Act(ctx context.Context, name string, at time.Time) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.say(ctx, name, func(w *work) { w.Acted = signing.FormatTime(at) })
}

// say edits work of this agent's, and is ErrLost where it is another's.
func (d *Desk) say(ctx context.Context, name string, edit func(*work)) error {
	return d.change(ctx, func(b *board) (bool, error) {
		w := b.Work[name]
		if !d.mine(name, w) {
			delete(d.held, name)
			return false, fmt.Errorf("%s: %w", name, ErrLost)
		}
		edit(w)
		w.Answered = w.Asked
		return true, nil
	})
}

// Noted returns how often it was written what a rule's program took.
func (d *Desk) Noted(name string) int64 {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.board == nil || d.board.Work[name] == nil {
		return 0
	}
	return d.board.Work[name].Noted
}

// maxSwaps bounds how often others may be faster with the board.
const maxSwaps = 50

// change edits the board as it was last seen, or as it is where that is out of date,
// and writes it where edit says so.
func (d *Desk) change(ctx context.Context, edit func(*board) (bool, error)) error {
	for range maxSwaps {
		if d.board == nil {
			if err := d.load(ctx); err != nil {
				return err
			}
		}
		seen := d.board
		d.board = nil // what is edited is no longer what is there
		changed, err := edit(seen)
		if err != nil || !changed {
			if err == nil {
				d.board = seen
			}
			return err
		}
		value, err := seen.format()
		if err != nil {
			return err
		}
		tag, err := d.swap(ctx, value)
		if err == nil {
			d.board, d.tag = seen, tag
			return nil
		}
		if !errors.Is(err, storage.ErrConflict) {
			return err
		}
	}
	return fmt.Errorf("board of agents: %w", storage.ErrConflict)
}

func (d *Desk) load(ctx context.Context) error {
	raw, tag, err := d.cell.Load(ctx)
	if err != nil {
		return err
	}
	d.board, err = parseBoard(raw)
	d.tag = tag
	return err
}

// swap writes the board. Where the answer was lost, or the request was sent twice,
// it looks whether it is there: each word of an agent has its id in it.
func (d *Desk) swap(ctx context.Context, value []byte) (string, error) {
	tag, err := d.cell.Swap(ctx, d.tag, value)
	if !errors.Is(err, storage.ErrConflict) && !errors.Is(err, storage.ErrUnclear) {
		return tag, err
	}
	there, tag, err := d.cell.Load(ctx)
	if err == nil && !bytes.Equal(there, value) {
		err = storage.ErrConflict
	}
	return tag, err
}
