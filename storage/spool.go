package storage

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"
)

// Spool keeps uploads that are not complete, so that a client whose line broke
// goes on where it was. An upload is known by its Space and what it is to
// become. The bytes are checked when they go to Objects, not before, and are not
// made durable: after a power cut a client may have to begin again.
//
// A Spool belongs to one process; its methods may be called by any number of
// goroutines.
type Spool struct {
	dir   string
	max   int64
	close func()

	mu   sync.Mutex
	used int64           // bytes of all uploads
	busy map[string]bool // uploads being worked on, by file name
}

// uploadCost is what an upload counts beside its bytes, so that many tiny ones
// are bounded too.
const uploadCost = 4 << 10

// ErrSpoolTaken reports a spool that another process has open.
var ErrSpoolTaken = errors.New("another server has it open")

// OpenSpool opens the uploads in a folder, which is made where needed. All
// together hold at most maxBytes bytes, each counted with 4 KiB more. One
// process has a spool open, a second one gets ErrSpoolTaken.
func OpenSpool(dir string, maxBytes int64) (*Spool, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	lock, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	if taken, err := tryLock(lock, true); err != nil || !taken {
		_ = lock.Close()
		return nil, firstErr(err, fmt.Errorf("spool %s: %w", dir, ErrSpoolTaken))
	}
	s := &Spool{dir: dir, max: maxBytes, busy: map[string]bool{}, close: func() { _ = lock.Close() }}
	err = s.each(func(info fs.FileInfo) error {
		s.used += info.Size() + uploadCost
		return nil
	})
	if err != nil {
		s.close()
		return nil, err
	}
	return s, nil
}

// Close lets another process open the spool. Uploads stay.
func (s *Spool) Close() error {
	s.close()
	return nil
}

// Offset returns how many bytes of an upload are there, 0 for a new one.
func (s *Spool) Offset(space string, ref Ref) (int64, error) {
	name, err := s.name(space, ref)
	if err != nil {
		return 0, err
	}
	info, err := os.Stat(filepath.Join(s.dir, name))
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	return info.Size(), nil
}

// Append adds the bytes of r at off, which must be the end of what is there
// (else *OffsetError), and returns the new end; on error too, what came before
// it is kept. More bytes than ref.Size give *SizeError, a full spool ErrNoSpace,
// and an upload that another request works on *BusyError.
func (s *Spool) Append(ctx context.Context, space string, ref Ref, off int64, r io.Reader) (int64, error) {
	name, release, err := s.claim(space, ref)
	if err != nil {
		return 0, err
	}
	defer release()
	end, err := s.Offset(space, ref)
	if err != nil {
		return 0, err
	}
	if off != end {
		return end, &OffsetError{Digest: ref.Digest, Want: end, Got: off}
	}
	f, err := s.open(name)
	if err != nil {
		return end, err
	}
	end, err = s.copy(ctx, f, ref, end, r)
	return end, firstErr(err, NoteFull(f.Close()))
}

// open opens an upload for appending, and makes it where there is room for one
// more.
func (s *Spool) open(name string) (*os.File, error) {
	path := filepath.Join(s.dir, name)
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_APPEND, 0)
	if !errors.Is(err, fs.ErrNotExist) {
		return f, err
	}
	if !s.reserve(uploadCost) {
		return nil, fmt.Errorf("spool %s: %w", s.dir, ErrNoSpace)
	}
	f, err = os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL|os.O_APPEND, 0o600)
	if err != nil {
		s.reserve(-uploadCost)
	}
	return f, NoteFull(err)
}

// copy adds r to f, which has end bytes, piece by piece, and returns its end.
func (s *Spool) copy(ctx context.Context, f io.Writer, ref Ref, end int64, r io.Reader) (int64, error) {
	lent := pieces.Get().(*[]byte)
	defer pieces.Put(lent)
	for {
		if err := ctx.Err(); err != nil {
			return end, err
		}
		// One byte more than can be, to see that there is more.
		n, readErr := io.ReadFull(r, (*lent)[:min(pieceSize, ref.Size-end+1)])
		if end+int64(n) > ref.Size {
			return end, &SizeError{Digest: ref.Digest, Want: ref.Size, Got: end + int64(n)}
		}
		if !s.reserve(int64(n)) {
			return end, fmt.Errorf("upload of %s: %w", ref.Digest, ErrNoSpace)
		}
		written, err := f.Write((*lent)[:n])
		s.reserve(int64(written - n))
		end += int64(written)
		switch {
		case err != nil:
			return end, NoteFull(err)
		case errors.Is(readErr, io.EOF), errors.Is(readErr, io.ErrUnexpectedEOF):
			return end, nil
		case readErr != nil:
			return end, readErr
		}
	}
}

// reserve adds n bytes to those used, unless that is too much.
func (s *Spool) reserve(n int64) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if n > 0 && s.used+n > s.max {
		return false
	}
	s.used += n
	return true
}

// Commit puts a complete upload into o, the objects of its Space, and forgets
// it. Bytes of another digest are forgotten too: they are of no use. An upload
// that is not complete gives *SizeError and stays.
func (s *Spool) Commit(ctx context.Context, space string, ref Ref, o Objects) error {
	name, release, err := s.claim(space, ref)
	if err != nil {
		return err
	}
	defer release()
	end, err := s.Offset(space, ref)
	if err != nil {
		return err
	}
	if end != ref.Size {
		return &SizeError{Digest: ref.Digest, Want: ref.Size, Got: end}
	}
	err = s.put(ctx, name, ref, o)
	if wrong := (*DigestError)(nil); err != nil && !errors.As(err, &wrong) {
		return err
	}
	return firstErr(err, s.remove(name))
}

func (s *Spool) put(ctx context.Context, name string, ref Ref, o Objects) error {
	if ref.Size == 0 { // there may be no file
		return o.Put(ctx, ref, strings.NewReader(""))
	}
	f, err := os.Open(filepath.Join(s.dir, name))
	if err != nil {
		return err
	}
	defer f.Close()
	return o.Put(ctx, ref, f)
}

// Discard forgets an upload.
func (s *Spool) Discard(space string, ref Ref) error {
	name, release, err := s.claim(space, ref)
	if err != nil {
		return err
	}
	defer release()
	return s.remove(name)
}

// Sweep forgets uploads that have got nothing since a time, and returns how
// many. Those being worked on stay.
func (s *Spool) Sweep(since time.Time) (int, error) {
	n := 0
	err := s.each(func(info fs.FileInfo) error {
		if info.ModTime().After(since) || !s.take(info.Name()) {
			return nil
		}
		defer s.release(info.Name())
		n++
		return s.remove(info.Name())
	})
	return n, err
}
