package storage

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"

	"github.com/klauspost/compress/zstd"
)

// ErrFrame reports a frame that is not what its index or delta says: damaged,
// cut off, or made to decode to more than it may; or an index that is none.
var ErrFrame = errors.New("damaged frame")

// frameDecoder decodes whole frames and never to more than MaxChunk bytes,
// whatever they say of themselves. It may be used by several goroutines.
var frameDecoder = sync.OnceValues(func() (*zstd.Decoder, error) {
	return zstd.NewReader(nil, zstd.WithDecoderConcurrency(Workers()), zstd.WithDecoderMaxMemory(MaxChunk),
		zstd.WithDecoderMaxWindow(MaxChunk), zstd.WithDecodeAllCapLimit(true))
})

// DecodeFrame returns the chunk that a frame holds, appended to buf. It is
// checked to have the chunk's size, not its digest: other bytes show in the
// digest of the payload.
func DecodeFrame(frame []byte, c Chunk, buf []byte) ([]byte, error) {
	decoder, err := frameDecoder()
	if err != nil {
		return nil, err
	}
	if cap(buf)-len(buf) < c.Size {
		buf = append(make([]byte, 0, len(buf)+c.Size), buf...)
	}
	before := len(buf)
	out, err := decoder.DecodeAll(frame, buf[:before:before+c.Size])
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrFrame, err)
	}
	if len(out)-before != c.Size {
		return nil, fmt.Errorf("%w: it decodes to %d bytes, want %d", ErrFrame, len(out)-before, c.Size)
	}
	return out, nil
}

// ChunkSource is where the chunks of a payload are taken from.
type ChunkSource struct {
	// Frames returns the frames from a byte on.
	Frames func(off int64) (io.ReadCloser, error)
	// Have, where set, returns a chunk that the reader has already, appended to
	// buf; nil where it has not. It is called for one chunk after the other.
	Have func(c Chunk, buf []byte) []byte
}

// unframing is a frame on its way to be a chunk.
type unframing struct {
	number      int
	frame, data []byte
	here        bool // data is the chunk already
}

var unframings = sync.Pool{New: func() any {
	return &unframing{frame: make([]byte, 0, 2*minChunk), data: make([]byte, 0, 2*minChunk)}
}}

// write writes the chunks from first on to w. Frames are checked to be there
// and to hold as much as the index says.
func (x *ChunkIndex) write(ctx context.Context, w io.Writer, from ChunkSource, first int, at int64) error {
	frames := &stretches{open: from.Frames, next: at}
	defer frames.close()
	i := first
	return inOrder(ctx, func() (*unframing, error) {
		if i == len(x.Chunks) {
			return nil, io.EOF
		}
		c := x.Chunks[i]
		u := unframings.Get().(*unframing)
		u.number, u.here = i, false
		i++
		if from.Have != nil {
			if data := from.Have(c, u.data[:0]); data != nil {
				u.data, u.here = data, true
				frames.next += int64(c.Frame)
				return u, nil
			}
		}
		u.frame = append(u.frame[:0], make([]byte, c.Frame)...)
		if err := frames.read(u.frame); err != nil {
			return nil, fmt.Errorf("chunk %d: %w", u.number, err)
		}
		return u, nil
	}, func(u *unframing) error {
		if u.here {
			return nil
		}
		if x.Plain() {
			u.data, u.frame = u.frame, u.data
			return nil
		}
		data, err := DecodeFrame(u.frame, x.Chunks[u.number], u.data[:0])
		if err != nil {
			return fmt.Errorf("chunk %d: %w", u.number, err)
		}
		u.data = data
		return nil
	}, func(u *unframing) error {
		_, err := w.Write(u.data)
		unframings.Put(u)
		return err
	})
}

// stretches reads stretches of bytes from next on. What lies between two that
// are wanted is read over where that is cheaper than to ask again.
type stretches struct {
	open func(off int64) (io.ReadCloser, error)
	next int64 // of the next stretch, in bytes

	body io.ReadCloser
	at   int64 // of body
}

const readOver = 256 << 10

func (s *stretches) read(stretch []byte) error {
	if s.body != nil && s.next > s.at && s.next-s.at <= readOver {
		n, err := io.CopyN(io.Discard, s.body, s.next-s.at)
		if s.at += n; err != nil {
			return cutOff(err)
		}
	}
	if s.body == nil || s.at != s.next {
		s.close()
		body, err := s.open(s.next)
		if err != nil {
			return err
		}
		s.body, s.at = body, s.next
	}
	n, err := io.ReadFull(s.body, stretch)
	s.at += int64(n)
	s.next = s.at
	return cutOff(err)
}

// cutOff makes an end that came too early a damage; a line that broke is none.
func cutOff(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return fmt.Errorf("%w: %w", ErrFrame, io.ErrUnexpectedEOF)
	}
	return err
}

func (s *stretches) close() {
	if s.body != nil {
		_ = s.body.Close()
		s.body = nil
	}
}

// noEOF keeps io.EOF from passing for an end that was reached.
func noEOF(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

// Open reads the payload from byte off, not checked but for the size of each
// chunk. Reading goes on ahead of the reader until Close.
func (x *ChunkIndex) Open(ctx context.Context, off int64, from ChunkSource) io.ReadCloser {
	first, start, at := x.at(off)
	return piped(ctx, func(ctx context.Context, w io.Writer) error {
		return x.write(ctx, &skipping{w, off - start}, from, first, at)
	})
}

// piped reads what fill writes, in a goroutine that Close ends.
func piped(ctx context.Context, fill func(ctx context.Context, w io.Writer) error) io.ReadCloser {
	ctx, cancel := context.WithCancel(ctx)
	r, w := io.Pipe()
	p := &pipedReader{PipeReader: r, cancel: cancel, done: make(chan struct{})}
	go func() {
		defer close(p.done)
		w.CloseWithError(fill(ctx, w))
	}()
	return p
}

// pipedReader reads what another goroutine writes.
type pipedReader struct {
	*io.PipeReader
	cancel context.CancelFunc
	done   chan struct{}
}

// Close ends the goroutine too.
func (p *pipedReader) Close() error {
	p.cancel()
	err := p.PipeReader.Close()
	<-p.done
	return err
}

// skipping leaves out the first left bytes.
type skipping struct {
	w    io.Writer
	left int64
}

func (s *skipping) Write(p []byte) (int, error) {
	skip := int(min(s.left, int64(len(p))))
	s.left -= int64(skip)
	if skip == len(p) {
		return len(p), nil
	}
	n, err := s.w.Write(p[skip:])
	return skip + n, err
}
