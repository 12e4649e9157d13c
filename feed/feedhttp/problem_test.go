package feedhttp_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"airlock/feed"
	"airlock/feed/feedhttp"
	"airlock/feed/feedtest"
	"airlock/signing"
	"airlock/storage"
	"airlock/trust"
)

// TestErrorsCross lets the backend fail in every way of the table and looks at
// what the client's side makes of it: the same error, with the same facts.
func TestErrorsCross(t *testing.T) {
	ref := feed.Ref{Kind: "file", Name: "db", Version: "1.4"}
	one, two := storage.Digest{1}, storage.Digest{2}
	id, previous := signing.ID{3}, signing.ID{4}
	for _, c := range []struct {
		err    error
		status int
	}{
		{&feed.VersionError{Ref: ref, Have: one, Got: two, Index: 7}, 409},
		{&feed.VersionError{Ref: ref, Got: two, Withdrawing: true}, 409},
		{&feed.VersionError{Ref: ref, Have: one, Got: two, Index: 7, Withdrawn: true}, 409},
		{&feed.ChainError{Ref: ref, Previous: &previous, Head: &id, HeadIndex: 0}, 412},
		{&feed.ChainError{Ref: ref, Previous: &previous}, 412},
		{&feed.RepeatedError{ID: id, Index: 9}, 409},
		{&feed.MissingError{Objects: []storage.Ref{{Digest: one, Size: 5}, {Digest: two, Size: 0}}}, 422},
		{&feedhttp.OffsetError{Want: 17}, 409},
		{&feedhttp.ConflictError{Why: "the feed is at epoch 2"}, 409},
		{&feedhttp.RequestError{Why: "no"}, 400},
		{&feedhttp.LimitError{What: "batch", Max: 10}, 413},
		{&trust.DeniedError{Reason: trust.BadSignature, Rule: "signature", Thing: "statement 1", Why: "not signed by the leaf"}, 422},
		{&trust.DeniedError{Reason: trust.Malformed, Rule: "form", Thing: "statement 1", Why: "no predicate"}, 422},
		{&trust.DeniedError{Reason: trust.Unapproved, Rule: "approvals", Thing: "file/db@1.4", Why: "1 of 2"}, 403},
		{&trust.DeniedError{Reason: trust.Untrusted, Rule: "role", Thing: "file/db@1.4", Why: "is no publisher"}, 403},
		{signing.ErrBadSignature, 422},
		{&storage.DigestError{Want: one, Got: two}, 422},
		{&storage.SizeError{Digest: one, Want: 5, Got: 4}, 422},
		{feedhttp.ErrUnauthorized, 401},
		{feedhttp.ErrForeignLog, 403},
		{feedhttp.ErrWentBack, 500},
		{feedhttp.ErrPrecondition, 412},
		{feedhttp.ErrSlow, 408},
		{feedhttp.ErrBusy, 503},
		{storage.ErrAway, 503},
		{feedhttp.ErrClosing, 503},
		{storage.ErrNoSpace, 507},
		{storage.ErrUnclear, 503},
		{storage.ErrRange, 416},
		{fs.ErrNotExist, 404},
		{context.DeadlineExceeded, 504},
	} {
		t.Run(fmt.Sprintf("%T %v", c.err, c.err), func(t *testing.T) {
			b := newBackend(t)
			a := feedtest.NewAuthor(t, "acme/dev-qa/shared")
			b.refuse = func(string) error { return fmt.Errorf("feed %s: %w", a.ID, c.err) }
			publisher := client(t, serve(t, handler(t, b, nil)), func(c *feedhttp.ClientConfig) { c.Retry.Attempts = 1 })
			_, err := publisher.Publish(t.Context(), batchOf(a, a.Opening()...))
			problem, ok := errors.AsType[*feedhttp.ProblemError](err)
			if !ok || problem.Status != c.status {
				t.Fatalf("got %#v, want status %d", err, c.status)
			}
			got := errors.Unwrap(problem)
			switch c.err.(type) {
			case *feedhttp.ConflictError, *feedhttp.RequestError:
				// All that they hold is the text, which has grown on the way.
				if fmt.Sprintf("%T", got) != fmt.Sprintf("%T", c.err) {
					t.Errorf("got %#v, want %#v", got, c.err)
				}
			default:
				if got != c.err && !cmp.Equal(got, c.err) {
					t.Errorf("got %#v, want %#v", got, c.err)
				}
			}
			// Of a store that fails it is not told where it lies.
			mute := c.err == storage.ErrAway || c.err == storage.ErrUnclear
			if whole := strings.Contains(err.Error(), "feed acme/dev-qa/shared: "+c.err.Error()); whole == mute || !strings.Contains(err.Error(), c.err.Error()) {
				t.Errorf("the message lost something, or says too much: %q", err)
			}
		})
	}
}

// TestInternal holds that what nobody foresaw stays in the server's log.
func TestInternal(t *testing.T) {
	b := newBackend(t)
	b.refuse = func(string) error { return errors.New("dial 10.0.0.7: password hunter2 refused") }
	w := ask(handler(t, b, nil), "GET", shared+"/checkpoint", "")
	if w.Code != http.StatusInternalServerError || problemOf(w) != "internal" || strings.Contains(w.Body.String(), "hunter2") {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	b.refuse = func(string) error { panic("hunter2") }
	w = ask(handler(t, b, nil), "GET", shared+"/checkpoint", "")
	if w.Code != http.StatusInternalServerError || problemOf(w) != "internal" || strings.Contains(w.Body.String(), "hunter2") {
		t.Errorf("after a panic: %d %s", w.Code, w.Body)
	}
	b.refuse = func(string) error {
		return &trust.DeniedError{Reason: trust.Untrusted, Rule: "allow", File: "/etc/airlock/policy.yaml", Thing: "x", Why: "y"}
	}
	// Rule and thing are for the client, the place of the policy is not.
	if w := ask(handler(t, b, nil), "GET", shared+"/checkpoint", ""); w.Code != 403 || strings.Contains(w.Body.String(), "policy.yaml") {
		t.Errorf("%d %s", w.Code, w.Body)
	}
}

// TestDamagedStore holds that bytes of the store which are not what they should
// be are the server's failure, and no answer to what a client sent.
func TestDamagedStore(t *testing.T) {
	b := newBackend(t)
	for _, err := range []error{&storage.DigestError{}, &storage.SizeError{}, io.ErrUnexpectedEOF} {
		b.refuse = func(string) error { return err }
		for _, path := range []string{"/object/" + noObject, "/segment/000", "/tile/0/000", "/checkpoint"} {
			if w := ask(handler(t, b, nil), "GET", shared+path, ""); w.Code != 500 || problemOf(w) != "internal" {
				t.Errorf("%s, %T: %d %s", path, err, w.Code, w.Body)
			}
		}
	}
}

// TestForeignAnswers gives a client what is no answer of ours.
func TestForeignAnswers(t *testing.T) {
	for _, c := range []struct {
		name, mediaType, body string
		status                int
		want                  error
	}{
		{"a page that is not there", "text/html", "<h1>not found</h1>", 404, fs.ErrNotExist},
		{"no JSON", "application/problem+json", "{", 409, nil},
		{"a gateway", "text/html", "\x1b[31m", 502, nil},
		{"a status that is not the row's", "application/problem+json", `{"type":"https://airlock.example/problems/not-found","status":403}`, 403, nil},
		{"a type without its facts", "application/problem+json", `{"type":"https://airlock.example/problems/version-taken"}`, 409, nil},
		{"a name that cannot be", "application/problem+json", `{"type":"https://airlock.example/problems/version-taken","kind":"../x","name":"y","version":"1","index":3}`, 409, nil},
		{"a type from elsewhere", "application/problem+json", `{"type":"about:blank","detail":"sorry \u001b[31m"}`, 418, nil},
		{"text that moves the cursor", "application/problem+json", `{"type":"https://airlock.example/problems/untrusted","why":"\u001b[2J"}`, 403, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			base := serve(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Type", c.mediaType)
				w.WriteHeader(c.status)
				fmt.Fprint(w, c.body)
			}))
			_, err := client(t, base, nil).Checkpoint(t.Context(), feedtest.NewAuthor(t, "acme/dev-qa/shared").ID)
			problem, ok := errors.AsType[*feedhttp.ProblemError](err)
			if !ok || problem.Status != c.status || errors.Unwrap(problem) != c.want {
				t.Errorf("got %#v, %v", err, err)
			}
			if strings.ContainsRune(err.Error(), 0x1b) {
				t.Errorf("the message moves the cursor: %q", err)
			}
		})
	}
}
