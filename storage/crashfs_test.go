package storage

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"math/rand/v2"
	"path"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// errPowerCut is what every operation gives once the power is cut.
var errPowerCut = errors.New("power cut")

// crashDisk is a disk with a page cache that forgets: of each file it knows
// what was written and what was synced, of each folder the names now and the
// names when it was last synced. restart drops what was not synced.
//
// It is stricter than any file system: a synced file without its folder is
// gone, and a rename is two changes of which one alone may survive.
type crashDisk struct {
	mu   sync.Mutex
	root *diskNode

	ops   int       // done so far
	limit int       // operations until the power is cut; 0 for never
	kill  bool      // at limit the process dies, the page cache stays
	skip  syncPoint // a sync that is left out
	now   func() time.Time
}

var _ fileLayer = (*crashDisk)(nil)

type diskNode struct {
	dir         bool
	data        []byte
	date        time.Time
	synced      []byte // nil before the first sync
	syncedDate  time.Time
	names       map[string]*diskNode
	syncedNames map[string]*diskNode
}

func newDir() *diskNode {
	return &diskNode{dir: true, names: map[string]*diskNode{}, syncedNames: map[string]*diskNode{}}
}

func newCrashDisk() *crashDisk {
	return &crashDisk{root: newDir(), now: newClock()}
}

// newClock returns a clock that goes on by a second each time it is read.
func newClock() func() time.Time {
	var seconds atomic.Int64
	seconds.Store(1_800_000_000)
	return func() time.Time { return time.Unix(seconds.Add(1), 0) }
}

// step counts one operation, and fails it once the power is cut.
func (d *crashDisk) step() error {
	d.ops++
	if d.limit > 0 && d.ops > d.limit {
		return errPowerCut
	}
	return nil
}

// restart returns the disk as it is found after the power cut. What was not
// synced is lost, or, with luck, survives in part: each name and each file by
// itself, a file perhaps cut short.
func (d *crashDisk) restart(luck *rand.Rand) *crashDisk {
	d.mu.Lock()
	defer d.mu.Unlock()
	after := &crashDisk{root: d.root, skip: d.skip, now: d.now}
	if !d.kill {
		after.root = d.root.survivor(luck, map[*diskNode]*diskNode{})
	}
	return after
}

func (n *diskNode) survivor(luck *rand.Rand, done map[*diskNode]*diskNode) *diskNode {
	if s := done[n]; s != nil {
		return s
	}
	if !n.dir {
		s := &diskNode{data: n.synced, date: n.syncedDate}
		if luck != nil && !bytes.Equal(n.data, n.synced) && luck.IntN(2) == 0 {
			s.data, s.date = n.data[:luck.IntN(len(n.data)+1)], n.date
		}
		s.synced, s.syncedDate = s.data, s.date
		done[n] = s
		return s
	}
	s := newDir()
	done[n] = s
	all := maps.Clone(n.syncedNames)
	maps.Copy(all, n.names)
	for _, name := range slices.Sorted(maps.Keys(all)) {
		node := n.syncedNames[name]
		if n.names[name] != node && luck != nil && luck.IntN(2) == 0 {
			node = n.names[name]
		}
		if node != nil {
			s.names[name] = node.survivor(luck, done)
		}
	}
	s.syncedNames = maps.Clone(s.names)
	return s
}

// sum is a digest of a node and of all below it, as they are now. The names of
// scratch files are drawn at random and do not count.
func (n *diskNode) sum(scratch bool) []byte {
	h := sha256.New()
	fmt.Fprintf(h, "%t %d %q\n", n.dir, n.date.UnixNano(), n.data)
	var below [][]byte
	for name, node := range n.names {
		sum := node.sum(scratch || name == tmpFolder)
		if !scratch {
			sum = append(sum, name...)
		}
		below = append(below, sum)
	}
	slices.SortFunc(below, bytes.Compare)
	for _, b := range below {
		fmt.Fprintf(h, "%x\n", b)
	}
	return h.Sum(nil)
}

// find returns the node of a name, and the folder that holds or would hold it.
func (d *crashDisk) find(op, name string) (node, folder *diskNode, err error) {
	if err := d.step(); err != nil {
		return nil, nil, err
	}
	node, folder = d.root, d.root
	for segment := range strings.SplitSeq(strings.Trim(path.Clean(name), "/"), "/") {
		if segment == "" {
			continue
		}
		if node == nil || !node.dir {
			return nil, nil, &fs.PathError{Op: op, Path: name, Err: fs.ErrNotExist}
		}
		node, folder = node.names[segment], node
	}
	return node, folder, nil
}

func (d *crashDisk) must(op, name string) (*diskNode, error) {
	node, _, err := d.find(op, name)
	if err == nil && node == nil {
		err = &fs.PathError{Op: op, Path: name, Err: fs.ErrNotExist}
	}
	return node, err
}

// add gives node a name that must be free.
func (d *crashDisk) add(op, name string, node *diskNode) error {
	old, folder, err := d.find(op, name)
	switch {
	case err != nil:
		return err
	case old != nil:
		return &fs.PathError{Op: op, Path: name, Err: fs.ErrExist}
	}
	folder.names[path.Base(name)] = node
	return nil
}

func (d *crashDisk) Mkdir(name string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.add("mkdir", name, newDir())
}

func (d *crashDisk) Create(name string) (newFile, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	node := &diskNode{date: d.now()}
	if err := d.add("create", name, node); err != nil {
		return nil, err
	}
	return &crashFile{disk: d, node: node}, nil
}

func (d *crashDisk) Link(from, to string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	node, err := d.must("link", from)
	if err != nil {
		return err
	}
	return d.add("link", to, node)
}

func (d *crashDisk) Rename(from, to string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	node, source, err := d.find("rename", from)
	if err != nil {
		return err
	}
	_, target, err := d.find("rename", to)
	if err != nil {
		return err
	}
	delete(source.names, path.Base(from))
	target.names[path.Base(to)] = node
	return nil
}

func (d *crashDisk) Remove(name string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	_, folder, err := d.find("remove", name)
	if err == nil {
		delete(folder.names, path.Base(name))
	}
	return err
}

func (d *crashDisk) Touch(name string, at time.Time) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	node, err := d.must("touch", name)
	if err == nil {
		node.date = at
	}
	return err
}

func (d *crashDisk) sync(node *diskNode, at syncPoint) {
	if at == d.skip {
		return
	}
	if node.dir {
		node.syncedNames = maps.Clone(node.names)
		return
	}
	node.synced, node.syncedDate = node.data, node.date // only ever appended to
}

func (d *crashDisk) SyncFile(name string, at syncPoint) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	node, err := d.must("sync", name)
	if err == nil {
		d.sync(node, at)
	}
	return err
}

func (d *crashDisk) SyncDir(name string, at syncPoint) error { return d.SyncFile(name, at) }

func (d *crashDisk) Open(name string) (openFile, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	node, err := d.must("open", name)
	if err != nil {
		return nil, err
	}
	return &diskReader{Reader: bytes.NewReader(node.data), info: diskInfo{path.Base(name), node.dir, len(node.data), node.date}}, nil
}

func (d *crashDisk) ReadDir(name string) ([]fs.DirEntry, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	node, err := d.must("readdir", name)
	if err != nil {
		return nil, err
	}
	var entries []fs.DirEntry
	for _, name := range slices.Sorted(maps.Keys(node.names)) {
		n := node.names[name]
		entries = append(entries, fs.FileInfoToDirEntry(diskInfo{name, n.dir, len(n.data), n.date}))
	}
	return entries, nil
}

// crashFile is a file being written.
type crashFile struct {
	disk *crashDisk
	node *diskNode
}

func (f *crashFile) Write(p []byte) (int, error) {
	f.disk.mu.Lock()
	defer f.disk.mu.Unlock()
	if err := f.disk.step(); err != nil {
		return 0, err
	}
	f.node.data = append(f.node.data, p...)
	return len(p), nil
}

func (f *crashFile) Sync(at syncPoint) error {
	f.disk.mu.Lock()
	defer f.disk.mu.Unlock()
	if err := f.disk.step(); err != nil {
		return err
	}
	f.disk.sync(f.node, at)
	return nil
}

func (f *crashFile) Close() error { return nil }

type diskReader struct {
	*bytes.Reader
	info diskInfo
}

func (r *diskReader) Close() error               { return nil }
func (r *diskReader) Stat() (fs.FileInfo, error) { return r.info, nil }

type diskInfo struct {
	name string
	dir  bool
	size int
	date time.Time
}

func (i diskInfo) Name() string       { return i.name }
func (i diskInfo) Size() int64        { return int64(i.size) }
func (i diskInfo) ModTime() time.Time { return i.date }
func (i diskInfo) IsDir() bool        { return i.dir }
func (i diskInfo) Sys() any           { return nil }
func (i diskInfo) Mode() fs.FileMode {
	if i.dir {
		return fs.ModeDir
	}
	return 0
}

var _ io.Seeker = (*diskReader)(nil)
