package server

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strconv"
	"strings"
	"time"

	"airlock/feed"
	"airlock/feed/feedhttp"
	"airlock/signing"
	"airlock/storage"
	"airlock/trust"
)

// feedView is who may sign in a feed now.
type feedView struct {
	history *trust.History
	version int // in force at the end of the feed
	readAt  time.Time
}

// identityPrefix holds, for each identity version that a feed carries, the
// identity file up to it or beyond: what the server knows of who may sign
// there. The entries of the feed are what counts for readers.
func identityPrefix(id feed.ID) string { return "identity/" + id.String() + "/" }

func identityKey(id feed.ID, version int) string {
	return fmt.Sprintf("%s%06d", identityPrefix(id), version)
}

// view returns a view of the feed's Space as it is in force at the end of the
// feed, and the version that is. The caller owns it.
func (s *Server) view(ctx context.Context, id feed.ID) (*trust.View, int, error) {
	known, err := s.feedView(ctx, id)
	if err != nil {
		return nil, 0, err
	}
	// A copy: what a batch teaches counts only once the batch is in.
	view, err := trust.NewView(known.history.Clone(), nil)
	if err != nil {
		return nil, 0, err
	}
	view.PutInForce(known.version, trust.Position{Feed: id.String(), Epoch: onlyEpoch})
	return view, known.version, nil
}

// feedView returns what is known of a feed, at most Config.Fresh old: another
// server of the store may have taken an identity that drops a leaf.
func (s *Server) feedView(ctx context.Context, id feed.ID) (*feedView, error) {
	now := s.config.Now()
	s.mu.Lock()
	known := s.views[id]
	s.mu.Unlock()
	if known != nil {
		if age := now.Sub(known.readAt); age >= 0 && age < s.config.Fresh {
			return known, nil
		}
	} else {
		history, err := s.admitted(ctx, id.Space)
		if err != nil {
			return nil, err
		}
		known = &feedView{history: history, version: 1}
	}
	newer, err := s.newestView(ctx, id, known)
	if err != nil {
		return nil, err
	}
	s.remember(id, &feedView{newer.history, newer.version, now}, false)
	return newer, nil
}

// newestView reads the newest identity file of a feed after the known one.
func (s *Server) newestView(ctx context.Context, id feed.ID, known *feedView) (*feedView, error) {
	newest := ""
	for key, err := range s.config.Store.Files.List(ctx, identityPrefix(id), identityKey(id, known.version)) {
		if err != nil {
			return nil, err
		}
		newest = key
	}
	if newest == "" {
		return known, nil
	}
	version, err := strconv.Atoi(strings.TrimPrefix(newest, identityPrefix(id)))
	if err != nil {
		return nil, fmt.Errorf("store: %s: not an identity file of any version", newest)
	}
	h, err := s.identityFile(ctx, newest, known.history.Lineage(), version)
	if err != nil {
		return nil, err
	}
	return &feedView{history: h, version: version}, nil
}

// remember keeps a view, unless a newer one is known. A feed to which nothing
// was added yet is not remembered unless create is set: anybody can name feeds.
func (s *Server) remember(id feed.ID, v *feedView, create bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	have := s.views[id]
	if have == nil && (create || v.version > 1) || have != nil && have.version <= v.version {
		s.views[id] = v
	}
}

// checkOpening refuses to open a feed under an older identity version than one
// that the Space brought here, by its admission or in any feed: a leaf which that
// one dropped would count again in the new feed, since position goes by feed.
func (s *Server) checkOpening(ctx context.Context, id feed.ID, version int) error {
	_, err := s.logs.Feed(id).Head(ctx, 0)
	if !errors.Is(err, fs.ErrNotExist) {
		return err // the log says whether this is the same opening again
	}
	known, err := s.newest(ctx, id.Space)
	if err != nil {
		return err
	}
	if newest := known.Current().Version; version < newest {
		return &trust.DeniedError{Reason: trust.Untrusted, Rule: "opening", Thing: id.String(),
			Why: fmt.Sprintf("would be opened under identity version %d, and the Space is at version %d", version, newest)}
	}
	return nil
}

// learnIdentities takes in the identity statements of a batch, with the
// documents that came along or are stored.
func (in *incoming) learnIdentities(ctx context.Context, b feed.Batch) error {
	opening := openingVersion(b)
	last := map[storage.Digest]int{}
	statements := map[storage.Digest][]signing.Attestation{}
	for i, a := range b.Statements {
		// What cannot be parsed verify will refuse.
		if st, err := signing.ParseStatement(a.Payload()); err == nil && st.Kind == signing.Identity {
			last[st.Subject], statements[st.Subject] = i, append(statements[st.Subject], a)
		}
	}
	for i, a := range b.Statements {
		st, err := signing.ParseStatement(a.Payload())
		if err != nil || st.Kind != signing.Identity || last[st.Subject] != i {
			continue
		}
		version, err := in.learn(ctx, b, st.Subject, statements[st.Subject])
		if err != nil {
			return err
		}
		// A reader puts the versions under which a feed was opened in force
		// from its first entry on, others where their last statement stands.
		from := trust.Position{Feed: b.Feed.String(), Epoch: b.Epoch, Index: trust.AtEnd + int64(i)}
		if version <= opening {
			from.Index = trust.AtEnd
		}
		in.view.PutInForce(version, from)
		in.version = max(in.version, version)
	}
	return nil
}

// openingVersion returns the identity version that the opening names with
// which a batch begins, 0 where it begins otherwise.
func openingVersion(b feed.Batch) int {
	st, err := signing.ParseStatement(b.Statements[0].Payload())
	if err != nil || st.Kind != signing.Feed {
		return 0
	}
	var o feed.Opening
	if signing.UnmarshalCanonical(st.Predicate, &o) != nil {
		return 0 // verify will say what is wrong
	}
	return o.Identity
}

func (in *incoming) learn(ctx context.Context, b feed.Batch, d storage.Digest, statements []signing.Attestation) (version int, err error) {
	raw, size, err := in.document(ctx, d)
	if errors.Is(err, fs.ErrNotExist) {
		return 0, &feedhttp.RequestError{Why: fmt.Sprintf("identity %s is not part of the batch, and not stored", d)}
	}
	if err != nil {
		return 0, fmt.Errorf("feed %s: identity %s: %w", b.Feed, d, err)
	}
	in.named[d] = size
	id, err := trust.ParseIdentity(raw)
	if err != nil {
		return 0, malformed(b.Feed, err)
	}
	err = in.view.Learn(trust.Version{Identity: id, Statements: statements})
	if _, ok := errors.AsType[*trust.DeniedError](err); err != nil && !ok {
		return 0, malformed(b.Feed, err)
	}
	return id.Version, err
}

// document reads an identity document. Its size is not announced, so it is
// bounded instead.
func (in *incoming) document(ctx context.Context, d storage.Digest) ([]byte, int64, error) {
	if c, ok := in.given[d]; ok {
		if c.Size > trust.MaxIdentity {
			return nil, -1, &feedhttp.LimitError{What: "identity", Max: trust.MaxIdentity}
		}
		raw, err := in.read(ctx, c.Ref)
		return raw, c.Size, err
	}
	info, err := in.objects.Stat(ctx, d)
	if err != nil {
		return nil, -1, err
	}
	raw, err := in.read(ctx, storage.Ref{Digest: d, Size: min(info.Size, trust.MaxIdentity)})
	return raw, info.Size, err
}

// keep makes the identity that a batch brings into a feed durable, before the
// batch is committed: were it lost between the two, the server would go on
// believing leaves that the feed dropped. Where the commit then fails the Space
// has still signed it, and its next batch brings it again.
func (s *Server) keep(ctx context.Context, id feed.ID, in *incoming) error {
	if in.version == in.before {
		return nil
	}
	// First for the Space as a whole, or who died in between would leave that behind.
	if _, _, err := s.learn(ctx, in.view.History()); err != nil {
		return fmt.Errorf("feed %s: identity version %d: %w", id, in.version, err)
	}
	err := s.config.Store.Files.Create(ctx, identityKey(id, in.version), trust.FormatFile(in.view.History()))
	if err != nil && !errors.Is(err, storage.ErrExists) {
		return fmt.Errorf("feed %s: identity version %d: %w", id, in.version, err)
	}
	return nil
}
