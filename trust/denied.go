package trust

import (
	"errors"
	"fmt"

	"airlock/signing"
)

// Reason sorts refusals by what people have to do about them.
type Reason int

// The reasons. Each is also an error to match with errors.Is.
const (
	BadSignature Reason = iota + 1 // the bytes are not what was signed
	Untrusted                      // signed, but nobody here trusts that for this
	Unapproved                     // approvals are missing
	Malformed                      // signed, and not of the form of its kind
	Stale                          // the source's last sign of life is too old
	Unscanned                      // no scanner here has seen it yet
	Unclean                        // the scanner here refused it
)

// Errors to match a DeniedError with.
var (
	ErrUntrusted  = errors.New("not trusted")
	ErrUnapproved = errors.New("approval missing")
	ErrStale      = errors.New("too old")
	ErrUnscanned  = errors.New("not scanned")
	ErrUnclean    = errors.New("refused by the scanner")
	ErrMalformed  = errors.New("not of its kind's form")
)

// DeniedError says why something signed does not count: which rule, where it
// stands, about which thing.
type DeniedError struct {
	Reason Reason
	Rule   string // "position", "binding", "allow", …: the words of docs/formats.md
	File   string // the policy file, where one decided
	Thing  string
	Why    string
}

func (e *DeniedError) Error() string {
	where := ""
	if e.File != "" {
		where = " in " + e.File
	}
	return fmt.Sprintf("%s: %s (rule %s%s)", e.Thing, e.Why, e.Rule, where)
}

// Unwrap returns the error to match.
func (e *DeniedError) Unwrap() error {
	switch e.Reason {
	case BadSignature:
		return signing.ErrBadSignature
	case Unapproved:
		return ErrUnapproved
	case Stale:
		return ErrStale
	case Unscanned:
		return ErrUnscanned
	case Unclean:
		return ErrUnclean
	case Malformed:
		return ErrMalformed
	}
	return ErrUntrusted
}
