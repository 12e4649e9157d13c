package feedhttp_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"strings"
	"testing"

	"airlock/feed"
	"airlock/feed/feedhttp"
	"airlock/feed/feedtest"
	"airlock/storage"
	"airlock/trust"
)

// TestRoundTrip publishes through a client and reads it back through another.
func TestRoundTrip(t *testing.T) {
	b := newBackend(t)
	base := serve(t, handler(t, b, nil))
	a := feedtest.NewAuthor(t, "acme/dev-qa/shared")
	publisher := client(t, base, nil)

	key, err := publisher.LogKey(t.Context())
	if err != nil || !bytes.Equal(key, a.Key.Public()) {
		t.Fatalf("log key %x, %v", key, err)
	}
	large := make([]byte, 3<<20)
	rand.NewChaCha8([32]byte{1}).Read(large)
	signed := append(a.Opening(), a.Publish("file/small@1"),
		a.Publish("file/large@1", feedtest.File{Path: "large.bin", Data: large}))
	batch := batchOf(a, signed...)
	accepted, err := publisher.Publish(t.Context(), batch)
	if err != nil {
		t.Fatal(err)
	}
	if err := accepted.Verify(a.ID, key, batch.Statements); err != nil {
		t.Error(err)
	}

	reader := client(t, base, nil)
	ids, err := reader.Feeds(t.Context())
	if err != nil || len(ids) != 1 || ids[0] != a.ID {
		t.Errorf("feeds %v, %v", ids, err)
	}
	for _, of := range [][]trust.Space{{a.ID.Space}, append(manySpaces(40), a.ID.Space, a.ID.Space)} {
		if ids, err := reader.Feeds(t.Context(), of...); err != nil || len(ids) != 1 || ids[0] != a.ID {
			t.Errorf("feeds of %d Spaces: %v, %v", len(of), ids, err)
		}
	}
	if ids, err := reader.Feeds(t.Context(), manySpaces(1)...); err != nil || len(ids) != 0 {
		t.Errorf("feeds of another Space: %v, %v", ids, err)
	}
	head, err := reader.Checkpoint(t.Context(), a.ID)
	if err != nil || head.Root != accepted.Checkpoint.Root || head.Size != int64(len(signed)) {
		t.Fatalf("checkpoint %+v, %v", head, err)
	}
	if again, err := reader.Checkpoint(t.Context(), a.ID); err != nil || again.Root != head.Root {
		t.Errorf("checkpoint asked for again: %+v, %v", again, err)
	}
	for s, err := range reader.Segments(t.Context(), a.ID, 0, head.Size) {
		if err != nil || len(s.Statements) != len(signed) || !bytes.Equal(s.Statements[0], signed[0].Bytes()) {
			t.Errorf("segment %+v, %v", s, err)
		}
	}
	for s, err := range reader.Segments(t.Context(), a.ID, head.Size-1, head.Size) {
		if err != nil || s.Start != head.Size-1 || len(s.Statements) != 1 || !bytes.Equal(s.Statements[0], signed[len(signed)-1].Bytes()) {
			t.Errorf("only what is new: segment %+v, %v", s, err)
		}
	}
	pack, err := reader.Pack(t.Context(), a.ID, 0, int64(len(signed)))
	if err != nil {
		t.Fatal(err)
	}
	manifest := signed[len(signed)-2].Objects[0]
	if got, ok := pack.Object(storage.DigestOf(manifest)); !ok || !bytes.Equal(got, manifest) {
		t.Errorf("the pack does not hold the manifest")
	}
	if tile, err := reader.Tile(t.Context(), a.ID, 0, 0, len(signed)); err != nil || !bytes.Equal(tile[:32], leaf(signed[0])) {
		t.Errorf("tile %x, %v", tile, err)
	}
	for _, off := range []int64{0, 1, 1 << 20, int64(len(large)) - 1, int64(len(large))} {
		if got, err := readObject(t, reader, a.ID, storage.DigestOf(large), off); err != nil || !bytes.Equal(got, large[off:]) {
			t.Errorf("object from %d: %d bytes, %v", off, len(got), err)
		}
	}
	if _, err := reader.Object(t.Context(), a.ID, storage.DigestOf(large), int64(len(large))+1); !errors.Is(err, storage.ErrRange) {
		t.Errorf("object beyond its end: %v", err)
	}
	if _, err := reader.Object(t.Context(), a.ID, storage.Digest{1}, 0); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("an object that is not there: %v", err)
	}
}

func leaf(s feedtest.Signed) []byte {
	h := feed.LeafHash(s.Attestation)
	return h[:]
}

func readObject(t *testing.T, c *feedhttp.Client, id feed.ID, d storage.Digest, off int64) ([]byte, error) {
	t.Helper()
	r, err := c.Object(t.Context(), id, d, off)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	return io.ReadAll(r)
}

// TestLargeRoundTrip asks how a payload is cut and for the delta to it.
func TestLargeRoundTrip(t *testing.T) {
	b := newBackend(t)
	a := feedtest.NewAuthor(t, "acme/dev-qa/shared")
	b.fill(t, a, 1)
	cut, delta := b.putLarge(t, a.ID)
	c := client(t, serve(t, handler(t, b, nil)), nil)
	payload, err := storage.ParseHex(cut)
	if err != nil {
		t.Fatal(err)
	}
	base, err := storage.ParseHex(delta[:64])
	if err != nil {
		t.Fatal(err)
	}
	x, err := c.Chunks(t.Context(), a.ID, payload)
	if err != nil || x.Payload.Digest != payload {
		t.Errorf("chunks of %v, %v", x, err)
	}
	if _, err := c.Chunks(t.Context(), a.ID, storage.Digest{1}); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("chunks of nothing: %v", err)
	}
	before := c.Received()
	ref, err := c.Delta(t.Context(), a.ID, base, payload)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Delta(t.Context(), a.ID, payload, base); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the delta back: %v", err)
	}
	if got, err := feed.ReadWhole(t.Context(), func(ctx context.Context, d storage.Digest, off int64) (io.ReadCloser, error) {
		return c.Object(ctx, a.ID, d, off)
	}, ref.Digest, ref.Size); err != nil || storage.RefOf(got) != ref {
		t.Errorf("%d bytes, %v", len(got), err)
	}
	if n := c.Received() - before; n < ref.Size || n > ref.Size+2*storage.MaxPointer+1<<10 {
		t.Errorf("received %d bytes for a delta of %d", n, ref.Size)
	}
}

// manySpaces are more Spaces than one request has room for.
func manySpaces(n int) []trust.Space {
	out := make([]trust.Space, n)
	for i := range out {
		out[i] = trust.Space{Organisation: strings.Repeat("z", 60), Name: fmt.Sprint("space-", i)}
	}
	return out
}
