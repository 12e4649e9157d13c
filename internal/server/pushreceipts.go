package server

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"time"

	"airlock/bundle"
	"airlock/feed"
	"airlock/feed/feedhttp"
	"airlock/receipts"
	"airlock/signing"
	"airlock/trust"
)

// receiptsWait is for how long an inbox may wait for receipts of what is pushed. A
// later one comes as the Space sends it.
const receiptsWait = 5 * time.Second

// ownReceipts is the feed of the receipts that the inbox gives.
func (r *pushRunner) ownReceipts() feed.ID { return feed.ID{Space: r.space, Name: receipts.Feed} }

// wanted returns which receipts the answer to what is sent next of a feed is to have,
// and brings the inbox the Space's receipts feed before: by the numbers there it
// knows whether it was put back from a backup, and would give some of them twice. Where
// that cannot be brought, packages come all the same, and no receipts of them here.
func (r *pushRunner) wanted(ctx context.Context, id feed.ID) feedhttp.PushReceipts {
	own := r.ownReceipts()
	if id == own {
		return feedhttp.PushReceipts{}
	}
	h, err := r.server.logs.Feed(own).Head(ctx, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return feedhttp.PushReceipts{Wait: receiptsWait}
	}
	if has := r.cursor.Taken[own]; err == nil && (has.Epoch != h.Epoch || has.Size < h.Checkpoint.Size) {
		err = r.bring(ctx, own, h.Checkpoint.Size)
	}
	if err != nil {
		return feedhttp.PushReceipts{}
	}
	return feedhttp.PushReceipts{Wait: receiptsWait, Known: r.cursor.Taken[own].Size}
}

// PushReceipts is what became of the receipts in the last answer that had some. It
// names nobody: who wants to know who did it reads the Space's receipts feed, which
// holds them.
type PushReceipts struct {
	Feed     feed.ID                  `json:"feed"` // of which packages were pushed
	Outcomes map[receipts.Outcome]int `json:"outcomes,omitempty"`
	Problem  string                   `json:"problem,omitempty"` // why the feed does not hold them
	Time     int64                    `json:"time"`              // when they came, Unix seconds
}

func (p *PushReceipts) check() error {
	if err := signing.CheckText(p.Problem, maxProblem); err != nil {
		return fmt.Errorf("receipts: problem: %w", err)
	}
	if (len(p.Outcomes) == 0) == (p.Problem == "") || p.Time < 0 || p.Time > maxSeconds {
		return fmt.Errorf("receipts: %d outcomes with problem %.40q, at %d", len(p.Outcomes), p.Problem, p.Time)
	}
	for o, n := range p.Outcomes {
		if !slices.Contains(receipts.Outcomes, o) || n < 1 {
			return fmt.Errorf("receipts: %d of outcome %.40q, want 1 or more of %v", n, o, receipts.Outcomes)
		}
	}
	return nil
}

// RulePushed is the rule of a *trust.DeniedError about an answer to a push that has
// other things in it than receipts of what was pushed.
const RulePushed = "pushed"

// takeReceipts appends the receipts in the answer to a slice to the receipts feed of
// the Space, as if it had sent them itself, and notes in the cursor what they say.
// What is wrong with them is shown there, and does not make the push fail.
func (r *pushRunner) takeReceipts(ctx context.Context, s bundle.Slice, raw []byte) {
	if len(raw) == 0 {
		return
	}
	caller := feedhttp.Caller{Role: feedhttp.Enrolled, Space: r.space, Address: r.record.URL}
	b, outcomes, err := r.answered(ctx, s, raw)
	if err != nil {
		r.server.audit(ctx, caller, "publish", b.Feed.String(), err, "push", r.record.ID)
	} else {
		_, err = r.server.Publish(ctx, caller, b)
	}
	if ctx.Err() != nil {
		return
	}
	r.cursor.Receipts = &PushReceipts{Feed: s.Feed, Outcomes: outcomes, Time: r.server.config.Now().Unix()}
	if err != nil {
		r.cursor.Receipts.Outcomes, r.cursor.Receipts.Problem = nil, problem(err)
		r.server.config.Logger.Warn("receipts in the answer to a push were not taken in", "push", r.record.ID, "space", r.record.Space, "error", err)
	}
}

// answered reads the batch of an answer, and refuses what is not about the slice.
// Whether the Space said it is for Publish.
func (r *pushRunner) answered(ctx context.Context, s bundle.Slice, raw []byte) (feed.Batch, map[receipts.Outcome]int, error) {
	b := feed.Batch{Feed: r.ownReceipts()}
	if len(raw) > feedhttp.MaxPushReceipts {
		return b, nil, &feedhttp.LimitError{What: "batch of receipts", Max: feedhttp.MaxPushReceipts}
	}
	b, err := feedhttp.ParseBatch(raw, b.Feed)
	if err != nil {
		return b, nil, err
	}
	// An opening is for a feed that is not there. One of a later identity than the
	// feed was opened under would be another one.
	_, missing := r.server.logs.Feed(b.Feed).Head(ctx, 0)
	outcomes, about := map[receipts.Outcome]int{}, map[signing.ID]bool{}
	var wanted []signing.Attestation
	for i, a := range b.Statements {
		st, err := signing.ParseStatement(a.Payload())
		if err != nil {
			return b, nil, malformed(b.Feed, err)
		}
		switch st.Kind {
		case signing.Feed:
			if missing == nil {
				continue
			}
		case signing.Identity:
		case signing.Receipt:
			said, err := receipts.Parse(st)
			if err != nil {
				return b, nil, malformed(b.Feed, err)
			}
			if p := said.Publication; p.Feed != s.Feed || p.Epoch != s.Epoch || p.Lineage != s.Lineage {
				return b, nil, notPushed(b.Feed, fmt.Sprintf("receipt %d is about feed %s, epoch %d, and %s was pushed", said.Number, p.Feed, p.Epoch, s.Feed))
			}
			about[said.Publication.Statement] = true
			outcomes[said.Outcome]++
		default:
			return b, nil, notPushed(b.Feed, fmt.Sprintf("statement %d is of kind %s", i, st.Kind))
		}
		wanted = append(wanted, a)
	}
	if len(outcomes) == 0 {
		return b, nil, notPushed(b.Feed, "has no receipt")
	}
	b.Statements = wanted
	return b, outcomes, r.holds(ctx, b.Feed, s, about)
}

// holds refuses statements that are not all entries of a slice.
func (r *pushRunner) holds(ctx context.Context, of feed.ID, s bundle.Slice, about map[signing.ID]bool) error {
	for segment, err := range r.server.Local().Segments(ctx, s.Feed, s.From, s.To) {
		if err != nil {
			return err
		}
		for i, raw := range segment.Statements {
			if at := segment.Start + int64(i); at < s.From || at >= s.To {
				continue
			}
			if a, err := signing.ParseAttestation(raw); err == nil {
				delete(about, a.ID())
			}
		}
		if len(about) == 0 {
			return nil
		}
	}
	return notPushed(of, fmt.Sprintf("speaks of an entry that is not among those of feed %s which were pushed, %d to %d", s.Feed, s.From, s.To-1))
}

func notPushed(of feed.ID, why string) error {
	return &trust.DeniedError{Reason: trust.Untrusted, Rule: RulePushed, Thing: "answer for feed " + of.String(), Why: why}
}
