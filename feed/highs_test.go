package feed_test

import (
	"bytes"
	"crypto/elliptic"
	"encoding/asn1"
	"encoding/base64"
	"math/big"
	"testing"

	"airlock/feed/feedtest"
)

func base64Of(b []byte) []byte { return []byte(base64.StdEncoding.EncodeToString(b)) }

// highSOf returns the other signature that verifies: s becomes n-s.
func highSOf(t testing.TB, sig []byte) []byte {
	t.Helper()
	var rs struct{ R, S *big.Int }
	if _, err := asn1.Unmarshal(sig, &rs); err != nil {
		t.Fatal(err)
	}
	rs.S.Sub(elliptic.P256().Params().N, rs.S)
	out, err := asn1.Marshal(rs)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// highS returns the stored form of a statement with its high-S signature.
func highS(t testing.TB, s feedtest.Signed) []byte {
	return bytes.Replace(s.Bytes(), base64Of(s.Signature()), base64Of(highSOf(t, s.Signature())), 1)
}
