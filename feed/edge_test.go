package feed

import (
	"testing"

	"golang.org/x/mod/sumdb/tlog"
	"pgregory.net/rapid"
)

// tree is a tree as x/mod's tlog keeps one.
type tree struct {
	size   int64
	hashes []tlog.Hash
}

func (r *tree) add(t interface{ Fatal(...any) }, leaf tlog.Hash) {
	more, err := tlog.StoredHashesForRecordHash(r.size, leaf, r)
	if err != nil {
		t.Fatal(err)
	}
	r.hashes = append(r.hashes, more...)
	r.size++
}

func (r *tree) ReadHashes(indexes []int64) ([]tlog.Hash, error) {
	out := make([]tlog.Hash, len(indexes))
	for i, x := range indexes {
		out[i] = r.hashes[x]
	}
	return out, nil
}

// TestEdge grows edges and x/mod's tree together: the roots agree at every
// size, and an edge that was taken out and parsed goes on as if it had not.
func TestEdge(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var e Edge
		ref := &tree{}
		for i := range rapid.IntRange(0, 600).Draw(t, "size") {
			leaf := tlog.RecordHash([]byte{byte(i), byte(i >> 8)})
			before := e.Clone()
			e.Append(leaf)
			ref.add(t, leaf)
			want, err := tlog.TreeHash(ref.size, ref)
			if err != nil || e.Root() != want || e.Size() != ref.size {
				t.Fatalf("root %s at %d, want %s at %d, %v", e.Root(), e.Size(), want, ref.size, err)
			}
			if before.Size() != e.Size()-1 {
				t.Fatal("a clone grew")
			}
			if rapid.Bool().Draw(t, "parse") {
				if e, err = ParseEdge(e.Size(), e.Clone().Hashes()); err != nil {
					t.Fatal(err)
				}
			}
		}
	})
}

func TestEdgeClone(t *testing.T) {
	var e Edge
	for i := range byte(6) {
		e.Append(tlog.Hash{i})
	}
	a, b := e.Clone(), e.Clone()
	a.Append(tlog.Hash{100})
	b.Append(tlog.Hash{200})
	again := e.Clone()
	again.Append(tlog.Hash{100})
	if a.Root() != again.Root() || a.Root() == b.Root() {
		t.Error("clones share what they grow")
	}
}

func TestParseEdge(t *testing.T) {
	for _, c := range []struct {
		size   int64
		hashes int
		ok     bool
	}{{0, 0, true}, {1, 1, true}, {6, 2, true}, {256, 1, true}, {-1, 64, false}, {-1, 0, false}, {0, 1, false}, {6, 1, false}, {6, 3, false}} {
		if _, err := ParseEdge(c.size, make([]tlog.Hash, c.hashes)); (err == nil) != c.ok {
			t.Errorf("%d leaves with %d hashes: %v", c.size, c.hashes, err)
		}
	}
	root, err := tlog.TreeHash(0, nil)
	if err != nil || (Edge{}).Root() != root {
		t.Errorf("the empty tree has root %s, want %s", (Edge{}).Root(), root)
	}
}
