package publish

import (
	"fmt"
	"testing"

	"airlock/feed"
	"airlock/signing"
	"airlock/trust"
	"airlock/trust/trusttest"
)

// remarks are signed statements about no package.
func (s *site) remarks(first, n int) []signing.Attestation {
	var out []signing.Attestation
	for i := range n {
		out = append(out, s.space.Attest(s.space.Publisher, signing.Receipt, fmt.Sprint("remark ", first+i), trust.Position{Feed: s.id.String(), Epoch: 1}))
	}
	return out
}

// Statements that are signed already open a feed, go in once, bring identities
// that the feed lacks, and fill more than a batch.
func TestAppend(t *testing.T) {
	s := newSite(t)
	alice, bob := s.publisher(), s.publisher()
	first := s.remarks(0, 2)
	for name, p := range map[string]*Publisher{"who opens": alice, "who did not hear": bob} {
		for range 2 {
			if err := p.Append(t.Context(), first); err != nil {
				t.Fatalf("%s: %v", name, err)
			}
		}
	}
	if got := s.state().Index.Size(); got != 4 {
		t.Fatalf("%d entries, want 4", got)
	}
	s.space.Next(func(id *trust.Identity) { s.space.List(id, s.space.Leaf("carol", trust.Publisher)) })
	alice.Own = s.space.History()
	if err := alice.Append(t.Context(), append(first, s.remarks(2, 1100)...)); err != nil {
		t.Fatal(err)
	}
	state := s.state()
	if got := state.Index.Size(); got != 4+1+1100 {
		t.Errorf("%d entries, want %d", got, 4+1+1100)
	}
	if r := state.Index.Row(4); r.What != feed.IsIdentity {
		t.Errorf("entry 4 is no identity: %+v", r)
	}
	// What somebody else of the Space signed badly is refused as ever.
	twin := trusttest.New(t, "acme/dev-qa")
	bad := twin.Attest(twin.Publisher, signing.Receipt, "x", trust.Position{Feed: s.id.String(), Epoch: 1})
	if err := alice.Append(t.Context(), []signing.Attestation{bad}); err == nil {
		t.Error("a statement of another lineage")
	}
}
