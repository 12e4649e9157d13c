package server

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"sync"
	"time"

	"airlock/feed"
	"airlock/feed/feedhttp"
	"airlock/signing"
	"airlock/storage"
	"airlock/trust"
)

// Bounds on what is expected: how long, and how many objects at once. Storing an
// upload costs one for each storeCost bytes, in turns over Spaces.
const (
	expectFor   = time.Hour
	maxExpected = 100_000
	storeCost   = 16 << 20
)

// expected is what checked statements named and the store does not have: only
// these objects may be uploaded. It is held in memory; after a restart the
// publisher asks again.
type expected struct {
	mu      sync.Mutex
	objects map[objectKey]expectation
}

type objectKey struct {
	space  trust.Space
	digest storage.Digest
}

type expectation struct {
	size  int64
	until time.Time
}

func (e *expected) add(space trust.Space, refs []storage.Ref, now time.Time) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	for k, v := range e.objects {
		if now.After(v.until) {
			delete(e.objects, k)
		}
	}
	more := 0
	for _, r := range refs {
		if _, ok := e.objects[objectKey{space, r.Digest}]; !ok {
			more++
		}
	}
	if len(e.objects)+more > maxExpected {
		return fmt.Errorf("%w: too many objects are expected", feedhttp.ErrBusy)
	}
	for _, r := range refs {
		e.objects[objectKey{space, r.Digest}] = expectation{r.Size, now.Add(expectFor)}
	}
	return nil
}

func (e *expected) size(space trust.Space, d storage.Digest, now time.Time) (int64, bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	x, ok := e.objects[objectKey{space, d}]
	return x.size, ok && !now.After(x.until)
}

// bytes returns what is announced for a Space, but for some objects.
func (e *expected) bytes(space trust.Space, but map[storage.Digest]int64, now time.Time) (sum int64) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for k, v := range e.objects {
		if k.space != space || now.After(v.until) {
			continue
		}
		if _, ok := but[k.digest]; !ok {
			sum += v.size
		}
	}
	return sum
}

// came forgets what was announced and is named by an entry now.
func (e *expected) came(space trust.Space, named map[storage.Digest]int64) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for d := range named {
		delete(e.objects, objectKey{space, d})
	}
}

// Expect checks statements and returns which of the objects that they name
// must be uploaded first.
func (s *Server) Expect(ctx context.Context, c feedhttp.Caller, id feed.ID, statements []signing.Attestation, manifests [][]byte) ([]storage.Ref, error) {
	b := feed.Batch{Feed: id, Epoch: onlyEpoch, Statements: statements}
	for _, m := range manifests {
		b.Objects = append(b.Objects, feed.ContentOf(m))
	}
	missing, err := s.expect(ctx, c, b)
	err = outward(err)
	s.audit(ctx, c, "expect", id.String(), err, "objects", len(missing))
	return missing, err
}

func (s *Server) expect(ctx context.Context, c feedhttp.Caller, b feed.Batch) ([]storage.Ref, error) {
	in, err := s.check(ctx, c, b)
	if err != nil {
		return nil, err
	}
	defer in.settle(false)
	if err := in.checkGiven(); err != nil {
		return nil, err
	}
	missing, err := in.missing(ctx)
	if err != nil {
		return nil, err
	}
	return missing, s.expected.add(b.Feed.Space, missing, s.config.Now())
}

// expectedRef returns the size of an object that the caller may upload.
func (s *Server) expectedRef(c feedhttp.Caller, id feed.ID, d storage.Digest) (storage.Ref, error) {
	if err := s.mayAppend(c, id); err != nil {
		return storage.Ref{}, err
	}
	size, ok := s.expected.size(id.Space, d, s.config.Now())
	if !ok || s.config.Spool == nil {
		return storage.Ref{}, fmt.Errorf("feed %s: upload of %s is not expected: %w", id, d, fs.ErrNotExist)
	}
	return storage.Ref{Digest: d, Size: size}, nil
}

// Offset returns how much of an upload has arrived.
func (s *Server) Offset(ctx context.Context, c feedhttp.Caller, id feed.ID, d storage.Digest) (int64, error) {
	ref, err := s.expectedRef(c, id, d)
	if err != nil {
		return 0, err
	}
	if info, err := s.config.Store.Objects(id.Space.String()).Stat(ctx, d); err == nil {
		return info.Size, nil
	}
	n, err := s.config.Spool.Offset(id.Space.String(), ref)
	if err == nil && n == ref.Size { // it could not be stored before
		err = s.keepUpload(ctx, id.Space, ref)
	}
	return n, outward(err)
}

// Upload adds bytes to an expected object; once all are there it is stored.
func (s *Server) Upload(ctx context.Context, c feedhttp.Caller, id feed.ID, d storage.Digest, off int64, r io.Reader) (int64, error) {
	ref, err := s.expectedRef(c, id, d)
	if err != nil {
		return 0, err
	}
	n, err := s.upload(ctx, id.Space, ref, off, r)
	err = outward(err)
	if err != nil || n == ref.Size {
		s.audit(ctx, c, "upload", id.String(), err, "object", d.String(), "bytes", n)
	}
	return n, err
}

func (s *Server) upload(ctx context.Context, space trust.Space, ref storage.Ref, off int64, r io.Reader) (int64, error) {
	if err := s.checkStanding(ctx, space); err != nil { // it may have been dismissed since it was told to upload
		return 0, err
	}
	n, err := s.config.Spool.Append(ctx, space.String(), ref, off, r)
	if _, elsewhere := errors.AsType[*storage.OffsetError](err); n == ref.Size && (err == nil || elsewhere) {
		err = s.keepUpload(ctx, space, ref) // all bytes are here, these or others
	}
	return n, err
}

// keepUpload stores an upload that is complete. It cuts and compresses, so it is a
// Space's turn for each storeCost bytes.
func (s *Server) keepUpload(ctx context.Context, space trust.Space, ref storage.Ref) error {
	leave, err := s.storing.Enter(ctx, space, int(min(1+ref.Size/storeCost, feedhttp.MaxCost)))
	if err != nil {
		return err
	}
	defer leave()
	return s.config.Spool.Commit(ctx, space.String(), ref, s.config.Store.Objects(space.String()))
}
