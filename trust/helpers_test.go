package trust_test

import (
	"errors"
	"strings"
	"testing"

	"airlock/trust"
	"airlock/trust/trusttest"
)

const (
	testFeed  = "acme/dev-qa/shared"
	otherFeed = "acme/dev-qa/releases"
)

func newSpace(tb testing.TB) *trusttest.Space {
	tb.Helper()
	return trusttest.New(tb, "acme/dev-qa")
}

func entry(index int64) trust.Position {
	return trust.Position{Feed: testFeed, Epoch: 1, Index: index}
}

// must is for what a test makes itself.
func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// wantError fails the test unless err says want; "" stands for no error.
func wantError(tb testing.TB, err error, want string) {
	tb.Helper()
	if want == "" && err != nil {
		tb.Error(err)
	}
	if want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
		tb.Errorf("error %v, want %q", err, want)
	}
}

// wantDenied fails the test unless err is a refusal by that rule which matches
// reason; no rule stands for no error.
func wantDenied(tb testing.TB, err error, rule string, reason error) {
	tb.Helper()
	if rule == "" {
		if err != nil {
			tb.Error(err)
		}
		return
	}
	denied, ok := errors.AsType[*trust.DeniedError](err)
	if !ok || denied.Rule != rule || !errors.Is(err, reason) {
		tb.Errorf("error %v, want one by rule %s that matches %q", err, rule, reason)
	}
}
