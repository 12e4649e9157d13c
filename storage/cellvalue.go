package storage

import (
	"bytes"
	"crypto/rand"
	"encoding/hex"
	"fmt"
)

// A stored cell is one line and the value:
//
//	airlock-cell 1 <nonce: 32 digits> <SHA-256 of the value: 64 digits>\n
//
// in lower-case hexadecimal. The nonce is drawn anew for each Swap: it is the
// tag in a directory; in a bucket it keeps the ETag, an MD5 of the content,
// from ever coming back, and tells a writer whose answer was lost whether the
// value is its own. The digest finds a value that was cut short.
const (
	cellMagic  = "airlock-cell 1 "
	cellHeader = len(cellMagic) + 32 + 1 + 64 + 1
	maxCell    = int64(cellHeader + MaxFile)
)

type nonce [16]byte

func newNonce() nonce {
	var n nonce
	_, _ = rand.Read(n[:]) // never fails (crypto/rand)
	return n
}

func (n nonce) String() string { return hex.EncodeToString(n[:]) }

func formatCell(n nonce, value []byte) []byte {
	stored := make([]byte, 0, cellHeader+len(value))
	stored = fmt.Appendf(stored, "%s%s %s\n", cellMagic, n, DigestOf(value).Hex())
	return append(stored, value...)
}

// parseCell reads what formatCell wrote, and nothing else. The value is a part
// of stored. where names the cell in errors.
func parseCell(where string, stored []byte) (nonce, []byte, error) {
	var n nonce
	if len(stored) < cellHeader || !bytes.HasPrefix(stored, []byte(cellMagic)) {
		got, _, _ := bytes.Cut(stored[:min(len(stored), cellHeader)], []byte("\n"))
		return n, nil, &FormatError{Where: where, Got: string(got), Want: cellMagic}
	}
	value := stored[cellHeader:]
	digits := stored[len(cellMagic) : len(cellMagic)+32]
	if _, err := hex.Decode(n[:], digits); err != nil || n.String() != string(digits) {
		return n, nil, fmt.Errorf("%s: nonce is not 32 lower-case hexadecimal digits", where)
	}
	want, err := ParseHex(string(stored[cellHeader-65 : cellHeader-1]))
	if err != nil {
		return n, nil, fmt.Errorf("%s: %w", where, err)
	}
	if stored[cellHeader-66] != ' ' || stored[cellHeader-1] != '\n' {
		return n, nil, fmt.Errorf("%s: first line is not as long as it must be", where)
	}
	if got := DigestOf(value); got != want {
		return n, nil, fmt.Errorf("%s: %w", where, &DigestError{Want: want, Got: got})
	}
	return n, value, nil
}
