package storage

import (
	"bytes"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

// TempPrefix begins the names of files that CreateFile, ReplaceFile and
// ReplaceFrom are writing. A process that was killed may leave one behind.
const TempPrefix = ".new-"

// CreateFile creates a file outside a store with its content, durable on
// return, and never overwrites one: the error matches fs.ErrExist. Nobody sees
// the file before its content is whole.
func CreateFile(path string, content []byte, mode fs.FileMode) error {
	return writeWhole(path, bytes.NewReader(content), mode, func(temp string) error {
		err := os.Link(temp, path)
		if errors.Is(err, fs.ErrExist) {
			return &fs.PathError{Op: "create", Path: path, Err: fs.ErrExist} // which of the two names is taken
		}
		if err == nil {
			return nil
		}
		// A file system without links: at least nothing is overwritten.
		f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
		if err != nil {
			return err
		}
		_, err = f.Write(content)
		if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
			os.Remove(path)
		}
		return err
	})
}

// ReplaceFile swaps the content of a file outside a store, durable on return:
// readers see the old or the new one.
func ReplaceFile(path string, content []byte, mode fs.FileMode) error {
	return ReplaceFrom(path, bytes.NewReader(content), mode)
}

// ReplaceFrom is ReplaceFile with a content that is read to its end: where that
// fails nothing is replaced.
func ReplaceFrom(path string, content io.Reader, mode fs.FileMode) error {
	return writeWhole(path, content, mode, func(temp string) error { return os.Rename(temp, path) })
}

// writeWhole makes content durable under a name of its own, and lets place give
// it the right one. Of mode the process's umask takes away, as of any new file.
func writeWhole(path string, content io.Reader, mode fs.FileMode, place func(temp string) error) error {
	dir := filepath.Dir(path)
	temp, err := os.OpenFile(filepath.Join(dir, TempPrefix+rand.Text()), os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
	if e, ok := errors.AsType[*fs.PathError](err); ok {
		return &fs.PathError{Op: "write", Path: path, Err: e.Err} // under the name that it was to have
	}
	if err != nil {
		return err
	}
	defer os.Remove(temp.Name())
	_, err = io.Copy(temp, content)
	if err = errors.Join(err, temp.Sync(), temp.Close()); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	if err := place(temp.Name()); err != nil {
		return err
	}
	return SyncDir(dir)
}
