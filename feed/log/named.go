package log

import (
	"bytes"
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"math"
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
//	number of publications (4 bytes), bytes of all statements (8)
//	for each object: its SHA-256 (32), its size (8), 0 where no entry says it
//
// Objects stand in the order of their digests, each once; numbers are big-endian.
// Its bytes are a function of the segment and the manifests that it names. It is
// written once they are all there; one that is missing is made again.
const namedHeader = "airlock-named 1\n"

// maxNamed bounds such a file, in bytes: of every entry a manifest with as many
// files as it may have.
const maxNamed = namedFixed + feed.SegmentSize*(feed.MaxLayers+1)*namedRecord

const (
	namedFixed  = int64(len(namedHeader)) + 4 + 8
	namedRecord = int64(len(storage.Digest{})) + 8
)

func formatNamed(s spoken) []byte {
	out := make([]byte, 0, namedFixed+int64(len(s.named))*namedRecord)
	out = append(out, namedHeader...)
	out = binary.BigEndian.AppendUint32(out, uint32(s.publications))
	out = binary.BigEndian.AppendUint64(out, uint64(s.bytes))
	for _, o := range s.named {
		out = append(out, o.Digest[:]...)
		out = binary.BigEndian.AppendUint64(out, uint64(o.Size))
	}
	return out
}

func parseNamed(b []byte) (spoken, error) {
	rest, ok := bytes.CutPrefix(b, []byte(namedHeader))
	if !ok || int64(len(b)) < namedFixed || int64(len(b)) > maxNamed || (int64(len(b))-namedFixed)%namedRecord != 0 {
		return spoken{}, &storage.FormatError{Where: "list of named objects", Got: fmt.Sprintf("%.20q", b), Want: namedHeader}
	}
	s := spoken{publications: int64(binary.BigEndian.Uint32(rest)), bytes: int64(binary.BigEndian.Uint64(rest[4:]))}
	for rest = rest[4+8:]; len(rest) > 0; rest = rest[namedRecord:] {
		o := storage.Ref{Digest: storage.Digest(rest[:namedRecord-8]), Size: int64(binary.BigEndian.Uint64(rest[namedRecord-8:]))}
		if o.Size < 0 || o.Size > feed.MaxPayload || len(s.named) > 0 && compareDigests(s.named[len(s.named)-1], o) >= 0 {
			return spoken{}, fmt.Errorf("list of named objects: %s of %d bytes cannot be, is out of order, or twice", o.Digest, o.Size)
		}
		s.named = append(s.named, o)
	}
	if s.publications > feed.SegmentSize || s.bytes < 0 || s.bytes > feed.MaxSegment {
		return spoken{}, fmt.Errorf("list of named objects: %d publications and %d bytes are no segment's", s.publications, s.bytes)
	}
	return s, nil
}

// spoken is what some entries speak of.
type spoken struct {
	named        []storage.Ref    // by digest, each once
	publications int64            // of packages
	bytes        int64            // of the statements
	absent       []storage.Digest // manifests that are not there, or not yet
}

func compareDigests(a, b storage.Ref) int { return bytes.Compare(a.Digest[:], b.Digest[:]) }

// sort puts what was named in order. Of two sizes of one digest, of which one is
// none, the larger is kept.
func (s *spoken) sort() {
	slices.SortFunc(s.named, func(a, b storage.Ref) int {
		return cmp.Or(compareDigests(a, b), cmp.Compare(b.Size, a.Size))
	})
	s.named = slices.CompactFunc(s.named, func(a, b storage.Ref) bool { return a.Digest == b.Digest })
}

// speak reads what statements speak of, and puts the small objects that
// publications name into a pack (nil for none), as far as there is room.
func (l *Log) speak(ctx context.Context, statements [][]byte, pack *feed.Pack) (spoken, error) {
	var out spoken
	for _, raw := range statements {
		out.bytes += int64(len(raw))
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
			out.named = append(out.named, storage.Ref{Digest: st.Subject})
		case signing.Publication:
			out.publications++
			if pack, err = l.speakPackage(ctx, st.Subject, pack, &out); err != nil {
				return out, err
			}
		default:
			if e, err := feed.ParseEntry(a.ID(), st); err == nil {
				out.named = append(out.named, e.Named()...)
			}
		}
	}
	out.sort()
	return out, ctx.Err()
}

// speakPackage adds a manifest and its files. It returns the pack as long as
// there is room in it.
func (l *Log) speakPackage(ctx context.Context, manifest storage.Digest, pack *feed.Pack, out *spoken) (*feed.Pack, error) {
	raw, err := feed.ReadWhole(ctx, l.objects.Get, manifest, feed.MaxManifest)
	_, damaged := errors.AsType[*storage.DigestError](err)
	switch {
	case damaged, errors.Is(err, fs.ErrNotExist), errors.Is(err, feed.ErrMalformed): // it is too large
		out.named = append(out.named, storage.Ref{Digest: manifest})
		out.absent = append(out.absent, manifest)
		return pack, nil
	case err != nil:
		return pack, fmt.Errorf("manifest %s: %w", manifest, err)
	}
	out.named = append(out.named, storage.Ref{Digest: manifest, Size: int64(len(raw))})
	if pack != nil && len(raw) <= feed.MaxPacked && !pack.Add(manifest, raw) {
		pack = nil
	}
	m, err := feed.ParseManifest(raw)
	if err != nil {
		return pack, nil // it names nothing
	}
	for _, layer := range m.Layers {
		out.named = append(out.named, layer.Ref)
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
	if err := l.config.Store.Files.Create(ctx, l.partKey(epoch, "named", n), formatNamed(s)); err != nil {
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
	usage   Usage
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

// Usage is what a feed takes of a store: the packages that were published in it,
// withdrawn ones too, and the bytes of its statements and of all that they name,
// each object once.
type Usage struct{ Packages, Bytes int64 }

// Usage returns what the feed takes as of now; nothing where there is no feed.
func (l *Log) Usage(ctx context.Context) (Usage, error) {
	h, err := l.Head(ctx, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return Usage{}, nil
	}
	if err != nil {
		return Usage{}, err
	}
	l = l.logs.keep(l)
	l.named.asking.Lock()
	defer l.named.asking.Unlock()
	if _, size := l.named.has(h.Epoch, storage.Digest{}); size < h.cell.size() {
		if err := l.readNamed(ctx, h); err != nil {
			return Usage{}, fmt.Errorf("feed %s: what it takes: %w", l.id, err)
		}
	}
	l.named.mu.RLock()
	defer l.named.mu.RUnlock()
	return l.named.usage, nil
}

// Knows reports whether an object was seen to be named when that was asked last.
func (l *Log) Knows(d storage.Digest) bool {
	l.named.mu.RLock()
	defer l.named.mu.RUnlock()
	_, ok := l.named.objects[d]
	return ok
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
	l = l.logs.keep(l) // what is read is for all
	if h, err = l.Head(ctx, math.MaxInt64); err != nil {
		return false, err
	}
	l.named.asking.Lock()
	defer l.named.asking.Unlock()
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
	size := max(h.cell.size(), from) // another caller may have read a later head
	var got []spoken
	if from < size {
		got = make([]spoken, (size+feed.SegmentSize-1)/feed.SegmentSize-from/feed.SegmentSize)
	}
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
		if s, parseErr := parseNamed(b); err == nil && parseErr == nil {
			return s, nil
		}
	}
	statements, err := l.statements(ctx, h, max(from, start), start+int64(width))
	if err != nil {
		return spoken{}, err
	}
	s, err := l.speak(ctx, statements, nil)
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
		k.objects, k.usage = map[storage.Digest]struct{}{}, Usage{}
	}
	k.epoch, k.size, k.absent, k.askedAt = epoch, size, nil, asked
	for _, s := range got {
		k.usage.Packages += s.publications
		k.usage.Bytes += s.bytes
		for _, o := range s.named {
			if _, ok := k.objects[o.Digest]; !ok {
				k.usage.Bytes += o.Size
			}
			k.objects[o.Digest] = struct{}{}
		}
		k.absent = append(k.absent, s.absent...)
	}
}
