package home

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"

	"airlock/storage"
)

// Receipts wait in files until they are sent, some together, named by the
// instance and the number of the first:
//
//	receipts/<instance>/<number, 16 digits>
//
// What is in them is internal/outbox's.

// MaxReceipts bounds a file of receipts, in bytes.
const MaxReceipts = 128 << 20

func (h *Home) receiptsFile(instance string, first int64) string {
	return h.file("receipts", instance, fmt.Sprintf("%016d", first))
}

// LockReceipts keeps other processes from numbering receipts until release.
func (h *Home) LockReceipts(ctx context.Context) (release func(), err error) {
	return storage.Lock(ctx, h.file("receipts.lock"))
}

// AddReceipts writes a file of receipts, durable. One that exists is
// fs.ErrExist, whoever wrote it: so no number is given out twice.
func (h *Home) AddReceipts(instance string, first int64, content []byte) error {
	for _, dir := range []string{h.file("receipts"), h.file("receipts", instance)} {
		if err := os.Mkdir(dir, 0o700); err == nil {
			if err := storage.SyncDir(filepath.Dir(dir)); err != nil {
				return err
			}
		} else if !errors.Is(err, fs.ErrExist) {
			return err
		}
	}
	return storage.CreateFile(h.receiptsFile(instance, first), content, 0o600)
}

// ReplaceReceipts writes a file of receipts anew.
func (h *Home) ReplaceReceipts(instance string, first int64, content []byte) error {
	return storage.ReplaceFile(h.receiptsFile(instance, first), content, 0o600)
}

// ReadReceipts reads a file of receipts.
func (h *Home) ReadReceipts(instance string, first int64) ([]byte, error) {
	return ReadFile(h.receiptsFile(instance, first), MaxReceipts)
}

// RemoveReceipts removes a file whose receipts are sent.
func (h *Home) RemoveReceipts(instance string, first int64) error {
	err := os.Remove(h.receiptsFile(instance, first))
	if errors.Is(err, fs.ErrNotExist) {
		return nil // another process sent them too
	}
	return err
}

// Receipts returns the instances with receipts that wait, and the numbers by
// which their files are named, in order.
func (h *Home) Receipts() (map[string][]int64, error) {
	out := map[string][]int64{}
	instances, err := readNames(h.file("receipts"))
	if err != nil {
		return nil, err
	}
	for _, instance := range instances {
		names, err := readNames(h.file("receipts", instance))
		if err != nil {
			return nil, err
		}
		for _, name := range names {
			n, err := strconv.ParseInt(name, 10, 64)
			if err == nil && fmt.Sprintf("%016d", n) == name { // not one that was being written
				out[instance] = append(out[instance], n)
			}
		}
		slices.Sort(out[instance])
	}
	return out, nil
}

// readNames lists a folder; none is empty.
func readNames(dir string) ([]string, error) {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	var out []string
	for _, e := range entries {
		out = append(out, e.Name())
	}
	return out, err
}
