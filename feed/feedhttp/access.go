package feedhttp

import (
	"crypto/rand"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"io/fs"
	"net/http"
	"net/netip"
	"strings"
	"sync/atomic"

	"airlock/feed"
)

var errNotFound = fs.ErrNotExist

// Bounds of a token.
const (
	minToken = 16
	maxToken = 512
)

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

// admit finds out who asks. What that allows the backend decides.
func (h *Handler) admit(c *call) error {
	if c.route.access == anyone {
		return nil
	}
	if err := h.identify(c); err != nil {
		return err
	}
	if h.config.Callers != nil {
		if err := h.config.Callers.Enter(c.r.Context(), c.caller); err != nil {
			return err
		}
	}
	if c.route.access == operators && h.config.Callers != nil && c.caller.Role != Administrator && !fromThisMachine(c.r) {
		return ErrUnauthorized
	}
	return nil
}

// identify fills in the caller, whether or not it was known before.
func (h *Handler) identify(c *call) error {
	if h.config.Callers == nil {
		return nil // everybody is nobody
	}
	shown, err := credentialsOf(c.r)
	if err != nil {
		return err
	}
	caller, err := h.config.Callers.Identify(c.r.Context(), shown)
	if err != nil {
		return err
	}
	caller.Address, caller.Request = c.caller.Address, c.caller.Request
	caller.Forwarded = len(c.r.Header[forwardedField]) > 0
	c.caller = caller
	return nil
}

// credentialsOf returns what a request shows. An Authorization field that holds
// no token is a wrong credential, not none.
func credentialsOf(r *http.Request) (shown Credentials, err error) {
	if fields := r.Header["Authorization"]; len(fields) > 0 {
		scheme, token, _ := strings.Cut(fields[0], " ")
		if len(fields) > 1 || !strings.EqualFold(scheme, "Bearer") || CheckToken(token) != nil {
			return shown, ErrUnauthorized
		}
		shown.Token = token
	}
	if r.TLS != nil {
		shown.Certificates = r.TLS.PeerCertificates
	}
	return shown, nil
}

// still asks again whether the caller may have what it is given, where that may
// have changed: for what takes long.
func (h *Handler) still(c *call) error {
	select {
	case <-c.caller.Changed:
	default:
		if c.caller.Until.IsZero() || h.now().Before(c.caller.Until) {
			return nil
		}
	}
	if err := h.identify(c); err != nil {
		return err
	}
	if c.id == (feed.ID{}) {
		return nil
	}
	_, err := h.config.Reader.Head(c.r.Context(), c.caller, c.id, 0)
	return err
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
