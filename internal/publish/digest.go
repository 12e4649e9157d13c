package publish

import (
	"crypto/sha256"
	"io"
	"os"

	"airlock/storage"
)

// digestFile reads a file once, in large pieces, for its digest and size.
func digestFile(file string, progress func(done, total int64)) (storage.Ref, error) {
	f, err := os.Open(file)
	if err != nil {
		return storage.Ref{}, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return storage.Ref{}, err
	}
	h, buf := sha256.New(), make([]byte, 1<<20)
	var n int64
	for {
		k, err := f.Read(buf)
		h.Write(buf[:k])
		n += int64(k)
		if progress != nil {
			progress(n, info.Size())
		}
		if err == io.EOF {
			return storage.Ref{Digest: storage.Digest(h.Sum(nil)), Size: n}, nil
		}
		if err != nil {
			return storage.Ref{}, err
		}
	}
}
