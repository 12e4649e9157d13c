package server

import (
	"context"
	"errors"
	"fmt"

	"airlock/feed/feedhttp"
	"airlock/storage"
	"airlock/trust"
)

// knownKey is where the identity file of a Space is kept that goes up to a version,
// whether the Space brought it by itself or one of its feeds carries it. Which
// version is the newest known says the Space's bucket. No feed has the name "-".
func knownKey(s trust.Space, version int) string {
	return fmt.Sprintf("identity/%s/-/%06d", s, version)
}

// newest returns the newest identity that is known of an admitted Space.
func (s *Server) newest(ctx context.Context, space trust.Space) (*trust.History, error) {
	b, err := s.access.newest(ctx, bucketOf(space))
	if err != nil {
		return nil, err
	}
	version := 0
	if of := b.space(space); of != nil {
		version = of.Identity
	}
	return s.identityAt(ctx, space, version)
}

// identityAt returns the identity of an admitted Space up to a version of which the
// bucket says that it is known; 0 stands for that of the admission.
func (s *Server) identityAt(ctx context.Context, space trust.Space, version int) (*trust.History, error) {
	history, err := s.admission(ctx, space)
	if err != nil || version <= history.Current().Version {
		return history, err
	}
	return s.identityFile(ctx, knownKey(space, version), history.Lineage(), version)
}

// identityFile reads an identity file of the store, which goes up to a version.
func (s *Server) identityFile(ctx context.Context, key string, lineage trust.Lineage, version int) (*trust.History, error) {
	file, err := s.config.Store.Files.Get(ctx, key)
	if err != nil {
		return nil, err
	}
	h, err := trust.ParseFile(file)
	if err != nil || h.Lineage() != lineage || h.Version(version) == nil {
		return nil, errors.Join(fmt.Errorf("store: %s: not an identity file of lineage %s", key, lineage), err)
	}
	return h, nil
}

// Learn takes in the identity file of an admitted Space; see feedhttp.Enroller.
func (s *Server) Learn(ctx context.Context, c feedhttp.Caller, file []byte) (int, error) {
	h, err := trust.ParseFile(file)
	if err != nil {
		return 0, &feedhttp.RequestError{Why: err.Error()}
	}
	version, news, err := s.learn(ctx, h)
	if news || err != nil {
		s.audit(ctx, c, "identity", h.Space().String(), err, "version", h.Current().Version)
	}
	return version, err
}

// learn keeps the identity of an admitted Space where it goes on from what is
// known, and returns the newest version that is known then. Servers go by it from
// when the bucket says it.
func (s *Server) learn(ctx context.Context, h *trust.History) (newest int, news bool, err error) {
	known, err := s.newest(ctx, h.Space())
	if err != nil {
		return 0, false, err
	}
	version := h.Current().Version
	if have := known.Version(version); have != nil && have.Digest() == h.Current().Digest() {
		return known.Current().Version, false, nil
	}
	if err := continues(known, h); err != nil {
		return 0, false, err
	}
	key := knownKey(h.Space(), version)
	err = s.config.Store.Files.Create(ctx, key, trust.FormatFile(h))
	if errors.Is(err, storage.ErrExists) { // from who was faster, or died before the bucket said it
		var there *trust.History
		if there, err = s.identityFile(ctx, key, h.Lineage(), version); err == nil {
			err = continues(there, h)
		}
	}
	if err != nil {
		return 0, false, err
	}
	return version, true, s.access.change(ctx, bucketOf(h.Space()), func(b *accessBucket) error {
		of := b.edit(h.Space())
		of.Identity = max(of.Identity, version)
		return nil
	})
}

// continues refuses an identity that is not the known one, extended.
func continues(known, h *trust.History) error {
	for i, v := range known.Versions() {
		other := h.Version(i + 1)
		if other != nil && other.Digest() == v.Identity.Digest() {
			continue
		}
		return &trust.DeniedError{Reason: trust.Untrusted, Rule: "lineage", Thing: h.Space().String(),
			Why: fmt.Sprintf("identity version %d is known here as %s, and this file has another or none", i+1, v.Identity.Digest())}
	}
	return nil
}
