package apply

import (
	"crypto/sha256"
	"errors"
	"io"
	"io/fs"
	"os"
	"path"
	"sync"

	"airlock/storage"
)

// New files are as readable as the umask lets them be: they are for the
// programs of this machine.
const (
	fileMode = 0o666
	dirMode  = 0o777
)

// disk is the folder that a Dir writes to. Names are slash-separated and
// cannot leave it, whatever symbolic links there are (os.Root).
type disk struct {
	root *os.Root
	// step, where set, is asked before everything that changes the disk. Tests
	// end a process at each step with it.
	step func(op, name string) error
}

func (k *disk) before(op, name string) error {
	if k.step == nil {
		return nil
	}
	return k.step(op, name)
}

func (k *disk) mkdir(name string) error {
	if err := k.before("mkdir", name); err != nil {
		return storage.NoteFull(err)
	}
	return storage.NoteFull(k.root.Mkdir(name, dirMode))
}

func (k *disk) rename(from, to string) error {
	if err := k.before("rename", to); err != nil {
		return storage.NoteFull(err)
	}
	return storage.NoteFull(k.root.Rename(from, to))
}

// remove removes a file or an empty folder; it may be gone already.
func (k *disk) remove(name string) error {
	if err := k.before("remove", name); err != nil {
		return err
	}
	if err := k.root.Remove(name); err != nil && !isAbsent(err) {
		return err
	}
	return nil
}

func (k *disk) removeAll(name string) error {
	if err := k.before("removeall", name); err != nil {
		return err
	}
	return k.root.RemoveAll(name)
}

// lstat returns nil for what is not there, also where a file is in the place
// of a folder above it.
func (k *disk) lstat(name string) (fs.FileInfo, error) {
	info, err := k.root.Lstat(name)
	if isAbsent(err) {
		return nil, nil
	}
	return info, err
}

func isAbsent(err error) bool { return errors.Is(err, fs.ErrNotExist) || isNotFolder(err) }

func (k *disk) readDir(name string) ([]fs.DirEntry, error) {
	f, err := k.root.Open(name)
	if err != nil {
		return nil, err
	}
	entries, err := f.ReadDir(-1)
	return entries, errors.Join(err, f.Close())
}

// readFile returns a record's bytes.
func (k *disk) readFile(name string) ([]byte, error) {
	f, err := k.root.Open(name)
	if err != nil {
		return nil, err
	}
	b, err := readAll(f)
	return b, errors.Join(err, f.Close())
}

// writeFile makes a file that must not exist, without syncing it.
func (k *disk) writeFile(name string, content []byte) error {
	f, err := k.create(name)
	if err != nil {
		return err
	}
	_, err = f.Write(content)
	return errors.Join(err, f.Close())
}

// create makes a file that must not exist.
func (k *disk) create(name string) (*newFile, error) {
	if err := k.before("create", name); err != nil {
		return nil, storage.NoteFull(err)
	}
	f, err := k.root.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, fileMode)
	if err != nil {
		return nil, storage.NoteFull(err)
	}
	return &newFile{disk: k, name: name, file: f}, nil
}

// newFile is a file being written.
type newFile struct {
	disk *disk
	name string
	file *os.File
	back storage.Writeback
}

func (f *newFile) Write(p []byte) (int, error) {
	if err := f.disk.before("write", f.name); err != nil {
		return 0, storage.NoteFull(err)
	}
	n, err := f.file.Write(p)
	f.back.Wrote(f.file, n)
	return n, storage.NoteFull(err)
}

// again empties the file: what was written to it is not what it is to hold.
func (f *newFile) again() error {
	if err := f.disk.before("truncate", f.name); err != nil {
		return storage.NoteFull(err)
	}
	f.back = storage.Writeback{}
	_, err := f.file.Seek(0, io.SeekStart)
	return errors.Join(err, f.file.Truncate(0))
}

func (f *newFile) sync() error {
	if err := f.disk.before("sync", f.name); err != nil {
		return storage.NoteFull(err)
	}
	return storage.NoteFull(f.file.Sync())
}

// date returns the file's date once all of it is written; see File.
func (f *newFile) date() (int64, error) {
	info, err := f.file.Stat()
	if err != nil {
		return 0, err
	}
	return dateOf(info), nil
}

func dateOf(info fs.FileInfo) int64 { return info.ModTime().UnixMicro() }

func (f *newFile) Close() error { return storage.NoteFull(f.file.Close()) }

var buffers = sync.Pool{New: func() any { b := make([]byte, 256<<10); return &b }}

// digest reads a file and returns what it holds.
func (k *disk) digest(name string) (storage.Ref, error) {
	f, err := k.root.Open(name)
	if err != nil {
		return storage.Ref{}, err
	}
	defer f.Close()
	return refOf(f)
}

func refOf(r io.Reader) (storage.Ref, error) {
	h := sha256.New()
	buf := buffers.Get().(*[]byte)
	defer buffers.Put(buf)
	n, err := io.CopyBuffer(h, struct{ io.Reader }{r}, *buf)
	return storage.Ref{Digest: storage.Digest(h.Sum(nil)), Size: n}, err
}

// parent is the folder of a name, "." for those at the top.
func parent(name string) string { return path.Dir(name) }
