package feed

import (
	"errors"
	"fmt"
)

// ErrMalformed reports bytes of a source that are not in the form of what they
// should be. It says nothing about who is to blame; nothing of them is used.
var ErrMalformed = errors.New("malformed")

type malformedError struct{ err error }

func malformed(format string, args ...any) error {
	return &malformedError{fmt.Errorf(format, args...)}
}

func (e *malformedError) Error() string   { return e.err.Error() }
func (e *malformedError) Unwrap() []error { return []error{ErrMalformed, e.err} }
