package feedhttp

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"

	"airlock/feed"
)

// upload brings an object to the server, from where an earlier try left off.
func (c *Client) upload(ctx context.Context, id feed.ID, o feed.Content) error {
	path := feedPath(id) + "/uploads/" + o.Digest.Hex()
	off := int64(0)
	first := true
	err := c.attempt(ctx, func() error {
		var err error
		if !first {
			// Nobody knows how much of the last try arrived.
			if off, err = c.uploadOffset(ctx, path); err != nil {
				return err
			}
		}
		first = false
		off, err = c.uploadFrom(ctx, path, o, off)
		if at, ok := errors.AsType[*OffsetError](err); ok {
			off, err = c.uploadFrom(ctx, path, o, at.Want)
		}
		if err == nil && off != o.Size {
			return fmt.Errorf("%w: %d of %d bytes", io.ErrUnexpectedEOF, off, o.Size)
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("upload %s: %w", o.Digest, err)
	}
	return nil
}

// uploadOffset asks how much has arrived.
func (c *Client) uploadOffset(ctx context.Context, path string) (int64, error) {
	r, err := c.open(ctx, request{method: http.MethodHead, path: path})
	if err != nil {
		return 0, err
	}
	defer r.Body.Close()
	return parseUploadOffset(r)
}

// uploadFrom sends the bytes from off on, and returns how much has arrived.
func (c *Client) uploadFrom(ctx context.Context, path string, o feed.Content, off int64) (int64, error) {
	if off < 0 || off > o.Size {
		return off, fmt.Errorf("answer: %d bytes have arrived of an object of %d", off, o.Size)
	}
	if off == o.Size && off > 0 {
		return off, nil
	}
	r, err := c.open(ctx, request{
		method: http.MethodPatch, path: path,
		header: [][2]string{
			{"Content-Type", uploadMediaType},
			{"Upload-Offset", strconv.FormatInt(off, 10)},
			{"Upload-Length", strconv.FormatInt(o.Size, 10)},
		},
		body:   func() (io.ReadCloser, error) { return o.Open(off) },
		length: o.Size - off,
	})
	if err != nil {
		return off, err
	}
	defer r.Body.Close()
	return parseUploadOffset(r)
}

func parseUploadOffset(r *http.Response) (int64, error) {
	off, ok := parseOffset(r.Header.Get("Upload-Offset"))
	if !ok {
		return 0, fmt.Errorf("answer: Upload-Offset %.40q, want a number of bytes", r.Header.Get("Upload-Offset"))
	}
	return off, nil
}
