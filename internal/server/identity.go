package server

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"airlock/feed"
	"airlock/signing"
	"airlock/storage"
	"airlock/trust"
)

// feedView is who may sign in a feed now.
type feedView struct {
	history *trust.History
	version int // in force at the end of the feed
}

// identityPrefix holds, for each identity version that a feed carries, the
// identity file up to it: what the server knows of who may sign there. The
// entries of the feed are what counts for readers.
func identityPrefix(id feed.ID) string { return "identity/" + id.String() + "/" }

// view returns a view of the feed's Space as it is in force at the end of the
// feed. The caller owns it.
func (s *Server) view(ctx context.Context, id feed.ID) (*trust.View, error) {
	known, err := s.feedView(ctx, id)
	if err != nil {
		return nil, err
	}
	// A copy: what a batch teaches counts only once the batch is in.
	history, err := trust.ParseFile(trust.FormatFile(known.history))
	if err != nil {
		return nil, err
	}
	view, err := trust.NewView(history, nil)
	if err != nil {
		return nil, err
	}
	view.PutInForce(known.version, trust.Position{Feed: id.String(), Epoch: 1})
	return view, nil
}

func (s *Server) feedView(ctx context.Context, id feed.ID) (*feedView, error) {
	s.mu.Lock()
	known, ok := s.views[id]
	s.mu.Unlock()
	if ok {
		return known, nil
	}
	history, err := s.admitted(ctx, id.Space)
	if err != nil {
		return nil, err
	}
	known = &feedView{history: history, version: 1}
	for key, err := range s.config.Store.Files.List(ctx, identityPrefix(id), "") {
		if err != nil {
			return nil, err
		}
		file, err := s.config.Store.Files.Get(ctx, key)
		if err != nil {
			return nil, err
		}
		h, err := trust.ParseFile(file)
		if err != nil || h.Lineage() != history.Lineage() {
			return nil, fmt.Errorf("store: %s: not an identity file of %s", strings.TrimPrefix(key, "identity/"), id.Space)
		}
		known = &feedView{history: h, version: h.Current().Version}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.views[id] = known
	return known, nil
}

// learnIdentity takes in an identity statement of a batch, with the document
// that came along or is stored.
func (in *incoming) learnIdentity(ctx context.Context, b feed.Batch, a signing.Attestation) error {
	st, err := signing.ParseStatement(a.Payload())
	if err != nil || st.Kind != signing.Identity {
		return nil // verify will say what is wrong
	}
	raw, size, err := in.document(ctx, st.Subject)
	in.named[st.Subject] = size
	if errors.Is(err, fs.ErrNotExist) {
		return nil // missing will say so
	}
	if err != nil {
		return fmt.Errorf("feed %s: identity %s: %w", b.Feed, st.Subject, err)
	}
	id, err := trust.ParseIdentity(raw)
	if err != nil {
		return malformed(b.Feed, err)
	}
	v := trust.Version{Identity: id}
	for _, other := range b.Statements {
		if o, err := signing.ParseStatement(other.Payload()); err == nil && o.Kind == signing.Identity && o.Subject == st.Subject {
			v.Statements = append(v.Statements, other)
		}
	}
	if err := in.view.Learn(v); err != nil {
		return err
	}
	in.view.PutInForce(id.Version, trust.Position{Feed: b.Feed.String(), Epoch: b.Epoch})
	return nil
}

// document reads an identity document. Its size is not announced, so it is
// bounded instead.
func (in *incoming) document(ctx context.Context, d storage.Digest) ([]byte, int64, error) {
	if c, ok := in.given[d]; ok {
		if c.Size > trust.MaxIdentity {
			return nil, -1, &storage.SizeError{Digest: d, Want: trust.MaxIdentity, Got: c.Size}
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

// learned keeps the identity that a committed batch brought into a feed.
func (s *Server) learned(ctx context.Context, b feed.Batch, view *trust.View) error {
	h := view.History()
	s.mu.Lock()
	known := s.views[b.Feed]
	s.mu.Unlock()
	if known != nil && known.version >= h.Current().Version {
		return nil
	}
	key := fmt.Sprintf("%s%06d", identityPrefix(b.Feed), h.Current().Version)
	err := s.config.Store.Files.Create(ctx, key, trust.FormatFile(h))
	if err != nil && !errors.Is(err, storage.ErrExists) {
		return fmt.Errorf("feed %s: identity version %d: %w", b.Feed, h.Current().Version, err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.views[b.Feed] = &feedView{history: h, version: h.Current().Version}
	return nil
}
