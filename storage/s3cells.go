package storage

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
)

// s3Cells keeps each cell as an object of the bucket under cells/. Its tag is
// the ETag, which never comes back because the bytes hold a nonce.
type s3Cells struct{ store *s3Store }

var _ Cells = (*s3Cells)(nil)

func (c *s3Cells) remove(ctx context.Context, key string) error {
	return c.store.remove(ctx, cellsPrefix+key)
}

func (c *s3Cells) Load(ctx context.Context, key string) ([]byte, string, error) {
	if err := firstErr(ctx.Err(), CheckKey(key)); err != nil {
		return nil, "", err
	}
	_, value, tag, err := c.current(ctx, key)
	return value, tag, err
}

func (c *s3Cells) current(ctx context.Context, key string) (nonce, []byte, string, error) {
	stored, tag, err := c.store.get(ctx, cellsPrefix+key, maxCell)
	if errors.Is(err, fs.ErrNotExist) {
		return nonce{}, nil, "", noCell(key)
	}
	if err != nil {
		return nonce{}, nil, "", fmt.Errorf("cell %q: %w", key, err)
	}
	n, value, err := parseCell(fmt.Sprintf("cell %q", key), stored)
	return n, bytes.Clone(value), tag, err
}

func (c *s3Cells) Swap(ctx context.Context, key, tag string, value []byte) (string, error) {
	if err := firstErr(ctx.Err(), checkValue(key, value)); err != nil {
		return "", err
	}
	if c.store.alone {
		release, err := c.store.writers.lock(ctx, cellsPrefix+key)
		if err != nil {
			return "", err
		}
		defer release()
		_, _, now, err := c.current(ctx, key)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return "", err
		}
		if now != tag {
			return "", conflict(key)
		}
	}
	return c.swap(ctx, key, tag, value)
}

// swap writes and, when the answer is lost, looks for the nonce it drew. As
// long as the cell still has the old tag the same bytes may be sent again: of
// two such requests at most one can take effect.
func (c *s3Cells) swap(ctx context.Context, key, tag string, value []byte) (string, error) {
	drawn := newNonce()
	stored := formatCell(drawn, value)
	unsure := false // an earlier attempt may have taken effect
	for attempt := 1; ; attempt++ {
		newTag, err := c.store.put(ctx, cellsPrefix+key, stored, ifMatch(tag))
		switch {
		case err == nil:
			return newTag, nil
		case isUnclear(err):
			unsure = true
		case !unsure && isConflict(err):
			return "", conflict(key)
		case !unsure:
			return "", fmt.Errorf("cell %q: %w", key, s3Error(err))
		}
		n, _, now, readErr := c.current(ctx, key)
		switch {
		case readErr == nil && n == drawn:
			return now, nil
		case errors.Is(readErr, fs.ErrNotExist) && tag != "":
			return "", conflict(key) // cells are never deleted, so nothing took effect
		case readErr != nil && !errors.Is(readErr, fs.ErrNotExist), now != tag,
			attempt == s3Attempts || !pause(ctx, attempt):
			return "", fmt.Errorf("cell %q: %w: %w", key, ErrUnclear, err)
		}
	}
}
