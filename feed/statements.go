package feed

import (
	"context"
	"fmt"

	"airlock/signing"
	"airlock/trust"
)

// Statements reads accepted entries again from the source and hands each,
// verified at its place, to each. An index keeps of a statement what packages
// need; approvals, holdings, receipts and whatever else says more than that are
// read this way. rows are of s, none of them void or an identity, in the order
// of their index.
//
// A source can give nothing but what was accepted: a statement that is not the
// row's, or whose signature does not verify, is an error that matches
// signing.ErrBadSignature, an entry that is not there a *GapError. Where the
// view has learned of a revocation since s was accepted, what it voids is a
// *trust.DeniedError: follow the feed again then.
func (f *Follower) Statements(ctx context.Context, s *State, rows []Row, each func(Row, trust.Verified, signing.Attestation) error) error {
	f.putInForce(s)
	return f.reread(ctx, s, rows, func(rows []Row, atts []signing.Attestation) error {
		verified, errs := make([]trust.Verified, len(rows)), make([]error, len(rows))
		Parallel(len(rows), func(i int) {
			verified[i], errs[i] = f.View.Verify(atts[i], trust.Want{}, s.At(rows[i].Index))
		})
		for i, row := range rows {
			if errs[i] != nil {
				return errs[i]
			}
			if err := each(row, verified[i], atts[i]); err != nil {
				return err
			}
		}
		return nil
	})
}

// Attestations is Statements without the view's word: each attestation is of
// the statement that was accepted, whoever signed it. rows may be of any kind,
// void ones too.
func (f *Follower) Attestations(ctx context.Context, s *State, rows []Row, each func(Row, signing.Attestation) error) error {
	return f.reread(ctx, s, rows, func(rows []Row, atts []signing.Attestation) error {
		for i, row := range rows {
			if err := each(row, atts[i]); err != nil {
				return err
			}
		}
		return nil
	})
}

// reread hands out the attestations of rows, one segment's together. Rows of
// neighbouring segments are read in one go, the others for themselves.
func (f *Follower) reread(ctx context.Context, s *State, rows []Row, each func([]Row, []signing.Attestation) error) error {
	for len(rows) > 0 {
		n := 1
		for n < len(rows) && rows[n].Index/SegmentSize <= rows[n-1].Index/SegmentSize+1 {
			n++
		}
		if err := f.rereadRun(ctx, s, rows[:n], each); err != nil {
			return err
		}
		rows = rows[n:]
	}
	return nil
}

func (f *Follower) rereadRun(ctx context.Context, s *State, rows []Row, each func([]Row, []signing.Attestation) error) error {
	// As far as the segment goes: a whole one is a stored file.
	from := rows[0].Index
	to := min((rows[len(rows)-1].Index/SegmentSize+1)*SegmentSize, s.Edge.Size())
	for segment, err := range f.Source.Segments(ctx, s.ID, from, to) {
		if err != nil {
			return fmt.Errorf("feed %s: %w", s.ID, err)
		}
		if rows[0].Index < segment.Start {
			return &GapError{ID: s.ID, From: rows[0].Index, To: segment.Start}
		}
		n := 0
		for n < len(rows) && rows[n].Index < segment.Start+int64(len(segment.Statements)) {
			n++
		}
		atts, err := accepted(s, rows[:n], segment)
		if err == nil {
			err = each(rows[:n], atts)
		}
		if rows = rows[n:]; err != nil || len(rows) == 0 {
			return err
		}
	}
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("feed %s: %w", s.ID, err)
	}
	return &GapError{ID: s.ID, From: rows[0].Index, To: to}
}

// accepted parses the statements of rows again and holds them against the rows.
// The one of a void row may have a signature that never verifies.
func accepted(s *State, rows []Row, segment Segment) ([]signing.Attestation, error) {
	atts, errs := make([]signing.Attestation, len(rows)), make([]error, len(rows))
	Parallel(len(rows), func(i int) {
		atts[i], errs[i] = Logged(segment.Statements[rows[i].Index-segment.Start])
		switch {
		case errs[i] != nil:
			errs[i] = fmt.Errorf("%w: %w", signing.ErrBadSignature, errs[i])
		case atts[i].ID() != rows[i].ID:
			errs[i] = fmt.Errorf("%w: statement %s stands where %s was accepted", signing.ErrBadSignature, atts[i].ID(), rows[i].ID)
		}
	})
	for i, err := range errs {
		if err != nil {
			return nil, fmt.Errorf("feed %s: entry %d: %w", s.ID, rows[i].Index, err)
		}
	}
	return atts, nil
}
