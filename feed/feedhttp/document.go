package feedhttp

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"airlock/feed"
	"airlock/signing"
	"airlock/storage"
	"airlock/trust"
)

// problemPrefix begins every problem type: identifiers, never fetched.
const problemPrefix = "https://airlock.example/problems/"

const problemMediaType = "application/problem+json"

// Bounds of a problem document, in bytes.
const (
	maxDocument = 4 << 20
	maxText     = 1000 // of one string in it
)

// document is a problem document (RFC 9457, section 3.1) with the extension
// members that rows of the table use.
type document struct {
	Type     string `json:"type"`
	Title    string `json:"title"`
	Status   int    `json:"status"`
	Detail   string `json:"detail,omitempty"`
	Instance string `json:"instance,omitempty"` // the request's id

	Missing      []storage.Ref   `json:"missing,omitempty"`
	Kind         string          `json:"kind,omitempty"`
	Name         string          `json:"name,omitempty"`
	Version      string          `json:"version,omitempty"`
	HaveManifest *storage.Digest `json:"have,omitempty"`
	GotManifest  *storage.Digest `json:"got,omitempty"`
	Withdrawn    bool            `json:"withdrawn,omitempty"`
	Withdrawing  bool            `json:"withdrawing,omitempty"`
	Statement    *signing.ID     `json:"statement,omitempty"`
	Previous     *signing.ID     `json:"previous,omitempty"`
	Head         *signing.ID     `json:"head,omitempty"`
	Index        *int64          `json:"index,omitempty"`
	Rule         string          `json:"rule,omitempty"`
	Thing        string          `json:"thing,omitempty"`
	Why          string          `json:"why,omitempty"`
	What         string          `json:"what,omitempty"`
	Max          int64           `json:"max,omitempty"`
	Got          string          `json:"received,omitempty"`
	Want         string          `json:"wanted,omitempty"`
}

func (d *document) noteRef(r feed.Ref) { d.Kind, d.Name, d.Version = r.Kind, r.Name, r.Version }

func (d *document) ref() (feed.Ref, bool) {
	r := feed.Ref{Kind: d.Kind, Name: d.Name, Version: d.Version}
	return r, r.Check() == nil
}

func optional(d storage.Digest) *storage.Digest {
	if d.IsZero() {
		return nil
	}
	return &d
}

func value(d *storage.Digest) (out storage.Digest) {
	if d != nil {
		out = *d
	}
	return out
}

// describe finds the row of an error and writes its document.
func describe(err error, request string) (*rule, document) {
	for i := range rules {
		r := &rules[i]
		var d document
		if !r.match(err, &d) {
			continue
		}
		d.Type, d.Title, d.Status, d.Instance = problemPrefix+r.name, r.title, r.status, request
		if d.Detail = detail(err); r.mute {
			d.Detail = ""
		}
		return r, d
	}
	panic("feedhttp: the last row of the table matches everything")
}

// detail is what a client may read of an error: not where a policy lies.
func detail(err error) string {
	text := err.Error()
	if e, ok := errors.AsType[*trust.DeniedError](err); ok && e.File != "" {
		text = strings.ReplaceAll(text, e.File, "the policy")
	}
	return clean(text)
}

// ProblemError is a refusal as a client sees it. It unwraps to the error that
// the server's side returned, where the document tells it.
type ProblemError struct {
	Status  int
	Name    string // of the problem, "" where the answer was no problem document
	Detail  string
	Request string        // the id under which the server logged it
	After   time.Duration // what Retry-After said
	cause   error
	again   bool
}

func (e *ProblemError) Error() string {
	text := e.Detail
	if text == "" && e.cause != nil {
		text = e.cause.Error()
	}
	if text == "" {
		text = fmt.Sprintf("the server answered %d %s", e.Status, http.StatusText(e.Status))
	}
	if e.Request != "" && e.Status >= http.StatusInternalServerError {
		text += " (request " + e.Request + ")"
	}
	return text
}

// Unwrap returns what errors.Is and errors.As look at.
func (e *ProblemError) Unwrap() error { return e.cause }

// ErrTLS reports a server that speaks TLS and was asked without. How Go's, nginx and
// Apache tell who does that differs, but for the status and a word in the text.
var ErrTLS = errors.New("the server speaks TLS there, and was asked in plain HTTP")

// parseProblem reads the body of a refusal. Anything that is no problem
// document of ours still gives a ProblemError, by its status alone.
func parseProblem(status int, mediaType string, body []byte) *ProblemError {
	e := &ProblemError{Status: status, again: mayPass(status)}
	var d document
	if !strings.HasPrefix(mediaType, problemMediaType) || len(body) > maxDocument || json.Unmarshal(body, &d) != nil || d.checkTexts() != nil {
		e.Detail = fmt.Sprintf("the answer was %d %s, and not from an Airlock server", status, http.StatusText(status))
		switch {
		case status == http.StatusNotFound:
			e.cause = byName("not-found").restore(&d)
		case status == http.StatusBadRequest && bytes.Contains(body, []byte("HTTPS")):
			e.cause, e.Detail = ErrTLS, ErrTLS.Error()
		}
		return e
	}
	e.Name, e.Detail, e.Request = strings.TrimPrefix(d.Type, problemPrefix), clean(d.Detail), clean(d.Instance)
	if r := byName(e.Name); r != nil && r.status == status {
		e.cause, e.again = r.restore(&d), r.again
	}
	return e
}

// mayPass reports whether asking again may help, for answers that are not ours:
// those of gateways before the server.
func mayPass(status int) bool {
	switch status {
	case http.StatusTooManyRequests, http.StatusInternalServerError, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return true
	}
	return false
}

func byName(name string) *rule {
	for i := range rules {
		if rules[i].name == name {
			return &rules[i]
		}
	}
	return nil
}

var errDocument = errors.New("problem document: a text is too long or not printable")

// checkTexts holds that what gets into our own errors can be shown.
func (d *document) checkTexts() error {
	for _, s := range []string{d.Type, d.Rule, d.Thing, d.Why, d.What, d.Got, d.Want} {
		if clean(s) != s {
			return errDocument
		}
	}
	return nil
}

// clean makes a text of another's fit to be shown on a terminal.
func clean(s string) string {
	return signing.Printable(s, maxText)
}

func checkRefs(refs []storage.Ref) error {
	if len(refs) > maxMissing {
		return &LimitError{"list of objects", maxMissing}
	}
	for _, r := range refs {
		if r.Digest.IsZero() || r.Size < 0 || r.Size > feed.MaxPayload {
			return badRequest("object %s of %d bytes cannot be", r.Digest, r.Size)
		}
	}
	return nil
}
