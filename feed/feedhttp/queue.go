package feedhttp

import (
	"context"
	"fmt"
	"slices"
	"sync"

	"airlock/trust"
)

// MaxCost bounds what one piece of work costs in a Queue.
const MaxCost = 64

// Queue lets so much work be done at once and takes what waits in turn over Spaces,
// by what it costs: deficit round robin (Shreedhar and Varghese, "Efficient Fair
// Queueing Using Deficit Round Robin", SIGCOMM 1995). What is at work is shared as
// all else: no Space has more places than it leaves free, so that who comes to a
// busy server need not wait for another's work to end. It may be used concurrently;
// a nil Queue lets everything be done at once.
type Queue struct {
	what    string
	metrics gauges

	mu      sync.Mutex // guards what follows
	places  int
	line    int // that wait of one Space
	all     int // that wait in all
	busy    int
	waiting int
	lines   map[trust.Space]*line
	ring    []*line // those of lines in which somebody waits; the first has its turn
	refused int64   // that had their share
}

// line is the work of a Space.
type line struct {
	space   trust.Space
	busy    int
	waiting []*place
	credit  int // what it may spend in this turn
}

// place is a piece of work that waits; turn is closed when it is its turn.
type place struct {
	cost int
	turn chan struct{}
}

// NewQueue returns a queue with so many places at work; perSpace pieces of work of
// one Space wait for them, and in all at most all.
func NewQueue(what string, places, perSpace, all int) *Queue {
	q := &Queue{what: what, metrics: queueGauges(what), lines: map[trust.Space]*line{}}
	q.SetLimits(places, perSpace, all)
	return q
}

// SetLimits changes how much is done at once, and how much may wait, for what comes
// from then on.
func (q *Queue) SetLimits(places, perSpace, all int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.places, q.line, q.all = max(places, 1), perSpace, all
	q.serve()
}

// Enter waits for a place for a piece of work of a Space, which costs 1 to MaxCost;
// what costs more counts as that. leave must be called. It is a *ShareError where
// too much work of the Space waits already, ErrBusy where too much waits in all.
func (q *Queue) Enter(ctx context.Context, who trust.Space, cost int) (leave func(), err error) {
	if q == nil {
		return func() {}, nil
	}
	l, p, err := q.join(who, min(max(cost, 1), MaxCost))
	if err != nil {
		return nil, err
	}
	if p != nil {
		select {
		case <-p.turn:
		case <-ctx.Done():
			q.giveUp(l, p)
			return nil, ctx.Err()
		}
	}
	return func() { q.leave(l) }, nil
}

// join begins a piece of work of a Space, or returns where it waits for its turn.
func (q *Queue) join(who trust.Space, cost int) (*line, *place, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	l := q.lines[who]
	if l == nil {
		l = &line{space: who}
	}
	switch {
	case len(l.waiting) == 0 && q.hasPlace(l):
		q.start(l)
		q.lines[who] = l
		return l, nil, nil
	case len(l.waiting) >= q.line:
		q.refused++
		return nil, nil, &ShareError{q.what}
	case q.waiting >= q.all:
		return nil, nil, fmt.Errorf("%w: too many %s wait", ErrBusy, q.what)
	}
	if len(l.waiting) == 0 {
		l.credit = 0
		q.ring = append(q.ring, l)
	}
	p := &place{cost, make(chan struct{})}
	l.waiting = append(l.waiting, p)
	q.waiting++
	q.lines[who] = l
	return l, p, nil
}

// hasPlace reports whether a Space may begin one more. The caller holds mu.
func (q *Queue) hasPlace(l *line) bool { return l.busy+1 <= q.places-q.busy }

func (q *Queue) start(l *line) {
	l.busy++
	q.busy++
}

func (q *Queue) leave(l *line) {
	q.mu.Lock()
	defer q.mu.Unlock()
	l.busy--
	q.busy--
	q.forget(l)
	q.serve()
}

// giveUp takes what nobody waits for any more out of its line.
func (q *Queue) giveUp(l *line, p *place) {
	if !q.withdraw(l, p) {
		q.leave(l) // its turn came at the same moment
	}
}

func (q *Queue) withdraw(l *line, p *place) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	i := slices.Index(l.waiting, p)
	if i < 0 {
		return false
	}
	l.waiting = slices.Delete(l.waiting, i, i+1)
	q.waiting--
	q.unlist(l)
	q.forget(l)
	return true
}

// serve begins what waits, as far as there are places: each Space in the ring may
// spend one more a round, and keeps what it has not spent while it waits. The caller
// holds mu.
func (q *Queue) serve() {
	for passed := 0; passed < len(q.ring) && q.busy < q.places; {
		l := q.ring[0]
		if !q.hasPlace(l) { // others may have one
			q.next()
			passed++
			continue
		}
		passed = 0
		if p := l.waiting[0]; l.credit+1 < p.cost {
			l.credit++
			q.next()
		} else {
			l.credit = 0
			l.waiting = l.waiting[1:]
			q.waiting--
			q.start(l)
			close(p.turn)
			q.next()
			q.unlist(l)
		}
	}
}

// next puts the first of the ring at its end.
func (q *Queue) next() { q.ring = append(q.ring[1:], q.ring[0]) }

// unlist takes a line in which nobody waits out of the ring.
func (q *Queue) unlist(l *line) {
	if len(l.waiting) > 0 {
		return
	}
	if i := slices.Index(q.ring, l); i >= 0 {
		q.ring = slices.Delete(q.ring, i, i+1)
	}
}

// forget drops a Space of which nothing is at work and nothing waits.
func (q *Queue) forget(l *line) {
	if l.busy == 0 && len(l.waiting) == 0 && q.lines[l.space] == l {
		delete(q.lines, l.space)
	}
}
