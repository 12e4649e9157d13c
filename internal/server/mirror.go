package server

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"

	"airlock/feed"
	"airlock/feed/feedhttp"
	"airlock/signing"
	"airlock/storage"
	"airlock/trust"
)

// Mirrored is what Mirror took in of a feed.
type Mirrored struct {
	Before, Now int64 // entries
	Packages    int   // whose payloads were stored
	Missing     int   // live ones whose payloads are neither here nor in the source
}

// Mirror takes in a feed whose log another operator keeps, as f accepted it in
// state: to be served on from here, and never added to. Objects come first and
// the log last, so readers see all of it or what was there before. What a source
// left out may come with another one. Administrators may.
func (s *Server) Mirror(ctx context.Context, c feedhttp.Caller, f *feed.Follower, state *feed.State) (Mirrored, error) {
	out, err := s.mirror(ctx, c, f, state)
	s.audit(ctx, c, "mirror", state.ID.String(), err, "entries", out.Now)
	return out, err
}

func (s *Server) mirror(ctx context.Context, c feedhttp.Caller, f *feed.Follower, state *feed.State) (out Mirrored, err error) {
	if err := mayAdminister(c); err != nil {
		return out, err
	}
	objects := s.config.Store.Objects(state.ID.Space.String())
	if err := mirrorDocuments(ctx, f, state, objects); err != nil {
		return out, err
	}
	for row := range state.Index.Rows(0) {
		if !state.Index.Live(row) {
			continue
		}
		stored, err := mirrorPackage(ctx, f, state, row, objects)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			out.Missing++
		case err != nil:
			return out, fmt.Errorf("%s: %w", row.Ref, err)
		case stored:
			out.Packages++
		}
	}
	out.Before, out.Now, err = s.logs.Feed(state.ID).Mirror(ctx, f.Source, state.Checkpoint(), state.Epoch)
	return out, outward(err)
}

// mirrorDocuments stores what entries name that are not about packages:
// identities, and holdings. Readers need the identities; of the others what the
// source has is enough.
func mirrorDocuments(ctx context.Context, f *feed.Follower, state *feed.State, objects storage.Objects) error {
	var identities []feed.Row
	for row := range state.Index.Rows(0) {
		switch {
		case row.Void != "":
		case row.What == feed.IsIdentity:
			identities = append(identities, row)
		case row.What == feed.IsOther && row.ManifestSize > 0:
			err := mirrorObject(ctx, f, state, storage.Ref{Digest: row.Manifest, Size: row.ManifestSize}, objects)
			if err != nil && !errors.Is(err, fs.ErrNotExist) {
				return fmt.Errorf("entry %d: %w", row.Index, err)
			}
		}
	}
	return f.Attestations(ctx, state, identities, func(row feed.Row, a signing.Attestation) error {
		st, err := signing.ParseStatement(a.Payload())
		if err != nil {
			return err
		}
		raw, err := feed.ReadObject(ctx, f.Source, state.ID, st.Subject, trust.MaxIdentity)
		if err != nil {
			return fmt.Errorf("identity document of entry %d: %w", row.Index, err)
		}
		return objects.Put(ctx, storage.RefOf(raw), bytes.NewReader(raw))
	})
}

// mirrorObject stores an object, unless it is there.
func mirrorObject(ctx context.Context, f *feed.Follower, state *feed.State, ref storage.Ref, objects storage.Objects) error {
	if _, err := objects.Stat(ctx, ref.Digest); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	r, err := f.Source.Object(ctx, state.ID, ref.Digest, 0)
	if err != nil {
		return err
	}
	defer r.Close()
	return objects.Put(ctx, ref, r)
}

// mirrorPackage stores a package's files and then its manifest, so that what has
// its manifest is whole. It reports whether anything was stored.
func mirrorPackage(ctx context.Context, f *feed.Follower, state *feed.State, row feed.Row, objects storage.Objects) (bool, error) {
	if _, err := objects.Stat(ctx, row.Manifest); !errors.Is(err, fs.ErrNotExist) {
		return false, err
	}
	err := f.Fetch(ctx, state, []feed.Row{row}, func(p *feed.Package) error {
		for i, l := range p.Manifest.Layers {
			if _, err := objects.Stat(ctx, l.Digest); !errors.Is(err, fs.ErrNotExist) {
				if err != nil {
					return err
				}
				continue
			}
			if err := mirrorLayer(ctx, p, i, objects); err != nil {
				return fmt.Errorf("%s: %w", l.Path, err)
			}
		}
		raw, err := p.Manifest.Format()
		if err != nil {
			return err
		}
		return objects.Put(ctx, storage.RefOf(raw), bytes.NewReader(raw))
	})
	return err == nil, err
}

func mirrorLayer(ctx context.Context, p *feed.Package, i int, objects storage.Objects) error {
	r, err := p.Open(ctx, i)
	if err != nil {
		return err
	}
	defer r.Close()
	return objects.Put(ctx, p.Manifest.Layers[i].Ref, r)
}
