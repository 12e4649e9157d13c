package storage

import (
	"context"
	"crypto/sha256"
	"errors"
	"io"
)

// pipeDepth is how many pieces are under way in one copyChecked, so 1 MiB.
const pipeDepth = 4

// copyChecked copies r to w while another goroutine hashes, and returns nil
// only where exactly ref.Size bytes that hash to ref.Digest came. Whatever the
// error, w may have got bytes.
func copyChecked(ctx context.Context, w io.Writer, ref Ref, r io.Reader) error {
	filled := make(chan []byte, pipeDepth)
	free := make(chan *[]byte, pipeDepth)
	for range pipeDepth {
		free <- pieces.Get().(*[]byte)
	}
	sum := make(chan Digest, 1)
	go func() {
		h := sha256.New()
		for piece := range filled {
			h.Write(piece)
			whole := piece[:cap(piece)]
			free <- &whole
		}
		sum <- Digest(h.Sum(nil))
	}()
	err := pump(ctx, w, ref, r, free, filled)
	close(filled)
	got := <-sum
	for range len(free) {
		pieces.Put(<-free)
	}
	if err != nil {
		return err
	}
	if err := checkEnd(ref, got, r); !errors.Is(err, io.EOF) {
		return err
	}
	return nil
}

// pump moves ref.Size bytes from r to w, and each piece on to filled.
func pump(ctx context.Context, w io.Writer, ref Ref, r io.Reader, free <-chan *[]byte, filled chan<- []byte) error {
	for left := ref.Size; left > 0; {
		if err := ctx.Err(); err != nil {
			return err
		}
		buf := *<-free
		n, err := io.ReadFull(r, buf[:min(int64(len(buf)), left)])
		left -= int64(n)
		if n > 0 {
			if _, err := w.Write(buf[:n]); err != nil {
				filled <- buf[:0]
				return err
			}
		}
		filled <- buf[:n]
		if err != nil {
			if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
				return &SizeError{Digest: ref.Digest, Want: ref.Size, Got: ref.Size - left}
			}
			return err
		}
	}
	return nil
}
