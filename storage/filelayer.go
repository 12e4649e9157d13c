package storage

import (
	"io"
	"io/fs"
	"time"
)

// fileLayer is all that a directory store asks of an operating system. It is
// small so that a test can stand in for the disk and drop whatever was not
// synced. Names are paths as the operating system writes them; absence and
// presence are fs.ErrNotExist and fs.ErrExist.
type fileLayer interface {
	fileReader
	fileNamer
	fileSyncer
}

type fileReader interface {
	Open(name string) (openFile, error)
	ReadDir(name string) ([]fs.DirEntry, error)
}

// fileNamer changes folders. A change outlives a power cut only once the
// folder was synced.
type fileNamer interface {
	Create(name string) (newFile, error) // the name must be free
	Mkdir(name string) error
	Link(from, to string) error
	Rename(from, to string) error // replaces to, at once or not at all
	Remove(name string) error
	Touch(name string, at time.Time) error
}

// fileSyncer makes durable. Every call names its place in the code, so that a
// test can leave out each in turn and see that it was needed.
type fileSyncer interface {
	SyncFile(name string, at syncPoint) error // content and date
	SyncDir(name string, at syncPoint) error  // the names in it, not what they name
}

// openFile is a file being read. For an operating system it is an *os.File, so
// that a server can send it without copying.
type openFile interface {
	io.ReadSeekCloser
	Stat() (fs.FileInfo, error)
}

// newFile is a file being written.
type newFile interface {
	io.Writer
	Sync(at syncPoint) error
	Close() error
}

// syncPoint names one place in the code that syncs.
type syncPoint string

const (
	syncRootPath syncPoint = "folders above a new store"
	syncMarker   syncPoint = "store folder at opening"

	syncObject        syncPoint = "large object, before it gets its name"
	syncObjectParents syncPoint = "parents of a large object's new folders"
	syncObjectFolder  syncPoint = "folder of a large object"
	syncRenewed       syncPoint = "large object that was there before"
	syncRenewedFolder syncPoint = "folder of a large object that was there before"

	syncItem         syncPoint = "object of a batch, before it gets its name"
	syncRenewedItem  syncPoint = "object of a batch that was there before"
	syncBatchParents syncPoint = "parents of a batch's new folders"
	syncBatchFolders syncPoint = "folders of a batch"

	syncFile        syncPoint = "file, before it gets its name"
	syncFileParents syncPoint = "parents of a file's new folders"
	syncFileFolder  syncPoint = "folder of a file"
	syncSame        syncPoint = "file that was there before"
	syncSameFolder  syncPoint = "folder of a file that was there before"

	syncCell        syncPoint = "cell, before it gets its name"
	syncCellParents syncPoint = "parents of a cell's new folders"
	syncCellFolder  syncPoint = "folder of a cell"
	syncLoadedCell  syncPoint = "folder of a cell first seen"
)
