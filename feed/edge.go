package feed

import (
	"errors"
	"fmt"
	"math/bits"

	"golang.org/x/mod/sumdb/tlog"
)

// Edge is the right edge of a Merkle tree (RFC 6962, section 2.1): the roots
// of the perfect subtrees that make up its first Size leaves, largest first.
// It is all that is needed to add leaves and to know the root: a reader who
// keeps one proves by reading on that the log only grew.
//
// The zero Edge is the empty tree.
type Edge struct {
	size   int64
	hashes []tlog.Hash
}

// ParseEdge checks that hashes can be the edge of a tree of that size.
func ParseEdge(size int64, hashes []tlog.Hash) (Edge, error) {
	if size < 0 || len(hashes) != bits.OnesCount64(uint64(size)) {
		return Edge{}, fmt.Errorf("edge of %d leaves with %d hashes", size, len(hashes))
	}
	return Edge{size, hashes}, nil
}

// Size is the number of leaves.
func (e Edge) Size() int64 { return e.size }

// Hashes returns the subtree roots, largest first.
func (e Edge) Hashes() []tlog.Hash { return e.hashes }

// Clone returns an edge that grows on its own.
func (e Edge) Clone() Edge {
	return Edge{e.size, append(make([]tlog.Hash, 0, len(e.hashes)+4), e.hashes...)}
}

// Append adds a leaf.
func (e *Edge) Append(leaf tlog.Hash) {
	h := leaf
	// Every subtree of the same height as the new one merges with it.
	for n := e.size; n&1 == 1; n >>= 1 {
		last := len(e.hashes) - 1
		h = tlog.NodeHash(e.hashes[last], h)
		e.hashes = e.hashes[:last]
	}
	e.hashes = append(e.hashes, h)
	e.size++
}

// Root returns the root hash; of the empty tree the hash of nothing.
func (e Edge) Root() tlog.Hash {
	if len(e.hashes) == 0 {
		root, _ := tlog.TreeHash(0, nil)
		return root
	}
	root := e.hashes[len(e.hashes)-1]
	for i := len(e.hashes) - 2; i >= 0; i-- {
		root = tlog.NodeHash(e.hashes[i], root)
	}
	return root
}

// ErrForked reports two heads of one feed of which neither continues the other.
var ErrForked = errors.New("the feed was forked")
