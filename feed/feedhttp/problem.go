package feedhttp

import (
	"context"
	"errors"
	"io/fs"
	"net/http"
	"time"

	"airlock/feed"
	"airlock/signing"
	"airlock/storage"
	"airlock/trust"
)

// rule is a row of the table from error to the outside: what a server answers,
// what a client makes of it, and whether asking again may help.
type rule struct {
	name   string // the last part of the problem's type
	status int
	title  string
	again  bool
	mute   bool // the text of the error stays in the server's log: it may say where the store lies
	// match reports whether err is of the row, and notes its facts.
	match func(err error, d *document) bool
	// restore returns the error that the document tells of, nil where it lacks
	// the facts.
	restore func(d *document) error
}

// busyAfter is what Retry-After says where asking again soon may help.
const busyAfter = time.Second

// rules is the table. The first row that matches counts, so rows about a
// cause stand before rows about what it was wrapped in.
var rules = []rule{
	typed("version-taken", http.StatusConflict, "the version has a content already or was withdrawn", noteVersion, restoreVersion),
	typed("not-the-head", http.StatusPreconditionFailed, "the statement does not follow the newest about its name", noteChain, restoreChain),
	typed("repeated", http.StatusConflict, "the feed holds the statement already", noteRepeated, restoreRepeated),
	typed("objects-missing", http.StatusUnprocessableEntity, "objects that the statements name have not arrived", noteMissing, restoreMissing),
	typed("offset", http.StatusConflict, "the bytes do not follow what has arrived", noteOffset, restoreOffset),
	typed("conflict", http.StatusConflict, "the submission does not fit the state of the feed",
		func(*ConflictError, *document) {}, func(d *document) error { return &ConflictError{d.Detail} }),
	denied("bad-signature", http.StatusUnprocessableEntity, "the bytes are not what was signed", trust.BadSignature),
	denied("malformed", http.StatusUnprocessableEntity, "signed, and not of the form of its kind", trust.Malformed),
	denied("unapproved", http.StatusForbidden, "approvals are missing", trust.Unapproved),
	denied("untrusted", http.StatusForbidden, "nobody here trusts that for this", trust.Untrusted),
	sentinel("bad-signature-bytes", http.StatusUnprocessableEntity, "the signature does not match", false, signing.ErrBadSignature),
	typed("wrong-content", http.StatusUnprocessableEntity, "the bytes are not those that were announced", noteContent, restoreContent),
	typed("wrong-size", http.StatusUnprocessableEntity, "the object is of another size than announced", noteSize, restoreSize),
	typed("too-large", http.StatusRequestEntityTooLarge, "larger than allowed", noteLimit, restoreLimit),
	{name: "too-large", status: http.StatusRequestEntityTooLarge, title: "larger than allowed", match: matchMaxBytes, restore: restoreLimit},
	typed("bad-request", http.StatusBadRequest, "the request breaks a rule of the interface",
		func(*RequestError, *document) {}, func(d *document) error { return &RequestError{d.Detail} }),
	typed("method", http.StatusMethodNotAllowed, "the resource does not have the method",
		func(e *MethodError, d *document) { d.Got, d.Want = clean(e.Method), e.Allow },
		func(d *document) error { return &MethodError{d.Got, d.Want} }),
	typed("media-type", http.StatusUnsupportedMediaType, "the body is in a form that is not understood",
		func(e *MediaTypeError, d *document) { d.Got, d.Want = clean(e.Got), e.Want },
		func(d *document) error { return &MediaTypeError{d.Got, d.Want} }),
	typed("certificate", http.StatusUnauthorized, "the client certificate does not count",
		func(e *CertificateError, d *document) { d.Why = clean(e.Why) }, func(d *document) error { return &CertificateError{d.Why} }),
	sentinel("unauthorized", http.StatusUnauthorized, "a credential is needed, and this is none that counts here", false, ErrUnauthorized),
	typed("quota", http.StatusInsufficientStorage, "the Space has what it was granted", noteQuota, restoreQuota),
	again(typed("too-many", http.StatusTooManyRequests, "the Space asks more often than it was granted",
		func(e *RateError, d *document) { d.Max = e.Max }, func(d *document) error { return &RateError{Max: d.Max} })),
	again(typed("share", http.StatusTooManyRequests, "the Space has its share of what the server does at once",
		func(e *ShareError, d *document) { d.What = e.What }, func(d *document) error { return &ShareError{d.What} })),
	sentinel("foreign-log", http.StatusForbidden, "the feed is kept by another operator", false, ErrForeignLog),
	sentinel("went-back", http.StatusInternalServerError, "the store went back behind what the server has seen", false, ErrWentBack),
	sentinel("precondition", http.StatusPreconditionFailed, "the content is not the one expected", false, ErrPrecondition),
	sentinel("range", http.StatusRequestedRangeNotSatisfiable, "there are no bytes at that offset", false, storage.ErrRange),
	sentinel("slow", http.StatusRequestTimeout, "the body came too slowly", true, ErrSlow),
	sentinel("no-space", http.StatusInsufficientStorage, "no room is left in the store", false, storage.ErrNoSpace),
	sentinel("closing", http.StatusServiceUnavailable, "the server is closing", true, ErrClosing),
	mute(sentinel("store-away", http.StatusServiceUnavailable, "the server runs, and its store does not answer", true, storage.ErrAway)),
	sentinel("busy", http.StatusServiceUnavailable, "the server is busy", true, ErrBusy),
	sentinel("busy", http.StatusServiceUnavailable, "the server is busy", true, storage.ErrConflict),
	mute(sentinel("unclear", http.StatusServiceUnavailable, "the outcome is not known; asking again is safe", true, storage.ErrUnclear)),
	sentinel("not-found", http.StatusNotFound, "there is no such thing", false, fs.ErrNotExist),
	sentinel("timeout", http.StatusGatewayTimeout, "the store did not answer in time", true, context.DeadlineExceeded),
	// 499 is nginx's word for it; the client is not there to read it.
	sentinel("left", 499, "the client left", true, context.Canceled),
	internalRule,
}

// internalRule is for what nobody foresaw. The cause stays in the server's log.
var internalRule = rule{
	name: "internal", status: http.StatusInternalServerError, title: "the server failed; its log has the cause under the request's id", again: true, mute: true,
	match:   func(error, *document) bool { return true },
	restore: func(*document) error { return errInternal },
}

var errInternal = errors.New("the server failed")

// sentinel is a row for an error without facts of its own.
func sentinel(name string, status int, title string, again bool, target error) rule {
	return rule{
		name: name, status: status, title: title, again: again,
		match:   func(err error, _ *document) bool { return errors.Is(err, target) },
		restore: func(*document) error { return target },
	}
}

// again makes a row one after which asking again may help.
func again(r rule) rule {
	r.again = true
	return r
}

// mute makes a row whose errors say to clients what the title says, and no more.
func mute(r rule) rule {
	r.mute = true
	return r
}

// typed is a row for an error that carries facts.
func typed[E error](name string, status int, title string, note func(E, *document), restore func(*document) error) rule {
	return rule{
		name: name, status: status, title: title, restore: restore,
		match: func(err error, d *document) bool {
			e, ok := errors.AsType[E](err)
			if ok {
				note(e, d)
			}
			return ok
		},
	}
}

// denied is a row for refusals by the rules of trust.
func denied(name string, status int, title string, reason trust.Reason) rule {
	return rule{
		name: name, status: status, title: title,
		match: func(err error, d *document) bool {
			e, ok := errors.AsType[*trust.DeniedError](err)
			if !ok || e.Reason != reason {
				return false
			}
			// The policy's file is the server's own business.
			d.Rule, d.Thing, d.Why = clean(e.Rule), clean(e.Thing), clean(e.Why)
			return true
		},
		restore: func(d *document) error {
			return &trust.DeniedError{Reason: reason, Rule: d.Rule, Thing: d.Thing, Why: d.Why}
		},
	}
}

func matchMaxBytes(err error, d *document) bool {
	e, ok := errors.AsType[*http.MaxBytesError](err)
	if ok {
		d.What, d.Max = "body", e.Limit
	}
	return ok
}

func noteVersion(e *feed.VersionError, d *document) {
	d.noteRef(e.Ref)
	d.HaveManifest, d.GotManifest, d.Index = optional(e.Have), optional(e.Got), &e.Index
	d.Withdrawn, d.Withdrawing = e.Withdrawn, e.Withdrawing
}

func restoreVersion(d *document) error {
	ref, ok := d.ref()
	if !ok || d.Index == nil {
		return nil
	}
	return &feed.VersionError{Ref: ref, Have: value(d.HaveManifest), Got: value(d.GotManifest), Index: *d.Index, Withdrawn: d.Withdrawn, Withdrawing: d.Withdrawing}
}

func noteChain(e *feed.ChainError, d *document) {
	d.noteRef(e.Ref)
	d.Previous, d.Head, d.Index = e.Previous, e.Head, &e.HeadIndex
}

func restoreChain(d *document) error {
	ref, ok := d.ref()
	if !ok || d.Index == nil {
		return nil
	}
	return &feed.ChainError{Ref: ref, Previous: d.Previous, Head: d.Head, HeadIndex: *d.Index}
}

func noteRepeated(e *feed.RepeatedError, d *document) { d.Statement, d.Index = &e.ID, &e.Index }

func restoreRepeated(d *document) error {
	if d.Statement == nil || d.Index == nil {
		return nil
	}
	return &feed.RepeatedError{ID: *d.Statement, Index: *d.Index}
}

func noteMissing(e *feed.MissingError, d *document) {
	d.Missing = e.Objects[:min(len(e.Objects), maxMissing)]
}

func restoreMissing(d *document) error {
	if len(d.Missing) == 0 || checkRefs(d.Missing) != nil {
		return nil
	}
	return &feed.MissingError{Objects: d.Missing}
}

func noteOffset(e *OffsetError, d *document) { d.Index = &e.Want }

func restoreOffset(d *document) error {
	if d.Index == nil {
		return nil
	}
	return &OffsetError{*d.Index}
}

func noteContent(e *storage.DigestError, d *document) {
	d.HaveManifest, d.GotManifest = optional(e.Want), optional(e.Got)
}

func restoreContent(d *document) error {
	return &storage.DigestError{Want: value(d.HaveManifest), Got: value(d.GotManifest)}
}

func noteSize(e *storage.SizeError, d *document) {
	d.HaveManifest, d.Max, d.Index = optional(e.Digest), e.Want, &e.Got
}

func restoreSize(d *document) error {
	if d.Index == nil {
		return nil
	}
	return &storage.SizeError{Digest: value(d.HaveManifest), Want: d.Max, Got: *d.Index}
}

func noteLimit(e *LimitError, d *document) { d.What, d.Max = e.What, e.Max }

func restoreLimit(d *document) error { return &LimitError{d.What, d.Max} }
