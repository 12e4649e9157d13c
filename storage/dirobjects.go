package storage

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"
)

// dirObjects keeps an object in a file of its own, named by its digest.
type dirObjects struct {
	store *dirStore
	space string
}

var (
	_ Objects  = (*dirObjects)(nil)
	_ Batcher  = (*dirObjects)(nil)
	_ Streamer = (*dirObjects)(nil)
)

func (o *dirObjects) path(d Digest) string { return o.store.path(objectKey(o.space, d)) }

func (o *dirObjects) open(ctx context.Context, d Digest) (openFile, fs.FileInfo, error) {
	if err := firstErr(ctx.Err(), checkSpace(o.space)); err != nil {
		return nil, nil, err
	}
	f, err := o.store.files.Open(o.path(d))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil, noObject(o.space, d)
	}
	if err != nil {
		return nil, nil, err
	}
	info, err := f.Stat()
	if err != nil {
		_ = f.Close()
		return nil, nil, err
	}
	return f, info, nil
}

// Get implements Objects. From an offset above 0 the reader is the *os.File.
func (o *dirObjects) Get(ctx context.Context, d Digest, off int64) (io.ReadCloser, error) {
	f, info, err := o.open(ctx, d)
	if err != nil {
		return nil, err
	}
	if err := checkOffset(d, off, info.Size()); err != nil {
		_ = f.Close()
		return nil, err
	}
	if off == 0 {
		return newChecked(f, d, info.Size()), nil
	}
	if _, err := f.Seek(off, io.SeekStart); err != nil {
		_ = f.Close()
		return nil, err
	}
	return f, nil
}

func (o *dirObjects) Stat(ctx context.Context, d Digest) (Info, error) {
	f, info, err := o.open(ctx, d)
	if err != nil {
		return Info{}, err
	}
	return Info{Size: info.Size(), Modified: info.ModTime()}, f.Close()
}

func (o *dirObjects) Put(ctx context.Context, ref Ref, r io.Reader) error {
	if err := checkSpace(o.space); err != nil {
		return err
	}
	if err := o.put(ctx, ref, r); err != nil {
		return fmt.Errorf("object %s of %s: %w", ref.Digest, o.space, err)
	}
	return nil
}

func (o *dirObjects) put(ctx context.Context, ref Ref, r io.Reader) error {
	if ref.Size <= o.store.small {
		data, err := io.ReadAll(newExact(ctx, ref, r))
		if err != nil {
			return err
		}
		return o.PutBatch(ctx, []Item{{Ref: ref, Data: data}})
	}
	dir, err := o.makeFolder(ctx, ref.Digest)
	if err != nil {
		return err
	}
	// Of a large object that is here already, the size must do: comparing
	// would cost a read. Its bytes are checked whenever they are read.
	if info, err := o.Stat(ctx, ref.Digest); err == nil && info.Size == ref.Size {
		if err := copyChecked(ctx, io.Discard, ref, r); err != nil {
			return err
		}
		if err := o.renew(ref.Digest, syncRenewed); err != nil {
			return err
		}
		return o.store.files.SyncDir(dir, syncRenewedFolder)
	}
	return o.putLarge(ctx, func(w io.Writer) (Digest, error) { return ref.Digest, copyChecked(ctx, w, ref, r) })
}

// PutStream implements Streamer.
func (o *dirObjects) PutStream(ctx context.Context, fill func(w io.Writer) error) (ref Ref, err error) {
	if err := checkSpace(o.space); err != nil {
		return Ref{}, err
	}
	err = o.putLarge(ctx, func(w io.Writer) (Digest, error) {
		sum := newSumming(w)
		err := fill(sum)
		ref = sum.ref()
		return ref.Digest, err
	})
	if err != nil {
		return Ref{}, fmt.Errorf("object of %s: %w", o.space, err)
	}
	return ref, nil
}

// putLarge stores what fill writes, under the digest that it returns.
func (o *dirObjects) putLarge(ctx context.Context, fill func(w io.Writer) (Digest, error)) error {
	var d Digest
	staged, err := o.store.stage(syncObject, func(w io.Writer) (err error) {
		d, err = fill(w)
		return err
	})
	if err != nil {
		return err
	}
	dir, err := o.makeFolder(ctx, d)
	if err != nil {
		_ = o.store.files.Remove(staged)
		return err
	}
	if err := o.store.rename(staged, o.path(d)); err != nil {
		return err
	}
	return o.store.files.SyncDir(dir, syncObjectFolder)
}

// makeFolder makes the folder of a large object, durable on return with those
// above it: also where another process made them a moment ago.
func (o *dirObjects) makeFolder(ctx context.Context, d Digest) (string, error) {
	dir := filepath.Dir(o.path(d))
	return dir, o.store.makeFolders(ctx, syncObjectParents, dir)
}

// renew gives an object that exists today's date, and makes the file durable.
// The folder is left to the caller: whoever put the object first may have been
// killed before syncing it.
func (o *dirObjects) renew(d Digest, at syncPoint) error {
	if err := o.store.files.Touch(o.path(d), o.store.now()); err != nil {
		return err
	}
	return o.store.files.SyncFile(o.path(d), at)
}

// PutBatch implements Batcher: the files are written and synced side by side,
// which lets a file system do it with few journal commits, and then each folder
// once.
func (o *dirObjects) PutBatch(ctx context.Context, items []Item) error {
	if err := checkSpace(o.space); err != nil {
		return err
	}
	dirs := map[string]bool{}
	names := make([]string, 0, len(items))
	for _, it := range items {
		dir := filepath.Dir(o.path(it.Ref.Digest))
		if !dirs[dir] {
			dirs[dir] = true
			names = append(names, dir)
		}
	}
	if err := o.store.makeFolders(ctx, syncBatchParents, names...); err != nil {
		return err
	}
	err := each(ctx, len(items), func(ctx context.Context, i int) error { return o.putItem(ctx, items[i]) })
	if err != nil {
		return err
	}
	return o.store.syncFolders(ctx, dirs, syncBatchFolders)
}

// putItem stores one object of a batch; its folder exists and is synced later.
// An object that is here already but damaged is replaced.
func (o *dirObjects) putItem(ctx context.Context, it Item) error {
	if err := checkItem(it); err != nil {
		return err
	}
	old, err := o.Get(ctx, it.Ref.Digest, 0)
	if err == nil {
		data, err := io.ReadAll(io.LimitReader(old, it.Ref.Size+1))
		_ = old.Close()
		if err == nil && bytes.Equal(data, it.Data) {
			return o.renew(it.Ref.Digest, syncRenewedItem)
		}
	}
	staged, err := o.store.stageBytes(syncItem, it.Data)
	if err != nil {
		return err
	}
	return o.store.rename(staged, o.path(it.Ref.Digest))
}
