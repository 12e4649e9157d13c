package log

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"airlock/feed"
	"airlock/signing"
	"airlock/storage"
)

// Objects are kept by Space, and who may read one of its feeds need not know what
// another says. So a server asks which objects the entries of a feed speak of:
// manifests and the files in them, identity documents, holdings with their
// snapshots. For each full segment the answer is kept beside it:
//
//	"airlock-named 1\n"
//	the SHA-256 of each object (32 bytes), ascending, each once
//
// Its bytes are a function of the segment and the manifests that it names. It is
// written once they are all there; one that is missing is made again.
const namedHeader = "airlock-named 1\n"

// maxNamed bounds such a file, in bytes: of every entry a manifest with as many
// files as it may have.
const maxNamed = int64(len(namedHeader)) + feed.SegmentSize*(feed.MaxLayers+1)*digestSize

const digestSize = int64(len(storage.Digest{}))

func formatNamed(digests []storage.Digest) []byte {
	out := make([]byte, 0, len(namedHeader)+len(digests)*int(digestSize))
	out = append(out, namedHeader...)
	for _, d := range digests {
		out = append(out, d[:]...)
	}
	return out
}

func parseNamed(b []byte) ([]storage.Digest, error) {
	rest, ok := bytes.CutPrefix(b, []byte(namedHeader))
	if !ok || int64(len(b)) > maxNamed || int64(len(rest))%digestSize != 0 {
		return nil, &storage.FormatError{Where: "list of named objects", Got: fmt.Sprintf("%.20q", b), Want: namedHeader}
	}
	out := make([]storage.Digest, 0, int64(len(rest))/digestSize)
	for ; len(rest) > 0; rest = rest[digestSize:] {
		d := storage.Digest(rest[:digestSize])
		if len(out) > 0 && bytes.Compare(out[len(out)-1][:], d[:]) >= 0 {
			return nil, fmt.Errorf("list of named objects: %s is out of order, or twice", d)
		}
		out = append(out, d)
	}
	return out, nil
}

// spoken is what some entries speak of.
type spoken struct {
	named  []storage.Digest // ascending, each once
	absent []storage.Digest // manifests that are not there, or not yet
}

// speak reads what statements speak of, and puts the small objects that
// publications name into a pack (nil for none), as far as there is room.
func (l *Log) speak(ctx context.Context, statements [][]byte, pack *feed.Pack) (spoken, error) {
	var out spoken
	for _, raw := range statements {
		a, err := signing.ParseAttestation(raw)
		if err != nil {
			continue
		}
		st, err := signing.ParseStatement(a.Payload())
		if err != nil {
			continue
		}
		switch st.Kind {
		case signing.Identity:
			out.named = append(out.named, st.Subject)
		case signing.Publication:
			if pack, err = l.speakPackage(ctx, st.Subject, pack, &out); err != nil {
				return out, err
			}
		default:
			if e, err := feed.ParseEntry(a.ID(), st); err == nil {
				for _, ref := range e.Named() {
					out.named = append(out.named, ref.Digest)
				}
			}
		}
	}
	sortDigests(out.named)
	out.named = slices.Compact(out.named)
	return out, ctx.Err()
}

func sortDigests(d []storage.Digest) {
	slices.SortFunc(d, func(a, b storage.Digest) int { return bytes.Compare(a[:], b[:]) })
}

// speakPackage adds a manifest and its files. It returns the pack as long as
// there is room in it.
func (l *Log) speakPackage(ctx context.Context, manifest storage.Digest, pack *feed.Pack, out *spoken) (*feed.Pack, error) {
	out.named = append(out.named, manifest)
	raw, err := feed.ReadWhole(ctx, l.objects.Get, manifest, feed.MaxManifest)
	_, damaged := errors.AsType[*storage.DigestError](err)
	switch {
	case damaged, errors.Is(err, fs.ErrNotExist), errors.Is(err, feed.ErrMalformed): // it is too large
		out.absent = append(out.absent, manifest)
		return pack, nil
	case err != nil:
		return pack, fmt.Errorf("manifest %s: %w", manifest, err)
	}
	if pack != nil && len(raw) <= feed.MaxPacked && !pack.Add(manifest, raw) {
		pack = nil
	}
	m, err := feed.ParseManifest(raw)
	if err != nil {
		return pack, nil // it names nothing
	}
	for _, layer := range m.Layers {
		out.named = append(out.named, layer.Digest)
		if pack == nil || layer.Size > feed.MaxPacked || len(raw) > feed.MaxPacked {
			continue
		}
		if b, err := feed.ReadWhole(ctx, l.objects.Get, layer.Digest, feed.MaxPacked); err == nil && !pack.Add(layer.Digest, b) {
			pack = nil
		}
	}
	return pack, nil
}

// keepNamed writes the list of a full segment, where it is known whole.
func (l *Log) keepNamed(ctx context.Context, epoch uint64, n int64, s spoken) {
	if len(s.absent) > 0 {
		return
	}
	if err := l.config.Store.Files.Create(ctx, l.partKey(epoch, "named", n), formatNamed(s.named)); err != nil {
		l.config.Logger.Warn("list of named objects not written", "feed", l.id.String(), "segment", n, "error", err)
	}
}

// named is what a process knows of the objects that a feed speaks of.
type named struct {
	asking sync.Mutex // held while entries are read

	mu      sync.RWMutex // guards what follows
	epoch   uint64
	size    int64 // entries that were read
	objects map[storage.Digest]struct{}
	absent  []storage.Digest // manifests that were not there
	askedAt time.Time        // for the absent ones
}

// askAbsent is how long manifests that were not there are not asked for again.
const askAbsent = 10 * time.Second

// has reports whether an object is known to be named, and up to which entry
// that was asked.
func (k *named) has(epoch uint64, d storage.Digest) (found bool, size int64) {
	k.mu.RLock()
	defer k.mu.RUnlock()
	if k.epoch != epoch {
		return false, 0
	}
	_, found = k.objects[d]
	return found, k.size
}

// Names reports whether an entry of the feed speaks of an object. One that was
// committed by another server is read before the answer is no. fs.ErrNotExist
// where there is no feed.
func (l *Log) Names(ctx context.Context, d storage.Digest) (bool, error) {
	h, err := l.Head(ctx, 0)
	if err != nil {
		return false, err
	}
	if found, _ := l.named.has(h.Epoch, d); found {
		return true, nil
	}
	l.named.asking.Lock()
	defer l.named.asking.Unlock()
	l.loading.Lock()
	h, err = l.load(ctx)
	l.loading.Unlock()
	if err != nil {
		return false, err
	}
	if err := l.readNamed(ctx, h); err != nil {
		return false, fmt.Errorf("feed %s: which objects it names: %w", l.id, err)
	}
	found, _ := l.named.has(h.Epoch, d)
	return found, nil
}

// namedAhead is how many segments' lists are read at the same time.
const namedAhead = 16

// readNamed reads what the entries up to a head speak of, and asks again for
// manifests that were not there. The caller holds asking.
func (l *Log) readNamed(ctx context.Context, h *Head) error {
	_, from := l.named.has(h.Epoch, storage.Digest{})
	size := h.cell.size()
	got := make([]spoken, (size+feed.SegmentSize-1)/feed.SegmentSize-from/feed.SegmentSize)
	g, segments := errgroup.WithContext(ctx)
	g.SetLimit(namedAhead)
	for i := range got {
		g.Go(func() (err error) {
			got[i], err = l.segmentNamed(segments, h, from/feed.SegmentSize+int64(i), from)
			return err
		})
	}
	if err := g.Wait(); err != nil {
		return err
	}
	again, asked, err := l.askAgain(ctx)
	if err != nil {
		return err
	}
	l.named.add(h.Epoch, size, append(got, again), asked)
	return nil
}

// segmentNamed returns what the entries of segment n from index from on speak of,
// up to a head.
func (l *Log) segmentNamed(ctx context.Context, h *Head, n, from int64) (spoken, error) {
	start := n * feed.SegmentSize
	width := int(min(h.cell.size()-start, feed.SegmentSize))
	whole := width == feed.SegmentSize && from <= start
	if whole {
		b, err := l.config.Store.Files.Get(ctx, l.partKey(h.Epoch, "named", n))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return spoken{}, err
		}
		if named, parseErr := parseNamed(b); err == nil && parseErr == nil {
			return spoken{named: named}, nil
		}
	}
	segment, err := l.segment(ctx, h, n, width)
	if err != nil {
		return spoken{}, err
	}
	s, err := l.speak(ctx, segment.Statements[max(from-start, 0):], nil)
	if err == nil && whole && h.own {
		l.keepNamed(ctx, h.Epoch, n, s)
	}
	return s, err
}

// askAgain asks again for the manifests that were not there, now and then.
func (l *Log) askAgain(ctx context.Context) (out spoken, asked time.Time, err error) {
	l.named.mu.RLock()
	absent, before := l.named.absent, l.named.askedAt
	l.named.mu.RUnlock()
	now := l.config.Now()
	if age := now.Sub(before); len(absent) == 0 || age >= 0 && age < askAbsent {
		return spoken{absent: absent}, before, nil
	}
	for _, d := range absent {
		if _, err := l.speakPackage(ctx, d, nil, &out); err != nil {
			return out, now, err
		}
	}
	return out, now, nil
}

// add notes what the entries up to size speak of.
func (k *named) add(epoch uint64, size int64, got []spoken, asked time.Time) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.objects == nil || k.epoch != epoch {
		k.objects = map[storage.Digest]struct{}{}
	}
	k.epoch, k.size, k.absent, k.askedAt = epoch, size, nil, asked
	for _, s := range got {
		for _, d := range s.named {
			k.objects[d] = struct{}{}
		}
		k.absent = append(k.absent, s.absent...)
	}
}
