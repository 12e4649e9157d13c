package main

import (
	"fmt"
	"strings"
	"testing"

	"airlock/storage"
)

// What several layers say is said once.
func TestOneLine(t *testing.T) {
	for text, want := range map[string]string{
		"feed a/b/c: 127.0.0.1:9: feed a/b/c: went back":                                       "feed a/b/c: 127.0.0.1:9: went back",
		"host:9: Get \"http://host:9/v1/feeds\": dial tcp host:9: connect: connection refused": "host:9: dial tcp host:9: connect: connection refused",
		"f.yaml:3:1: a: want x\nf.yaml:4:1: a: want x":                                         "f.yaml:3:1: a: want x; f.yaml:4:1: a: want x",
		"went back: size 5: size 4":                                                            "went back: size 5: size 4",
	} {
		if got := oneLine(text); got != want || strings.Contains(got, "\n") {
			t.Errorf("%q: got %q, want %q", text, got, want)
		}
	}
}

// Of what can be wrong with a large payload, only bytes that are not what they
// should be are damage.
func TestLargePayloadOutcomes(t *testing.T) {
	for text, c := range map[string]struct {
		err  error
		code int
	}{
		"damaged frame": {fmt.Errorf("chunk 5: %w: cut off", storage.ErrFrame), exitBadSignature},
		"another index": {fmt.Errorf("object: %w: %w", storage.ErrFrame, &storage.FormatError{Where: "chunk index"}), exitFailed},
		"another base":  {fmt.Errorf("delta: operation 5: %w", storage.ErrBase), exitNoBase},
	} {
		if code, hint := outcomeOf(c.err); code != c.code || hint == "" {
			t.Errorf("%s: exit code %d, want %d, hint %q", text, code, c.code, hint)
		}
	}
}
