package main

import (
	"context"
	"errors"
	"io"
	"os"
	"slices"

	"airlock/bundle"
	"airlock/storage"
)

// base returns what opens payloads for a bundle that carries differences from them:
// out of what is held here, or else out of an older bundle of the medium. What is
// older ends, so no bundles can lead in a circle.
func (s *stick) base(of bundle.ID) func(context.Context, storage.Digest) (io.ReaderAt, int64, io.Closer, error) {
	return func(ctx context.Context, payload storage.Digest) (io.ReaderAt, int64, io.Closer, error) {
		missing := errors.New("airlock pull --into with the folder that has it reads it, and so does airlock bundle import")
		if s.held != nil {
			r, size, closer, err := s.held(payload)
			if err == nil {
				return r, size, closer, nil
			}
			missing = err
		}
		at := slices.IndexFunc(s.bundles, func(b *bundle.Bundle) bool { return b.ID() == of })
		for _, b := range s.bundles[at+1:] {
			for _, slice := range b.Document().Feeds {
				body, err := b.Object(ctx, slice.Feed, payload, 0)
				if err == nil {
					return spooled(body)
				}
				if ctx.Err() != nil {
					return nil, 0, nil, ctx.Err()
				}
			}
		}
		return nil, 0, nil, missing
	}
}

// spooled copies a payload to a temporary file, for who reads here and there in it.
func spooled(body io.ReadCloser) (io.ReaderAt, int64, io.Closer, error) {
	temp, err := os.CreateTemp("", "airlock-base-")
	if err != nil {
		return nil, 0, nil, errors.Join(err, body.Close())
	}
	file := &spool{temp}
	size, err := io.Copy(temp, body)
	if err = errors.Join(err, body.Close()); err != nil {
		return nil, 0, nil, errors.Join(err, file.Close())
	}
	return file, size, file, nil
}

// spool is a temporary file that goes when it is closed.
type spool struct{ *os.File }

func (s *spool) Close() error { return errors.Join(s.File.Close(), os.Remove(s.Name())) }
