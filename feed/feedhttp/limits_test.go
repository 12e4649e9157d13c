package feedhttp_test

import (
	"net/http"
	"reflect"
	"strings"
	"testing"

	"airlock/feed/feedhttp"
)

// TestDefaultLimits holds that each limit has a default and is explained.
func TestDefaultLimits(t *testing.T) {
	v := reflect.ValueOf(feedhttp.DefaultLimits())
	for i := range v.NumField() {
		if f := v.Type().Field(i); v.Field(i).IsZero() || f.Tag.Get("about") == "" {
			t.Errorf("%s: default %v, about %q", f.Name, v.Field(i), f.Tag.Get("about"))
		}
	}
}

// TestSetLimits holds that a handler goes by other limits at once, and by the
// default ones where they say nothing.
func TestSetLimits(t *testing.T) {
	h := handler(t, newBackend(t), nil)
	post := func(path, body string) int {
		return ask(h, "POST", path, body, "Content-Type: application/json").Code
	}
	heads := `{"known":{"acme/dev-qa/other":0,"acme/dev-qa/shared":0},"wait":1}`
	for name, c := range map[string]struct {
		limits feedhttp.Limits
		ask    func() int
		want   int
	}{
		"URL":     {feedhttp.Limits{URLBytes: 100}, func() int { return ask(h, "GET", "/v1/?"+strings.Repeat("x", 200), "").Code }, http.StatusRequestEntityTooLarge},
		"waiters": {feedhttp.Limits{Waited: 1}, func() int { return post("/v1/heads", heads) }, http.StatusServiceUnavailable},
		"batch": {feedhttp.Limits{BatchBytes: 10}, func() int {
			return ask(h, "POST", shared+"/entries", strings.Repeat("x", 200), "Content-Type: "+feedhttp.BatchMediaType).Code
		}, http.StatusRequestEntityTooLarge},
	} {
		t.Run(name, func(t *testing.T) {
			if got := c.ask(); got == c.want {
				t.Errorf("%d with the default limits", got)
			}
			h.SetLimits(c.limits)
			if got := c.ask(); got != c.want {
				t.Errorf("%d with %+v, want %d", got, c.limits, c.want)
			}
			h.SetLimits(feedhttp.Limits{})
			if got := c.ask(); got == c.want {
				t.Errorf("%d with the default limits again", got)
			}
		})
	}
}
