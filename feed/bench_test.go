package feed_test

import (
	"crypto/ecdsa"
	"crypto/sha256"
	"fmt"
	"testing"
	"time"

	"airlock/feed"
	"airlock/feed/feedtest"
	"airlock/signing"
)

// BenchmarkFollow has a newcomer read 20,000 publications from memory, and
// compares that with what cannot be saved: one P-256 verification of each
// statement and SHA-256 over its bytes, on as many processors.
func BenchmarkFollow(b *testing.B) {
	const entries = 20_000
	a := feedtest.NewAuthor(b, "acme/dev-qa/shared")
	tape := feedtest.NewTape(a).Add(a.Opening()...)
	for n := tape.Len(); n < entries; n++ {
		tape.Add(a.Publish(fmt.Sprintf("file/package-%d@1.%d.0", n%600, n/600)))
	}
	statements := make([]signing.Attestation, 0, entries)
	for i := int64(2); i < entries; i++ {
		statements = append(statements, parse(b, tape.Entry(i)))
	}
	var floor, follow time.Duration
	for b.Loop() {
		begin := time.Now()
		bare(b, a, statements)
		floor += time.Since(begin)
		begin = time.Now()
		s, _ := sync(b, a.Follower(tape), a.ID)
		follow += time.Since(begin)
		if s.Edge.Size() != entries {
			b.Fatalf("followed to %d", s.Edge.Size())
		}
	}
	per := func(d time.Duration) float64 { return float64(d.Nanoseconds()) / float64(b.N) / entries }
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(per(follow), "ns/entry")
	b.ReportMetric(per(floor), "bare-ns/entry")
	b.ReportMetric(float64(follow)/float64(floor), "ratio")
}

// bare does to statements what nobody can leave out.
func bare(b *testing.B, a *feedtest.Author, statements []signing.Attestation) {
	b.Helper()
	leaf, err := signing.ParseCertificate(a.Space.Publisher.CertificateDER())
	if err != nil {
		b.Fatal(err)
	}
	key := leaf.PublicKey.(*ecdsa.PublicKey)
	feed.Parallel(len(statements), func(i int) {
		_ = sha256.Sum256(statements[i].Bytes())
		id := statements[i].ID() // the SHA-256 of what was signed
		if !ecdsa.VerifyASN1(key, id[:], statements[i].Signature()) {
			b.Error("not signed")
		}
	})
}
