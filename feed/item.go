package feed

import (
	"golang.org/x/mod/sumdb/tlog"

	"airlock/signing"
	"airlock/trust"
)

// item is an entry on its way through the fold.
type item struct {
	index    int64
	att      signing.Attestation
	unread   error // why it has no leaf hash
	leaf     tlog.Hash
	identity bool
	verified trust.Verified
	entry    Entry // the ID alone unless a leaf in force said it
	denied   error // why it does not count, whatever came before it
}

// readItems parses the statements of a segment from index from on, up to (not
// including) to.
func readItems(s Segment, from, to int64) []item {
	first := max(from-s.Start, 0)
	statements := s.Statements[:max(min(to-s.Start, int64(len(s.Statements))), 0)]
	if first >= int64(len(statements)) || len(statements) > SegmentSize {
		return nil
	}
	items := make([]item, int64(len(statements))-first)
	for i := range items {
		at := first + int64(i)
		items[i].read(s.Start+at, statements[at])
	}
	return items
}

// read parses a stored statement. A signature that nobody may store makes the
// entry void; what is no attestation at all has no place in a tree, so the root
// will tell.
func (it *item) read(index int64, raw []byte) {
	it.index = index
	if it.att, it.denied = signing.ParseAttestation(raw); it.denied != nil {
		if it.att, it.unread = Logged(raw); it.unread != nil {
			return
		}
	}
	it.leaf = LeafHash(it.att)
	it.identity = it.denied == nil && ConcernsSigners(it.att)
}

// verify does what can be said of an entry alone. It is called concurrently.
func (f *fold) verify(it *item) {
	it.entry.ID = it.att.ID()
	if it.denied != nil {
		it.denied = &trust.DeniedError{Reason: trust.BadSignature, Rule: "signature", Thing: f.signers.at(it.index).String(), Why: it.denied.Error()}
		return
	}
	var signed trust.Signed
	if signed, it.denied = f.view.Signed(it.att, f.signers.at(it.index)); it.denied != nil {
		return
	}
	it.entry, it.denied = ParseEntry(it.att.ID(), signed.Statement())
	if it.denied == nil && it.entry.What == IsOpening {
		it.denied = &OpenedAgainError{}
	}
	if it.denied != nil {
		return
	}
	it.entry.SignedBy(signed)
	it.verified, it.denied = f.view.Counts(signed)
}
