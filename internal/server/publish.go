package server

import (
	"context"
	"fmt"

	"airlock/feed"
	"airlock/feed/feedhttp"
	"airlock/feed/log"
	"airlock/signing"
	"airlock/storage"
	"airlock/trust"
)

// Publish commits a batch: the statements are checked first, then the objects
// that they name, and only these, are made durable, and then the log commits.
func (s *Server) Publish(ctx context.Context, c feedhttp.Caller, b feed.Batch) (feed.Accepted, error) {
	accepted, answered, err := s.forward(ctx, c, b)
	if !answered {
		accepted, err = s.publish(ctx, c, b)
	}
	err = outward(err)
	s.audit(ctx, c, "publish", b.Feed.String(), err, "statements", len(b.Statements), "added", accepted.Added)
	return accepted, err
}

func (s *Server) publish(ctx context.Context, c feedhttp.Caller, b feed.Batch) (feed.Accepted, error) {
	in, err := s.check(ctx, c, b)
	if err != nil {
		return feed.Accepted{}, err
	}
	committed := false
	defer func() { in.settle(committed) }()
	if err := in.checkGiven(); err != nil {
		return feed.Accepted{}, err
	}
	missing, err := in.missing(ctx)
	if err != nil {
		return feed.Accepted{}, err
	}
	if len(missing) > 0 {
		return feed.Accepted{}, &feed.MissingError{Objects: missing}
	}
	if err := in.store(ctx, s.logs.Feed(b.Feed)); err != nil {
		return feed.Accepted{}, err
	}
	if err := s.keep(ctx, b.Feed, in); err != nil {
		return feed.Accepted{}, err
	}
	accepted, err := s.logs.Feed(b.Feed).Append(ctx, b.Epoch, in.submissions)
	if err != nil {
		return feed.Accepted{}, err
	}
	committed = true
	s.pushFeeds.note(b.Feed)
	if s.peers != nil {
		s.peers.tell(b.Feed, accepted.Checkpoint.Size)
	}
	s.remember(b.Feed, &feedView{in.view.History(), in.version, s.config.Now()}, true)
	s.expected.came(b.Feed.Space, in.named)
	if s.deltas != nil {
		s.deltas.add(b.Feed, in)
	}
	return accepted, nil
}

// incoming is a batch whose statements were checked.
type incoming struct {
	objects     storage.Objects
	submissions []log.Submission
	named       map[storage.Digest]int64        // objects that the statements name, and their sizes
	given       map[storage.Digest]feed.Content // objects that came along
	manifests   map[storage.Digest][]byte
	large       map[storage.Digest]bool // manifests with files that are cut into chunks
	view        *trust.View
	// settle says how the batch ended to what counts for quotas.
	settle func(committed bool)
	// The identity version in force before the batch, and after it.
	before, version int
}

// check asks whether the caller may bring a batch, verifies its statements and
// collects what they name.
func (s *Server) check(ctx context.Context, c feedhttp.Caller, b feed.Batch) (*incoming, error) {
	if err := s.mayAppend(c, b.Feed); err != nil {
		return nil, err
	}
	if len(b.Statements) == 0 || len(b.Statements) > log.MaxBatch {
		return nil, &feedhttp.RequestError{Why: fmt.Sprintf("a batch of %d statements, want 1 to %d", len(b.Statements), log.MaxBatch)}
	}
	if s.config.LogKey.IsZero() {
		return nil, fmt.Errorf("feed %s: %w", b.Feed, log.ErrForeignKey)
	}
	if b.Epoch != onlyEpoch {
		return nil, &feedhttp.ConflictError{Why: fmt.Sprintf("feed %s: a submission for epoch %d, and only epoch %d is kept here", b.Feed, b.Epoch, onlyEpoch)}
	}
	view, version, err := s.view(ctx, b.Feed)
	if err != nil {
		return nil, err
	}
	if err := s.checkStanding(ctx, b.Feed.Space); err != nil {
		return nil, err
	}
	in := &incoming{settle: func(bool) {}, objects: s.config.Store.Objects(b.Feed.Space.String()), view: view, before: version, version: version,
		named: map[storage.Digest]int64{}, given: map[storage.Digest]feed.Content{}, manifests: map[storage.Digest][]byte{}, large: map[storage.Digest]bool{}}
	for _, o := range b.Objects {
		in.given[o.Digest] = o
	}
	if opening := openingVersion(b); opening > 0 {
		if err := s.checkOpening(ctx, b.Feed, opening); err != nil {
			return nil, err
		}
	}
	// Identities first: they decide who may sign the rest.
	if err := in.learnIdentities(ctx, b); err != nil {
		return nil, err
	}
	if err := in.verifyAll(ctx, s, b); err != nil {
		return nil, err
	}
	for _, sub := range in.submissions {
		if err := in.collect(ctx, b.Feed, sub.Entry); err != nil {
			return nil, err
		}
	}
	return in, s.checkQuota(ctx, b, in)
}

// verifyAll verifies every statement as the next entry of the feed.
func (in *incoming) verifyAll(ctx context.Context, s *Server, b feed.Batch) error {
	leave, err := s.verifying.Enter(ctx, b.Feed.Space, len(b.Statements))
	if err != nil {
		return err
	}
	defer leave()
	in.submissions = make([]log.Submission, len(b.Statements))
	errs := make([]error, len(b.Statements))
	feed.Parallel(len(b.Statements), func(i int) {
		in.submissions[i], errs[i] = in.verify(s, b, i)
	})
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// onlyEpoch is the epoch of every feed: opening another is not built yet.
const onlyEpoch = 1

func (in *incoming) verify(s *Server, b feed.Batch, i int) (log.Submission, error) {
	a := b.Statements[i]
	st, err := signing.ParseStatement(a.Payload())
	if err != nil {
		return log.Submission{}, malformed(b.Feed, err)
	}
	if st.Kind != signing.Identity {
		at := trust.Position{Feed: b.Feed.String(), Epoch: b.Epoch, Index: trust.AtEnd + int64(i)}
		v, err := in.view.Verify(a, trust.Want{}, at)
		if err != nil {
			return log.Submission{}, err
		}
		if err := in.view.CheckDates(a, s.config.Now()); err != nil {
			return log.Submission{}, err
		}
		st = v.Statement()
	}
	if st.Kind == signing.Feed {
		if err := feed.CheckOpening(st, b.Feed, b.Epoch, s.config.LogKey.Public()); err != nil {
			return log.Submission{}, malformed(b.Feed, err)
		}
		if want := openingVersion(b); i == 0 && want > in.version {
			return log.Submission{}, malformed(b.Feed, fmt.Errorf("the opening names identity version %d, which the batch does not bring", want))
		}
	}
	e, err := feed.ParseEntry(a.ID(), st)
	if err != nil {
		return log.Submission{}, malformed(b.Feed, err)
	}
	return log.Submission{Attestation: a, Entry: e}, nil
}

func malformed(id feed.ID, err error) error {
	return &trust.DeniedError{Reason: trust.Malformed, Rule: "form", Thing: id.String(), Why: err.Error()}
}
