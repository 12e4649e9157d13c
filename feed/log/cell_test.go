package log

import (
	"bytes"
	"encoding/hex"
	"errors"
	"os"
	"strings"
	"testing"

	"golang.org/x/mod/sumdb/tlog"
	"pgregory.net/rapid"

	"airlock/feed"
	"airlock/signing"
	"airlock/storage"
)

func testKey(seed byte) feed.LogKey {
	key, err := feed.NewLogKey(append(make([]byte, 31), seed))
	if err != nil {
		panic(err)
	}
	return key
}

// exampleCell has one entry before its tail's two; the numbers are made up.
func exampleCell() *cell {
	c := &cell{origin: "e1.shared.dev-qa.acme.airlock.example", epoch: 1, owner: "host-a"}
	for i := range 256 {
		c.edge.Append(tlog.Hash{byte(i)})
	}
	for i := range byte(2) {
		c.tail = append(c.tail, tailEntry{leaf: tlog.Hash{1, i}, id: signing.ID{2, i}, stored: storage.Digest{3, i}, name: storage.Digest{4, i}})
	}
	copy(c.nonce[:], "0123456789abcdef")
	e := c.fullEdge()
	c.root = e.Root()
	return c
}

// TestCellExample compares the format with the bytes in testdata.
func TestCellExample(t *testing.T) {
	text, err := os.ReadFile("testdata/cell.hex")
	if err != nil {
		t.Fatal(err)
	}
	want, err := hex.DecodeString(strings.Join(strings.Fields(string(text)), ""))
	if err != nil {
		t.Fatal(err)
	}
	if got := exampleCell().format(testKey(1)); !bytes.Equal(got, want) {
		t.Errorf("got\n%x\nwant\n%x", got, want)
	}
}

func TestCellRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		key := testKey(1)
		hash := rapid.Custom(func(t *rapid.T) (h [32]byte) {
			copy(h[:], rapid.SliceOfN(rapid.Byte(), 32, 32).Draw(t, "hash"))
			return h
		})
		c := &cell{origin: rapid.StringN(0, 40, 100).Draw(t, "origin"), epoch: rapid.Uint64().Draw(t, "epoch"), owner: rapid.StringN(0, 40, 100).Draw(t, "owner")}
		for range rapid.IntRange(0, 3).Draw(t, "segments") * feed.SegmentSize {
			c.edge.Append(tlog.Hash{7})
		}
		for range rapid.IntRange(0, 6).Draw(t, "tail") {
			c.tail = append(c.tail, tailEntry{tlog.Hash(hash.Draw(t, "leaf")), signing.ID(hash.Draw(t, "id")), hash.Draw(t, "stored"), hash.Draw(t, "name")})
		}
		c.nonce = [16]byte(rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, "nonce"))
		e := c.fullEdge()
		c.root = e.Root()
		b := c.format(key)
		got, err := parseCell(b, key.Public())
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got.format(key), b) || got.size() != c.size() || got.start() != c.start() {
			t.Fatalf("came back as another cell: %+v", got)
		}
	})
}

// TestCellRefused changes a good cell, signs it where that is the question, and
// finds each change refused.
func TestCellRefused(t *testing.T) {
	key := testKey(1)
	sign := func(change func(c *cell)) []byte {
		c := exampleCell()
		change(c)
		return c.format(key)
	}
	good := exampleCell().format(key)
	flipped := bytes.Clone(good)
	flipped[len(flipped)/2] ^= 1
	unsigned := append([]byte(nil), good[:len(good)-1]...)
	unsigned = append(unsigned, good[len(good)-1]^1)
	for name, c := range map[string]struct {
		b    []byte
		want error
	}{
		"another key":           {exampleCell().format(testKey(2)), ErrForeignKey},
		"a bit flipped":         {flipped, ErrForeignKey},
		"its signature flipped": {unsigned, ErrForeignKey},
		"another root":          {sign(func(c *cell) { c.root[0] ^= 1 }), errCell},
		"a leaf missing":        {sign(func(c *cell) { c.tail = c.tail[:1] }), errCell},
		"edge inside a segment": {sign(func(c *cell) { c.edge.Append(tlog.Hash{}); e := c.fullEdge(); c.root = e.Root() }), errCell},
		"more behind it":        {append(bytes.Clone(good), 0), errCell},
		"cut short":             {good[:len(good)-1], errCell},
		"a tail too long": {sign(func(c *cell) {
			c.tail = make([]tailEntry, maxTail+1)
			e := c.fullEdge()
			c.root = e.Root()
		}), errCell},
	} {
		if _, err := parseCell(c.b, key.Public()); !errors.Is(err, c.want) {
			t.Errorf("%s: got %v, want %v", name, err, c.want)
		}
	}
	var format *storage.FormatError
	if _, err := parseCell([]byte("airlock-log 2\nmore"), nil); !errors.As(err, &format) {
		t.Errorf("unknown format: %v", err)
	}
}

// FuzzCell finds input that panics, or that is taken and is not what format
// writes.
func FuzzCell(f *testing.F) {
	key := testKey(1)
	f.Add(exampleCell().format(key))
	empty := &cell{origin: "e1.x.y.z.airlock.example", epoch: 1}
	empty.root = empty.edge.Root()
	f.Add(empty.format(key))
	f.Add([]byte(cellHeader))
	f.Add([]byte("airlock-log 2\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		c, err := parseCell(b, nil)
		if err != nil {
			return
		}
		again := c.format(key)
		if end := len(b) - 64; !bytes.Equal(again[:len(again)-64], b[:end]) {
			t.Errorf("%x came back as %x", b, again)
		}
		_ = c.fullEdge()
	})
}
