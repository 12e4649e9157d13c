package main

import (
	"bytes"
	"crypto/rand"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"filippo.io/torchwood"
	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

const origin = "e1.shared.dev-qa.acme.airlock.example"

// A testLog is a log in the C2SP layout, in memory: path to content.
type testLog struct {
	t      *testing.T
	signer note.Signer
	vkey   string
	size   int64
	hashes []tlog.Hash
	data   [][]byte
	files  map[string][]byte
}

func newTestLog(t *testing.T, size int64) *testLog {
	skey, vkey, err := note.GenerateKey(rand.Reader, origin)
	if err != nil {
		t.Fatal(err)
	}
	signer, err := note.NewSigner(skey)
	if err != nil {
		t.Fatal(err)
	}
	l := &testLog{t: t, signer: signer, vkey: vkey, files: map[string][]byte{}}
	l.grow(size)
	return l
}

func (l *testLog) ReadHashes(indexes []int64) ([]tlog.Hash, error) {
	out := make([]tlog.Hash, len(indexes))
	for i, index := range indexes {
		out[i] = l.hashes[index]
	}
	return out, nil
}

// grow appends entries up to size and writes checkpoint and tiles.
func (l *testLog) grow(size int64) {
	l.t.Helper()
	old := l.size
	for ; l.size < size; l.size++ {
		entry := fmt.Appendf(nil, "entry %d", l.size)
		hashes, err := tlog.StoredHashes(l.size, entry, l)
		if err != nil {
			l.t.Fatal(err)
		}
		l.hashes = append(l.hashes, hashes...)
		l.data = append(l.data, entry)
	}
	for _, tile := range tlog.NewTiles(torchwood.TileHeight, old, size) {
		content, err := tlog.ReadTileData(tile, l)
		if err != nil {
			l.t.Fatal(err)
		}
		l.files[torchwood.TilePath(tile)] = content
		if tile.L == 0 {
			tile.L = -1
			l.files[torchwood.TilePath(tile)] = l.bundle(tile)
		}
	}
	root, err := tlog.TreeHash(size, l)
	if err != nil {
		l.t.Fatal(err)
	}
	l.sign(torchwood.Checkpoint{Origin: origin, Tree: tlog.Tree{N: size, Hash: root}})
}

func (l *testLog) bundle(tile tlog.Tile) (out []byte) {
	first := tile.N * torchwood.TileWidth
	for _, entry := range l.data[first : first+int64(tile.W)] {
		out, _ = torchwood.AppendTileEntry(out, entry)
	}
	return out
}

func (l *testLog) sign(c torchwood.Checkpoint) {
	signed, err := note.Sign(&note.Note{Text: c.String()}, l.signer)
	if err != nil {
		l.t.Fatal(err)
	}
	l.files["checkpoint"] = signed
}

// read serves the log and runs the command on it.
func (l *testLog) read(extra ...string) (string, error) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		content, ok := l.files[strings.TrimPrefix(r.URL.Path, "/acme/dev-qa/shared/")]
		if !ok {
			http.NotFound(w, r)
			return
		}
		_, _ = w.Write(content)
	}))
	defer server.Close()
	var out bytes.Buffer
	args := append([]string{"-url", server.URL + "/acme/dev-qa/shared", "-vkey", l.vkey, "-timeout", "30s"}, extra...)
	err := run(l.t.Context(), args, &out, &out)
	return out.String(), err
}

func TestReadWholeLog(t *testing.T) {
	for _, size := range []int64{0, 1, 255, 256, 257, 700, 66_000} {
		out, err := newTestLog(t, size).read()
		if err != nil {
			t.Errorf("size %d: %v", size, err)
		}
		if want := fmt.Sprintf("entries   %d verified", size); !strings.Contains(out, want) {
			t.Errorf("size %d: output lacks %q:\n%s", size, want, out)
		}
	}
}

func TestReadRefusesChangedBytes(t *testing.T) {
	l := newTestLog(t, 700)
	for _, name := range []string{
		"checkpoint", "tile/0/000", "tile/0/002.p/188", "tile/1/000.p/2", "tile/entries/001", "tile/entries/002.p/188",
	} {
		whole, ok := l.files[name]
		if !ok {
			t.Fatalf("the log has no file %s", name)
		}
		changed := bytes.Clone(whole)
		changed[len(changed)/2] ^= 1
		l.files[name] = changed
		if out, err := l.read(); err == nil {
			t.Errorf("one byte of %s changed, and it was accepted:\n%s", name, out)
		}
		l.files[name] = whole
	}
}

func TestReadWantsOrigin(t *testing.T) {
	if _, err := newTestLog(t, 3).read("-origin", "e1.other.dev-qa.acme.airlock.example"); err == nil {
		t.Error("another origin was accepted")
	}
}

func TestReadGrowth(t *testing.T) {
	l := newTestLog(t, 300)
	older := filepath.Join(t.TempDir(), "checkpoint")
	if err := os.WriteFile(older, l.files["checkpoint"], 0o600); err != nil {
		t.Fatal(err)
	}
	l.grow(900)
	out, err := l.read("-since", older)
	if err != nil || !strings.Contains(out, "consistent with the checkpoint of size 300") {
		t.Errorf("grown log: %v\n%s", err, out)
	}

	other := newTestLog(t, 0)
	other.signer, other.vkey = l.signer, l.vkey
	other.data, other.hashes = nil, nil
	other.grow(100) // shorter than what was seen
	if _, err := other.read("-since", older); err == nil || !strings.Contains(err.Error(), "went back") {
		t.Errorf("shorter log: %v", err)
	}
	l.data[0] = []byte("another first entry")
	forked := &testLog{t: t, signer: l.signer, vkey: l.vkey, files: map[string][]byte{}}
	first, err := tlog.StoredHashes(0, []byte("another first entry"), forked)
	if err != nil {
		t.Fatal(err)
	}
	forked.size, forked.hashes, forked.data = 1, first, l.data[:1]
	forked.grow(900)
	if _, err := forked.read("-since", older); err == nil || !strings.Contains(err.Error(), "consistency") {
		t.Errorf("fork: %v", err)
	}
}
