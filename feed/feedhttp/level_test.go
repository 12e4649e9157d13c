package feedhttp_test

import (
	"bytes"
	"errors"
	"log/slog"
	"strings"
	"testing"

	"airlock/feed/feedhttp"
	"airlock/storage"
)

// TestFailureLevels: a refusal with a server's status is no failure of the server
// where it is one of the client's, or of too much at once.
func TestFailureLevels(t *testing.T) {
	for _, c := range []struct {
		err   error
		level string
	}{
		{&feedhttp.QuotaError{Space: "acme/dev-qa", What: "bytes", Max: 1, Want: 2}, "INFO"},
		{feedhttp.ErrClosing, "INFO"},
		{feedhttp.ErrBusy, "WARN"},
		{&feedhttp.ShareError{What: "batches"}, "DEBUG"},
		{storage.ErrAway, "ERROR"},
		{storage.ErrNoSpace, "ERROR"},
		{errors.New("disk on fire"), "ERROR"},
	} {
		var log bytes.Buffer
		b := newBackend(t)
		b.refuse = func(string) error { return c.err }
		h := handler(t, b, func(config *feedhttp.Config) {
			config.Logger = slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))
		})
		ask(h, "GET", "/v1/feeds/acme/dev-qa/shared/checkpoint", "")
		if !strings.Contains(log.String(), "level="+c.level+` msg="request failed"`) {
			t.Errorf("%v: want level %s: %s", c.err, c.level, log.String())
		}
	}
}
