package signing

import "testing"

// What a reader of a long feed pays per entry, besides the signature itself.
func BenchmarkParse(b *testing.B) {
	a, _ := testAttestation(b)
	b.ReportAllocs()
	for b.Loop() {
		a, err := ParseAttestation(a.Bytes())
		if err != nil {
			b.Fatal(err)
		}
		if _, err := ParseStatement(a.Payload()); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkVerifySignature(b *testing.B) {
	a, key := testAttestation(b)
	b.ReportAllocs()
	for b.Loop() {
		if err := a.VerifySignature(key); err != nil {
			b.Fatal(err)
		}
	}
}
