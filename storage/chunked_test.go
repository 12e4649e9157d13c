package storage_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"
	"testing"
	"testing/iotest"

	"airlock/storage"
	"airlock/storage/storetest"
)

const chunkSpace = "acme/dev-qa"

// kept is a payload in chunks, and the store without its layer.
type kept struct {
	plain, chunked *storage.Store
	data           []byte
	index          *storage.ChunkIndex
}

func keep(t *testing.T, data []byte) *kept {
	t.Helper()
	plain := storage.NewMem()
	k := &kept{plain: plain, chunked: storage.Chunked(plain), data: data}
	ref := storage.RefOf(data)
	if err := k.objects().Put(t.Context(), ref, bytes.NewReader(data)); err != nil {
		t.Fatal(err)
	}
	index, err := k.objects().(storage.Chunker).Chunks(t.Context(), ref.Digest)
	if err != nil {
		t.Fatal(err)
	}
	k.index = index
	return k
}

func (k *kept) objects() storage.Objects { return k.chunked.Objects(chunkSpace) }

// read reads the payload from byte off.
func (k *kept) read(t *testing.T, off int64) ([]byte, error) {
	t.Helper()
	body, err := k.objects().Get(t.Context(), storage.DigestOf(k.data), off)
	if err != nil {
		return nil, err
	}
	defer body.Close()
	return io.ReadAll(body)
}

// point leads the payload to another index.
func (k *kept) point(t *testing.T, pointer string) {
	t.Helper()
	key := "chunks/" + chunkSpace + "/" + storage.DigestOf(k.data).Hex()
	_, tag, err := k.plain.Cells.Load(t.Context(), key)
	if err == nil {
		_, err = k.plain.Cells.Swap(t.Context(), key, tag, []byte(pointer))
	}
	if err != nil {
		t.Fatal(err)
	}
}

// index stores an index and leads the payload to it.
func (k *kept) lead(t *testing.T, x storage.ChunkIndex) {
	t.Helper()
	raw := format(t, &x)
	k.add(t, raw)
	k.point(t, fmt.Sprintf("airlock-chunks 1 %s %d %d\n", storage.DigestOf(raw), len(raw), x.Payload.Size))
}

func (k *kept) add(t *testing.T, data []byte) storage.Ref {
	t.Helper()
	ref := storage.RefOf(data)
	if err := k.plain.Objects(chunkSpace).Put(t.Context(), ref, bytes.NewReader(data)); err != nil {
		t.Fatal(err)
	}
	return ref
}

func (k *kept) frames(t *testing.T) []byte {
	t.Helper()
	b, err := storage.Read(t.Context(), k.plain.Objects(chunkSpace), k.index.Frames)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// What compresses is kept as frames that zstd reads, what does not as it comes;
// both are cut.
func TestChunks(t *testing.T) {
	text := keep(t, storetest.Text(1, 3<<20))
	if text.index.Plain() || text.index.Frames.Size > text.index.Payload.Size/2 {
		t.Errorf("text takes %d bytes", text.index.Frames.Size)
	}
	if _, err := text.plain.Objects(chunkSpace).Stat(t.Context(), text.index.Payload.Digest); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the payload lies there too: %v", err)
	}
	noise := keep(t, storetest.Random(1, 3<<20))
	if !noise.index.Plain() {
		t.Errorf("noise is kept as %d bytes of frames", noise.index.Frames.Size)
	}
	for name, k := range map[string]*kept{"text": text, "noise": noise} {
		var all []byte
		frames := k.frames(t)
		for i, c := range k.index.Chunks {
			chunk := frames[:c.Frame]
			if !k.index.Plain() {
				var err error
				if chunk, err = storage.DecodeFrame(frames[:c.Frame], c, nil); err != nil {
					t.Fatal(err)
				}
			}
			if storage.DigestOf(chunk) != c.Digest {
				t.Fatalf("%s: chunk %d is not what the index says", name, i)
			}
			all, frames = append(all, chunk...), frames[c.Frame:]
		}
		if !bytes.Equal(all, k.data) || len(k.index.Chunks) < 3<<20/storage.MaxChunk {
			t.Errorf("%s: %d chunks do not give the payload", name, len(k.index.Chunks))
		}
	}
}

// An edit leaves most chunks as they were.
func TestChunksFindAgain(t *testing.T) {
	data := storetest.Text(1, 8<<20)
	before := keep(t, data)
	after := keep(t, bytes.Join([][]byte{data[:4<<20], data[4<<20:]}, []byte("an edit")))
	known := map[storage.Digest]bool{}
	for _, c := range before.index.Chunks {
		known[c.Digest] = true
	}
	unknown := 0
	for _, c := range after.index.Chunks {
		if !known[c.Digest] {
			unknown++
		}
	}
	if unknown == 0 || unknown > 4 {
		t.Errorf("%d of %d chunks are new", unknown, len(after.index.Chunks))
	}
}

// Whatever the pointer leads to: the payload comes out, or an error.
func TestChunksLies(t *testing.T) {
	good := keep(t, storetest.Text(1, 2<<20))
	other := keep(t, storetest.Text(2, 2<<20))
	for name, lie := range map[string]func(t *testing.T, k *kept){
		"index of another payload": func(t *testing.T, k *kept) {
			k.add(t, other.frames(t))
			k.lead(t, *other.index)
		},
		"frames of another payload": func(t *testing.T, k *kept) {
			k.add(t, other.frames(t))
			x := *other.index
			x.Payload = k.index.Payload
			k.lead(t, x)
		},
		"frames missing": func(t *testing.T, k *kept) {
			x := *k.index
			x.Frames.Digest = storage.Digest{1}
			k.lead(t, x)
		},
		"frames cut short": func(t *testing.T, k *kept) {
			x := *k.index
			x.Frames.Digest = k.add(t, k.frames(t)[:x.Frames.Size-1]).Digest
			k.lead(t, x)
		},
		"frames changed": func(t *testing.T, k *kept) {
			x, frames := *k.index, k.frames(t)
			frames[len(frames)/2] ^= 1
			x.Frames.Digest = k.add(t, frames).Digest
			k.lead(t, x)
		},
		"two chunks in the other's place": func(t *testing.T, k *kept) {
			x, frames := *k.index, k.frames(t)
			a, b := x.Chunks[0], x.Chunks[1]
			x.Chunks = append([]storage.Chunk{b, a}, x.Chunks[2:]...)
			x.Frames.Digest = k.add(t, bytes.Join([][]byte{frames[a.Frame : a.Frame+b.Frame], frames[:a.Frame], frames[a.Frame+b.Frame:]}, nil)).Digest
			k.lead(t, x)
		},
		"sizes that are not those of the chunks": func(t *testing.T, k *kept) {
			x := *k.index
			x.Chunks = append([]storage.Chunk(nil), x.Chunks...)
			x.Chunks[0].Size--
			x.Chunks[1].Size++
			k.lead(t, x)
		},
		"no pointer":      func(t *testing.T, k *kept) { k.point(t, "elsewhere\n") },
		"a later version": func(t *testing.T, k *kept) { k.point(t, "airlock-chunks 2 x 1 1\n") },
		"no index":        func(t *testing.T, k *kept) { k.point(t, fmt.Sprintf("airlock-chunks 1 %s 5 5\n", storage.Digest{9})) },
		"index that is none": func(t *testing.T, k *kept) {
			ref := k.add(t, []byte("no index"))
			k.point(t, fmt.Sprintf("airlock-chunks 1 %s %d %d\n", ref.Digest, ref.Size, len(k.data)))
		},
	} {
		t.Run(name, func(t *testing.T) {
			k := keep(t, good.data)
			lie(t, k)
			if got, err := k.read(t, 0); err == nil {
				t.Errorf("%d bytes came out without an error", len(got))
			}
			// Who puts the payload again mends it.
			if err := k.objects().Put(t.Context(), k.index.Payload, bytes.NewReader(k.data)); err != nil {
				t.Fatal(err)
			}
			if got, err := k.read(t, 5); err != nil || !bytes.Equal(got, k.data[5:]) {
				t.Errorf("after it was put again: %d bytes, %v", len(got), err)
			}
		})
	}
}

// An index of another payload is never told of, and frames of another length
// are seen by looking alone.
func TestChunksLiesSeen(t *testing.T) {
	k, other := keep(t, storetest.Text(1, 2<<20)), keep(t, storetest.Text(2, 2<<20))
	x := *k.index
	x.Frames.Digest = k.add(t, k.frames(t)[:x.Frames.Size-1]).Digest
	k.lead(t, x)
	if _, err := k.objects().Stat(t.Context(), storage.DigestOf(k.data)); !isSizeError(err) {
		t.Errorf("frames cut short: %v", err)
	}
	k.lead(t, *other.index)
	if _, err := k.objects().(storage.Chunker).Chunks(t.Context(), storage.DigestOf(k.data)); !errors.Is(err, storage.ErrFrame) {
		t.Errorf("index of another payload: %v", err)
	}
}

func isSizeError(err error) bool {
	_, ok := errors.AsType[*storage.SizeError](err)
	return ok
}

func format(t *testing.T, x *storage.ChunkIndex) []byte {
	t.Helper()
	raw, err := x.Format()
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

// A reader that leaves takes its goroutines with it.
func TestChunksClosedEarly(t *testing.T) {
	k := keep(t, storetest.Text(1, 3<<20))
	for range 20 {
		body, err := k.objects().Get(t.Context(), k.index.Payload.Digest, 1)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadFull(body, make([]byte, 10)); err != nil {
			t.Fatal(err)
		}
		if err := body.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// A store from before there were chunks stays as it was.
func TestChunksOldStore(t *testing.T) {
	plain := storage.NewMem()
	data := storetest.Text(1, 2<<20)
	ref := storage.RefOf(data)
	if err := plain.Objects(chunkSpace).Put(t.Context(), ref, bytes.NewReader(data)); err != nil {
		t.Fatal(err)
	}
	k := &kept{plain: plain, chunked: storage.Chunked(plain), data: data}
	if got, err := k.read(t, 7); err != nil || !bytes.Equal(got, data[7:]) {
		t.Errorf("%d bytes, %v", len(got), err)
	}
	if _, err := k.objects().(storage.Chunker).Chunks(t.Context(), ref.Digest); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("chunks of a payload without any: %v", err)
	}
}

// Frames that end too early are damage; a line that breaks is what it is.
func TestChunksCutOff(t *testing.T) {
	k := keep(t, storetest.Text(1, 2<<20))
	frames := k.frames(t)
	broken := errors.New("the line broke")
	for want, end := range map[error]io.Reader{storage.ErrFrame: strings.NewReader(""), broken: iotest.ErrReader(broken)} {
		body := k.index.Open(t.Context(), 0, storage.ChunkSource{Frames: func(off int64) (io.ReadCloser, error) {
			return io.NopCloser(io.MultiReader(bytes.NewReader(frames[off:len(frames)-1]), end)), nil
		}})
		_, err := io.ReadAll(body)
		if !errors.Is(err, want) || want == broken && errors.Is(err, storage.ErrFrame) {
			t.Errorf("got %v, want %v", err, want)
		}
		if err := body.Close(); err != nil {
			t.Error(err)
		}
	}
}
