package feedhttp

import (
	"errors"
	"fmt"
)

// Errors of the transport, to match on either end. A backend returns them too
// where they say what happened.
var (
	// ErrBusy reports a server that has too much to do; asking again helps.
	ErrBusy = errors.New("the server is busy")
	// ErrClosing reports a server that is going down.
	ErrClosing = errors.New("the server is closing")
	// ErrSlow reports a body that came too slowly.
	ErrSlow = errors.New("the body came too slowly")
	// ErrUnauthorized reports that no credential was shown where one is needed,
	// or one that is not known, has ended or was revoked.
	ErrUnauthorized = errors.New("a credential is needed")
	// ErrForeignLog reports a feed that is kept by another operator, whose key
	// signs its log: it can be read here, not added to.
	ErrForeignLog = errors.New("the feed's log is kept by another operator")
	// ErrWentBack reports a store that holds less, or something else, than it
	// did before; the server neither serves nor adds to such a feed.
	ErrWentBack = errors.New("the store holds an older or another log than before")
	// ErrAnswer reports an answer that is larger than an honest server's can be.
	ErrAnswer = errors.New("no honest answer")
	// ErrPrecondition reports an If-Match that does not hold.
	ErrPrecondition = errors.New("the content is not the one expected")
)

// CertificateError reports a client's certificate by which nobody is known, or no
// more. The server closes the connection on which it was shown.
type CertificateError struct{ Why string }

func (e *CertificateError) Error() string { return "the client certificate " + e.Why }

// Unwrap makes it one of the wrong credentials.
func (e *CertificateError) Unwrap() error { return ErrUnauthorized }

// RequestError reports a request that breaks a rule of the interface.
type RequestError struct{ Why string }

func (e *RequestError) Error() string { return e.Why }

func badRequest(format string, args ...any) error {
	return &RequestError{fmt.Sprintf(format, args...)}
}

// LimitError reports something that is larger than allowed.
type LimitError struct {
	What string
	Max  int64 // in the unit of What, mostly bytes
}

func (e *LimitError) Error() string {
	return fmt.Sprintf("%s is larger than the %d allowed", e.What, e.Max)
}

// tooMuch refuses what a server sent: it matches ErrAnswer, so that nobody
// takes it for a limit on what he sent himself.
func tooMuch(what string, limit int64) error {
	return fmt.Errorf("%w: %w", ErrAnswer, &LimitError{what, limit})
}

// OffsetError reports bytes of an upload that do not follow what has arrived.
type OffsetError struct {
	Want int64 // what has arrived, in bytes
}

func (e *OffsetError) Error() string {
	return fmt.Sprintf("the upload stands at byte %d", e.Want)
}

// ConflictError reports a submission that does not fit the state of the feed
// in a way that has no type of its own: another epoch, a second opening.
type ConflictError struct{ Why string }

func (e *ConflictError) Error() string { return e.Why }

// MethodError reports a method that the resource does not have.
type MethodError struct{ Method, Allow string }

func (e *MethodError) Error() string {
	return fmt.Sprintf("method %.20q is not allowed here, only %s", e.Method, e.Allow)
}

// MediaTypeError reports a body in another form than the one understood.
type MediaTypeError struct{ Got, Want string }

func (e *MediaTypeError) Error() string {
	return fmt.Sprintf("content type %.80q, want %s", e.Got, e.Want)
}
