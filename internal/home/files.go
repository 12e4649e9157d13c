package home

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
)

// tempPrefix begins the names of files that are being written.
const tempPrefix = ".new-"

// writeNew creates a file with its content, durable, and never overwrites one.
// Nobody sees the file before its content is whole.
func writeNew(path string, content []byte, mode fs.FileMode) error {
	return write(path, content, mode, func(temp string) error {
		err := os.Link(temp, path)
		if err == nil || errors.Is(err, fs.ErrExist) {
			return err
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

// replace swaps a file's content: readers see the old or the new one.
func replace(path string, content []byte, mode fs.FileMode) error {
	return write(path, content, mode, func(temp string) error { return os.Rename(temp, path) })
}

// write makes content durable under a name of its own, and lets place give it
// the right one.
func write(path string, content []byte, mode fs.FileMode, place func(temp string) error) error {
	dir := filepath.Dir(path)
	temp, err := os.CreateTemp(dir, tempPrefix+"*")
	if err != nil {
		return err
	}
	defer os.Remove(temp.Name())
	_, err = temp.Write(content)
	if err = errors.Join(err, temp.Chmod(mode), temp.Sync(), temp.Close()); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	if err := place(temp.Name()); err != nil {
		return err
	}
	return syncDir(dir)
}

// syncDir makes the names in a folder durable. Windows has no call for it.
func syncDir(dir string) error {
	if runtime.GOOS == "windows" {
		return nil
	}
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
