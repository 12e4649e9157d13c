package feedhttp

import (
	"bufio"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/netip"
	"strings"
	"sync/atomic"
)

var errNotFound = fs.ErrNotExist

// Bounds of a read token and of the file that holds tokens.
const (
	minToken     = 16
	maxToken     = 512
	maxTokenFile = 1 << 20 // bytes
)

// HashToken returns the form in which a server keeps a token: its SHA-256, so
// that neither its memory nor a comparison gives a token away.
func HashToken(token string) [32]byte { return sha256.Sum256([]byte(token)) }

// ParseTokens reads the tokens of a file, one a line, 16 to 512 printable
// ASCII characters without spaces; empty lines and lines that begin with "#"
// do not count. Errors name the line, never the token.
func ParseTokens(name string, r io.Reader) ([][32]byte, error) {
	lines := bufio.NewScanner(io.LimitReader(r, maxTokenFile))
	var out [][32]byte
	for n := 1; lines.Scan(); n++ {
		token := strings.TrimSpace(lines.Text())
		if token == "" || token[0] == '#' {
			continue
		}
		if err := CheckToken(token); err != nil {
			return nil, fmt.Errorf("%s:%d: %w", name, n, err)
		}
		out = append(out, HashToken(token))
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	if len(out) == 0 {
		return nil, fmt.Errorf("%s: holds no token", name)
	}
	return out, nil
}

// CheckToken checks the form of a token, and does not repeat it in the error.
func CheckToken(token string) error {
	if len(token) < minToken || len(token) > maxToken {
		return fmt.Errorf("token of %d characters, want %d to %d", len(token), minToken, maxToken)
	}
	for _, c := range []byte(token) {
		if c <= ' ' || c > '~' {
			return fmt.Errorf("token: has a character that is a space or not printable ASCII")
		}
	}
	return nil
}

// admit looks who asks, and refuses who may not.
func (h *Handler) admit(c *call) error {
	if h.config.Open {
		c.caller.MayRead = true
		return nil
	}
	authorization := c.r.Header["Authorization"]
	c.caller.Credential = h.knows(authorization)
	c.caller.MayRead = c.caller.Credential
	switch {
	case c.caller.MayRead || c.route.access == anyone:
		return nil
	case c.route.access == publisher && len(authorization) == 0:
		return nil
	case c.route.access == operators && fromThisMachine(c.r):
		return nil
	}
	return ErrUnauthorized
}

// knows reports whether an Authorization field holds a read token.
func (h *Handler) knows(authorization []string) bool {
	if len(authorization) != 1 {
		return false
	}
	scheme, token, _ := strings.Cut(authorization[0], " ")
	if !strings.EqualFold(scheme, "Bearer") || len(token) > maxToken {
		return false
	}
	got, found := HashToken(token), 0
	for _, want := range h.config.ReadTokens {
		found |= subtle.ConstantTimeCompare(got[:], want[:])
	}
	return found == 1
}

// fromThisMachine reports whether a request comes from a loopback address and
// not through a proxy there.
func fromThisMachine(r *http.Request) bool {
	for _, field := range []string{"Forwarded", "X-Forwarded-For", "Via"} {
		if len(r.Header[field]) > 0 {
			return false
		}
	}
	a, err := netip.ParseAddrPort(r.RemoteAddr)
	return err == nil && a.Addr().Unmap().IsLoopback()
}

// requestIDs makes ids for requests that bring none.
type requestIDs struct {
	next atomic.Uint64
}

// seed begins at a random number, so that ids of two processes differ.
func (ids *requestIDs) seed() {
	var b [8]byte
	_, _ = rand.Read(b[:]) // never fails, see crypto/rand
	ids.next.Store(binary.BigEndian.Uint64(b[:]))
}

// of returns the id that a request brings where it is sane, else a new one, as
// the value of a header.
func (ids *requestIDs) of(r *http.Request) []string {
	if given := r.Header["X-Request-Id"]; len(given) == 1 && saneID(given[0]) {
		return given[:1:1]
	}
	var raw [8]byte
	var text [16]byte
	// Weyl sequence: every id once, and neighbours do not look alike.
	binary.BigEndian.PutUint64(raw[:], ids.next.Add(0x9e3779b97f4a7c15))
	hex.Encode(text[:], raw[:])
	return []string{string(text[:])}
}

func saneID(s string) bool {
	if len(s) < 8 || len(s) > 64 {
		return false
	}
	for _, c := range []byte(s) {
		alnum := 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9'
		if !alnum && c != '-' && c != '_' && c != '.' {
			return false
		}
	}
	return true
}
