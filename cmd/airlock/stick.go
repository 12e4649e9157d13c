package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"filippo.io/age"

	"airlock/bundle"
	"airlock/feed"
	"airlock/storage"
	"airlock/trust"
)

// stick is a medium with bundles: a place whose feeds are those of all of them.
// Of a feed that several carry it shows the newest checkpoint, and each entry
// from a bundle that has it. So a medium that is used again and again is read as
// one.
type stick struct {
	readOnly
	name    string
	paths   []string
	bundles []*bundle.Bundle // the newest first
	// broken holds what is named as a volume, or belongs to a bundle, and cannot
	// be read.
	broken []bundle.Unread
	// held, where set, opens a payload that is here already; see
	// bundle.OpenOptions.Base.
	held func(payload storage.Digest) (io.ReaderAt, int64, io.Closer, error)

	tree entryTree
}

var _ place = (*stick)(nil)

// stickPaths returns the paths of a medium that where names, separated by
// commas: files, and folders that hold volumes and are no store. It returns nil
// for any other place.
func stickPaths(where string) []string {
	paths := strings.Split(where, ",")
	if _, err := os.Stat(where); err == nil {
		paths = []string{where}
	}
	for _, path := range paths {
		info, err := os.Stat(path)
		if err != nil || info.IsDir() && !holdsVolumes(path) {
			return nil
		}
	}
	return paths
}

// holdsVolumes reports whether a folder has files that are named as volumes.
func holdsVolumes(dir string) bool {
	entries, err := os.ReadDir(dir)
	return err == nil && !isStore(dir) && slices.ContainsFunc(entries, func(e fs.DirEntry) bool {
		return strings.EqualFold(filepath.Ext(e.Name()), bundle.Extension)
	})
}

// openStick opens the bundles in folders and files.
func (a *app) openStick(ctx context.Context, paths ...string) (*conn, error) {
	sets, unread, err := bundle.Find(ctx, paths...)
	if err != nil {
		return nil, err
	}
	slices.SortFunc(sets, newestFirst)
	s := &stick{name: strings.Join(paths, ", "), paths: paths, broken: unread}
	for _, set := range sets {
		b, err := bundle.Open(ctx, paths, bundle.OpenOptions{ID: set.ID, Base: s.base(set.ID), Key: a.decryptionKey})
		if err != nil {
			s.broken = append(s.broken, bundle.Unread{Path: "bundle " + set.ID.Short(), Err: err})
			continue
		}
		s.bundles = append(s.bundles, b)
	}
	if len(s.bundles) == 0 {
		return nil, s.nothing()
	}
	for _, u := range s.broken {
		a.note("airlock: warning: %s: %s", u.Path, oneLine(u.Err.Error()))
	}
	return &conn{place: s, name: s.name, close: s.close, stick: s, late: true}, nil
}

// newestFirst orders bundles. Of those of one second the one that leads further is
// newer.
func newestFirst(a, b *bundle.Set) int {
	return cmp.Or(cmp.Compare(b.Document.Created, a.Document.Created), cmp.Compare(entries(b), entries(a)), cmp.Compare(a.ID.String(), b.ID.String()))
}

// entries counts those of all feeds that a bundle leads to.
func entries(s *bundle.Set) (n int64) {
	for _, slice := range s.Document.Feeds {
		n += slice.To
	}
	return n
}

// decryptionKey returns this home's key for what is encrypted to a recipient.
func (a *app) decryptionKey(recipient string) (age.Identity, error) {
	h, err := a.home()
	if err != nil {
		return nil, err
	}
	return h.DecryptionKey(recipient, a.passphrase)
}

// nothing says why there is no bundle that can be read.
func (s *stick) nothing() error {
	if len(s.broken) == 0 {
		return fmt.Errorf("%s: holds no bundle: %w", s.name, fs.ErrNotExist)
	}
	var all []error
	for _, u := range s.broken {
		all = append(all, fmt.Errorf("%s: %w", u.Path, u.Err))
	}
	return errors.Join(all...)
}

// approvalsBeside returns the folders with approvals that lie beside volumes.
func approvalsBeside(paths []string) (out []string) {
	for _, path := range paths {
		dir := filepath.Join(path, "approvals")
		if info, err := os.Stat(dir); err == nil && info.IsDir() {
			out = append(out, dir)
		}
	}
	return out
}

func (s *stick) close() error {
	var all error
	for _, b := range s.bundles {
		all = errors.Join(all, b.Close())
	}
	return all
}

// Feeds lists the feeds of all bundles: of some Spaces, or where none is named of all.
func (s *stick) Feeds(_ context.Context, of ...trust.Space) ([]feed.ID, error) {
	var out []feed.ID
	for _, b := range s.bundles {
		for _, slice := range b.Document().Feeds {
			out = append(out, slice.Feed)
		}
	}
	out = ofSpaces(out, of)
	slices.SortFunc(out, func(a, b feed.ID) int { return cmp.Compare(a.String(), b.String()) })
	return slices.Compact(out), nil
}

// leader returns the bundle that leads furthest of a feed; nil where none has it.
func (s *stick) leader(id feed.ID) (leader *bundle.Bundle) {
	var best bundle.Slice
	for _, b := range s.bundles {
		slice, ok := b.Document().Slice(id)
		if ok && (leader == nil || slice.Epoch > best.Epoch || slice.Epoch == best.Epoch && slice.To > best.To) {
			leader, best = b, slice
		}
	}
	return leader
}

// newest returns the slice of a feed that leads furthest.
func (s *stick) newest(id feed.ID) (bundle.Slice, error) {
	b := s.leader(id)
	if b == nil {
		return bundle.Slice{}, fmt.Errorf("feed %s is not on %s: %w", id, s.name, fs.ErrNotExist)
	}
	slice, _ := b.Document().Slice(id)
	return slice, nil
}

// Checkpoint returns the newest checkpoint that a bundle leads to.
func (s *stick) Checkpoint(_ context.Context, id feed.ID) (feed.Checkpoint, error) {
	slice, err := s.newest(id)
	if err != nil {
		return feed.Checkpoint{}, err
	}
	return slice.Checkpoint(), nil
}

// Segments yields entries, each run of them from the bundle that leads on
// furthest. Where none has the next one it is an *earlierError.
func (s *stick) Segments(ctx context.Context, id feed.ID, from, to int64) iter.Seq2[feed.Segment, error] {
	return func(yield func(feed.Segment, error) bool) {
		newest, err := s.newest(id)
		if err != nil {
			yield(feed.Segment{}, err)
			return
		}
		for from < min(to, newest.To) {
			b, end := s.carrier(id, newest.Epoch, from)
			if b == nil {
				yield(feed.Segment{}, s.gap(id, newest, from))
				return
			}
			for segment, err := range b.Segments(ctx, id, from, min(to, end)) {
				if err != nil {
					yield(feed.Segment{}, err)
					return
				}
				segment = after(segment, from)
				from = segment.Start + int64(len(segment.Statements))
				if !yield(segment, nil) {
					return
				}
			}
			if from < min(to, end) {
				yield(feed.Segment{}, &feed.GapError{ID: id, From: from, To: end})
				return
			}
		}
	}
}

// carrier returns the bundle that has an entry and leads on furthest, nil for
// none, and where it ends.
func (s *stick) carrier(id feed.ID, epoch uint64, from int64) (best *bundle.Bundle, end int64) {
	for _, b := range s.bundles {
		slice, ok := b.Document().Slice(id)
		if ok && slice.Epoch == epoch && slice.From <= from && slice.To > max(from, end) {
			best, end = b, slice.To
		}
	}
	return best, end
}

// after returns what a segment has from an entry on.
func after(s feed.Segment, from int64) feed.Segment {
	if skip := from - s.Start; skip > 0 && skip < int64(len(s.Statements)) {
		return feed.Segment{Start: from, Statements: s.Statements[skip:]}
	}
	return s
}

// gap reports an entry that no bundle has: the next one that there is begins a
// slice.
func (s *stick) gap(id feed.ID, newest bundle.Slice, from int64) error {
	next := newest.To
	for _, b := range s.bundles {
		if slice, ok := b.Document().Slice(id); ok && slice.Epoch == newest.Epoch && slice.From > from {
			next = min(next, slice.From)
		}
	}
	return &earlierError{stick: s.name, gap: &feed.GapError{ID: id, From: from, To: next}}
}

// earlierError reports bundles that go on from a later entry than was taken in.
type earlierError struct {
	stick string
	gap   *feed.GapError
}

func (e *earlierError) Error() string {
	return fmt.Sprintf("feed %s: %s goes on from entry %d, and here are %s of it: the bundle with entries %d to %d comes first",
		e.gap.ID, e.stick, e.gap.To, count(int(e.gap.From), "entry", "entries"), e.gap.From, e.gap.To-1)
}

func (e *earlierError) Unwrap() error { return e.gap }
