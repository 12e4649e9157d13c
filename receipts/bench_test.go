package receipts

import (
	"crypto/ecdsa"
	"crypto/sha256"
	"testing"

	"airlock/feed"
	"airlock/signing"
)

// BenchmarkAudit follows and audits a feed of receipts, each with its time
// stamp. BenchmarkSignatures verifies as many signatures alone, on as many
// processors: a receipt has one, and its stamp another.
func BenchmarkAudit(b *testing.B) {
	const n = 4000
	w := newAudited(b)
	for i := range n {
		w.add(i%2, nil)
	}
	b.ResetTimer()
	for b.Loop() {
		if r := w.report(nil); len(r.Receipts) != n || len(r.Findings) > 0 {
			b.Fatalf("%d receipts, %v", len(r.Receipts), r.Findings)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(n*b.N), "µs/receipt")
}

func BenchmarkSignatures(b *testing.B) {
	const n = 4000
	key, err := signing.GenerateKey()
	if err != nil {
		b.Fatal(err)
	}
	sum := sha256.Sum256([]byte("a receipt"))
	sig, err := ecdsa.SignASN1(nil, key, sum[:])
	if err != nil {
		b.Fatal(err)
	}
	b.ResetTimer()
	for b.Loop() {
		feed.Parallel(n, func(int) {
			if !ecdsa.VerifyASN1(&key.PublicKey, sum[:], sig) {
				panic("a signature that does not verify")
			}
		})
	}
	b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(n*b.N), "µs/signature")
}
