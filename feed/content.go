package feed

import (
	"bytes"
	"io"

	"airlock/storage"
)

// ContentOf returns bytes in memory as a batch's object.
func ContentOf(b []byte) Content {
	return Content{Ref: storage.RefOf(b), Open: func(off int64) (io.ReadCloser, error) {
		return io.NopCloser(bytes.NewReader(b[min(off, int64(len(b))):])), nil
	}}
}
