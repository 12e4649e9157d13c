package outbox

import (
	"slices"
	"testing"
)

// BenchmarkReceipts is what a thousand receipts cost from the fact to the feed.
func BenchmarkReceipts(b *testing.B) {
	_, h := newSite(b)
	names := slices.Repeat([]string{"a"}, 1000)
	for b.Loop() {
		h.record(names...)
		h.mustSend(1000)
	}
}
