package server

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"

	"airlock/feed"
	"airlock/feed/feedhttp"
	"airlock/feed/log"
	"airlock/signing"
	"airlock/storage"
	"airlock/trust"
)

// maxInMemory bounds an object that is held whole while a batch is stored.
const maxInMemory = 1 << 20

// Publish commits a batch: the statements are checked first, then the objects
// that they name, and only these, are made durable, and then the log commits.
func (s *Server) Publish(ctx context.Context, c feedhttp.Caller, b feed.Batch) (feed.Accepted, error) {
	accepted, err := s.publish(ctx, b)
	err = outward(err)
	s.audit(ctx, c, "publish", b.Feed.String(), err, "statements", len(b.Statements), "added", accepted.Added)
	return accepted, err
}

func (s *Server) publish(ctx context.Context, b feed.Batch) (feed.Accepted, error) {
	if s.config.LogKey.IsZero() {
		return feed.Accepted{}, fmt.Errorf("feed %s: %w", b.Feed, log.ErrForeignKey)
	}
	in, err := s.check(ctx, b)
	if err != nil {
		return feed.Accepted{}, err
	}
	missing, err := in.missing(ctx)
	if err != nil {
		return feed.Accepted{}, err
	}
	if len(missing) > 0 {
		return feed.Accepted{}, &feed.MissingError{Objects: missing}
	}
	if err := in.store(ctx); err != nil {
		return feed.Accepted{}, err
	}
	accepted, err := s.logs.Feed(b.Feed).Append(ctx, b.Epoch, in.submissions)
	if err != nil {
		return feed.Accepted{}, err
	}
	return accepted, s.learned(ctx, b, in.view)
}

// incoming is a batch whose statements were checked.
type incoming struct {
	objects     storage.Objects
	submissions []log.Submission
	named       map[storage.Digest]int64        // objects that the statements name, and their sizes; -1 for not known
	given       map[storage.Digest]feed.Content // objects that came along
	manifests   map[storage.Digest][]byte
	view        *trust.View
}

// check verifies the statements of a batch and collects what they name.
func (s *Server) check(ctx context.Context, b feed.Batch) (*incoming, error) {
	if len(b.Statements) == 0 || len(b.Statements) > log.MaxBatch {
		return nil, &feedhttp.RequestError{Why: fmt.Sprintf("a batch of %d statements, want 1 to %d", len(b.Statements), log.MaxBatch)}
	}
	view, err := s.view(ctx, b.Feed)
	if err != nil {
		return nil, err
	}
	in := &incoming{objects: s.config.Store.Objects(b.Feed.Space.String()), view: view,
		named: map[storage.Digest]int64{}, given: map[storage.Digest]feed.Content{}, manifests: map[storage.Digest][]byte{}}
	for _, o := range b.Objects {
		in.given[o.Digest] = o
	}
	// Identities first: they decide who may sign the rest.
	for _, a := range b.Statements {
		if err := in.learnIdentity(ctx, b, a); err != nil {
			return nil, err
		}
	}
	if err := in.verifyAll(s, b); err != nil {
		return nil, err
	}
	for _, sub := range in.submissions {
		if err := in.collect(ctx, b.Feed, sub.Entry); err != nil {
			return nil, err
		}
	}
	return in, nil
}

// verifyAll verifies every statement as the next entry of the feed.
func (in *incoming) verifyAll(s *Server, b feed.Batch) error {
	in.submissions = make([]log.Submission, len(b.Statements))
	errs := make([]error, len(b.Statements))
	feed.Parallel(len(b.Statements), func(i int) {
		in.submissions[i], errs[i] = in.verify(s, b, b.Statements[i])
	})
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// atEnd stands for the position of a coming entry: what is in force now.
const atEnd = 1 << 62

func (in *incoming) verify(s *Server, b feed.Batch, a signing.Attestation) (log.Submission, error) {
	st, err := signing.ParseStatement(a.Payload())
	if err != nil {
		return log.Submission{}, malformed(b.Feed, err)
	}
	if st.Kind != signing.Identity {
		at := trust.Position{Feed: b.Feed.String(), Epoch: b.Epoch, Index: atEnd}
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

// collect adds what an entry names to the objects that must be there.
func (in *incoming) collect(ctx context.Context, id feed.ID, e feed.Entry) error {
	if e.What != feed.IsPublication {
		return nil
	}
	in.named[e.Manifest] = e.ManifestSize
	raw, err := in.read(ctx, storage.Ref{Digest: e.Manifest, Size: e.ManifestSize})
	if errors.Is(err, fs.ErrNotExist) {
		return nil // missing() will say so
	}
	if err != nil {
		return fmt.Errorf("%s: manifest: %w", e.Ref, err)
	}
	m, err := feed.ParseManifest(raw)
	if err != nil {
		return malformed(id, fmt.Errorf("%s: %w", e.Ref, err))
	}
	if m.Kind != e.Ref.Kind || m.Version != e.Ref.Version {
		return malformed(id, fmt.Errorf("%s: the manifest is of kind %s, version %s", e.Ref, m.Kind, m.Version))
	}
	in.manifests[e.Manifest] = raw
	for _, l := range m.Layers {
		in.named[l.Digest] = l.Size
	}
	return nil
}

// read returns a small object from the batch or the store, checked.
func (in *incoming) read(ctx context.Context, ref storage.Ref) ([]byte, error) {
	c, ok := in.given[ref.Digest]
	if !ok {
		return storage.Read(ctx, in.objects, ref)
	}
	r, err := c.Open(0)
	if err != nil {
		return nil, err
	}
	checked := storage.Checked(ctx, r, ref)
	defer checked.Close()
	return io.ReadAll(checked)
}

// missing returns the named objects that are neither given nor stored.
func (in *incoming) missing(ctx context.Context) ([]storage.Ref, error) {
	var out []storage.Ref
	for d, size := range in.named {
		if _, ok := in.given[d]; ok {
			continue
		}
		info, err := in.objects.Stat(ctx, d)
		if errors.Is(err, fs.ErrNotExist) {
			out = append(out, storage.Ref{Digest: d, Size: size})
			continue
		}
		if err != nil {
			return nil, err
		}
		if size >= 0 && info.Size != size {
			return nil, &storage.SizeError{Digest: d, Want: size, Got: info.Size}
		}
	}
	return out, nil
}

// store makes the given objects and the statements durable. What no statement
// names is not taken.
func (in *incoming) store(ctx context.Context) error {
	items := make([]storage.Item, 0, len(in.given)+len(in.submissions))
	for d, c := range in.given {
		size, ok := in.named[d]
		if !ok {
			return &feedhttp.RequestError{Why: fmt.Sprintf("object %s is named by no statement of the batch", d)}
		}
		if size >= 0 && size != c.Size {
			return &storage.SizeError{Digest: d, Want: size, Got: c.Size}
		}
		if c.Size > maxInMemory {
			if err := in.storeLarge(ctx, c); err != nil {
				return err
			}
			continue
		}
		data, ok := in.manifests[d]
		if !ok {
			var err error
			if data, err = in.read(ctx, c.Ref); err != nil {
				return fmt.Errorf("object %s: %w", d, err)
			}
		}
		items = append(items, storage.Item{Ref: c.Ref, Data: data})
	}
	for _, sub := range in.submissions {
		raw := sub.Attestation.Bytes()
		items = append(items, storage.Item{Ref: storage.RefOf(raw), Data: raw})
	}
	return storage.PutAll(ctx, in.objects, items)
}

func (in *incoming) storeLarge(ctx context.Context, c feed.Content) error {
	r, err := c.Open(0)
	if err != nil {
		return fmt.Errorf("object %s: %w", c.Digest, err)
	}
	defer r.Close()
	return in.objects.Put(ctx, c.Ref, r)
}
