package log

import (
	"context"
	"fmt"
	"time"

	"airlock/feed"
	"airlock/signing"
	"airlock/storage"
)

// MaxBatch bounds the submissions of one Append.
const MaxBatch = 2 * feed.SegmentSize * 2

// Submission is a statement that is to become an entry. The caller has checked
// who signed it, and made what it names durable in the Space's objects, and the
// statement too, by Stage or as an object of its own.
type Submission struct {
	Attestation signing.Attestation
	Entry       feed.Entry

	stored storage.Digest // object that holds the statement, see Stage; zero for one of its own
}

type request struct {
	ctx   context.Context
	epoch uint64
	subs  []Submission
	done  chan outcome
}

type outcome struct {
	accepted feed.Accepted
	err      error
}

// Append commits submissions, all of them or none, in order and as neighbours.
// Those that the feed holds already keep their index. Entry 0 of a feed that
// does not exist yet must be its opening.
//
// Refusals are *feed.VersionError, *feed.ChainError, *OpenedError and
// *EpochError.
// Where ctx ends first the outcome is not known; asking again is safe.
func (l *Log) Append(ctx context.Context, epoch uint64, subs []Submission) (feed.Accepted, error) {
	if len(subs) == 0 || len(subs) > MaxBatch {
		return feed.Accepted{}, fmt.Errorf("feed %s: %d submissions at once, want 1 to %d", l.id, len(subs), MaxBatch)
	}
	if l.config.Key.IsZero() {
		return feed.Accepted{}, fmt.Errorf("feed %s: %w", l.id, ErrForeignKey)
	}
	l = l.logs.keep(l)
	if !l.logs.run(l) {
		return feed.Accepted{}, fmt.Errorf("feed %s: %w", l.id, ErrClosed)
	}
	r := &request{ctx: ctx, epoch: epoch, subs: subs, done: make(chan outcome, 1)}
	select {
	case l.queue <- r:
	case <-l.stopped:
		return feed.Accepted{}, fmt.Errorf("feed %s: %w", l.id, ErrClosed)
	case <-ctx.Done():
		return feed.Accepted{}, ctx.Err()
	}
	select {
	case o := <-r.done:
		return o.accepted, o.err
	case <-ctx.Done():
		return feed.Accepted{}, ctx.Err()
	case <-l.finished:
	}
	select { // queued before the end, and answered, or behind it
	case o := <-r.done:
		return o.accepted, o.err
	default:
		return feed.Accepted{}, fmt.Errorf("feed %s: %w", l.id, ErrClosed)
	}
}

// run owns the index and commits group after group until the log is closed.
func (l *Log) run() {
	defer close(l.finished)
	for {
		select {
		case r := <-l.queue:
			l.commit(l.gather(r))
		case <-l.stopped:
			// What was queued before the end still gets its answer.
			for {
				select {
				case r := <-l.queue:
					l.commit(l.gather(r))
				default:
					return
				}
			}
		}
	}
}

// gather collects what is waiting, and what comes within the window.
func (l *Log) gather(first *request) []*request {
	group, n := []*request{first}, len(first.subs)
	var window <-chan time.Time
	if l.config.Window > 0 {
		t := time.NewTimer(l.config.Window)
		defer t.Stop()
		window = t.C
	}
	for n < maxGroup {
		if window == nil {
			select {
			case r := <-l.queue:
				group, n = append(group, r), n+len(r.subs)
				continue
			default:
				return group
			}
		}
		select {
		case r := <-l.queue:
			group, n = append(group, r), n+len(r.subs)
		case <-window:
			return group
		case <-l.stopped:
			return group
		}
	}
	return group
}
