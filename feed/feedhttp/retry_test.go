package feedhttp

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"airlock/storage"
)

// TestRetryAway: who asked servers whose store hangs for a while is told, and not
// after all attempts.
func TestRetryAway(t *testing.T) {
	for _, c := range []struct {
		cause error
		most  time.Duration
		asked int
	}{
		{storage.ErrAway, 25 * time.Second, 2}, // the second begins in time
		{ErrBusy, 2 * time.Minute, 6},
	} {
		synctest.Test(t, func(t *testing.T) {
			begun, asked := time.Now(), 0
			err := Retry{}.withDefaults().do(t.Context(), 0, func() error {
				asked++
				time.Sleep(10 * time.Second)
				return &ProblemError{again: true, cause: c.cause}
			})
			if took := time.Since(begun); !errors.Is(err, c.cause) || took > c.most || asked != c.asked {
				t.Errorf("%v: asked %d times in %s: %v", c.cause, asked, took, err)
			}
		})
	}
}
