package feedhttp

import (
	"fmt"
	"time"
)

// QuotaError reports something that is more than the operator grants a Space.
type QuotaError struct {
	Space string
	What  string // "bytes", "packages"
	Max   int64  // granted
	Want  int64  // what it would come to
}

func (e *QuotaError) Error() string {
	return fmt.Sprintf("%s would have %d %s, and its quota is %d", e.Space, e.Want, e.What, e.Max)
}

// RateError reports a caller that asks more often than the operator grants it.
type RateError struct {
	Max   int64         // requests a second
	After time.Duration // when asking again is granted
}

func (e *RateError) Error() string {
	return fmt.Sprintf("more than %d requests a second are not granted", e.Max)
}

func noteQuota(e *QuotaError, d *document) {
	d.Thing, d.What, d.Max, d.Index = clean(e.Space), e.What, e.Max, &e.Want
}

func restoreQuota(d *document) error {
	if d.Index == nil {
		return nil
	}
	return &QuotaError{Space: d.Thing, What: d.What, Max: d.Max, Want: *d.Index}
}
