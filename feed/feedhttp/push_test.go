package feedhttp_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/iotest"

	"airlock/feed/feedhttp"
	"airlock/storage"
	"airlock/trust"
)

// fakeInbox takes what it is told to.
type fakeInbox struct {
	got   string
	taken feedhttp.Taken
	err   error
}

func (f *fakeInbox) Take(_ context.Context, c feedhttp.Caller, r io.Reader) (feedhttp.Taken, error) {
	b, err := io.ReadAll(r)
	if f.got = string(b); err != nil || c.Role != feedhttp.Nobody {
		return f.taken, errors.Join(err, errors.New("who is it?"))
	}
	return f.taken, f.err
}

func inboxClient(t *testing.T, in feedhttp.Inbox) *feedhttp.Client {
	h, err := feedhttp.New(feedhttp.Config{Inbox: in})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { h.Close() })
	return client(t, serve(t, h), func(c *feedhttp.ClientConfig) { c.Retry = feedhttp.Retry{Attempts: 1} })
}

// A stream of any length comes whole, and the answer says what became of it.
func TestPush(t *testing.T) {
	in := &fakeInbox{taken: feedhttp.Taken{Epoch: 1, Root: storage.DigestOf(nil), Size: 12}}
	c := inboxClient(t, in)
	for _, body := range []string{"", "stream", strings.Repeat("long ", 1<<20)} {
		got, err := c.Push(t.Context(), func() (io.ReadCloser, error) { return io.NopCloser(strings.NewReader(body)), nil })
		if err != nil || got != in.taken || in.got != body {
			t.Errorf("%+v, %v; %d bytes came of %d", got, err, len(in.got), len(body))
		}
	}
	in.err = &trust.DeniedError{Reason: trust.Untrusted, Rule: "operator", Thing: "stream", Why: "is of nobody"}
	_, err := c.Push(t.Context(), func() (io.ReadCloser, error) { return io.NopCloser(strings.NewReader("stream")), nil })
	if denied, ok := errors.AsType[*trust.DeniedError](err); !ok || denied.Rule != "operator" {
		t.Errorf("refused: %v", err)
	}
	broken := errors.New("cannot be read any more")
	_, err = c.Push(t.Context(), func() (io.ReadCloser, error) {
		return io.NopCloser(io.MultiReader(strings.NewReader("begin"), iotest.ErrReader(broken))), nil
	})
	if !errors.Is(err, broken) {
		t.Errorf("a stream that cannot be read: %v", err)
	}
}

// An inbox serves nothing else, and a server has none.
func TestInboxAlone(t *testing.T) {
	h, err := feedhttp.New(feedhttp.Config{Inbox: &fakeInbox{}})
	if err != nil {
		t.Fatal(err)
	}
	defer h.Close()
	base := serve(t, h)
	for path, want := range map[string]int{"/v1/feeds": 404, "/v1/": 404, "/readyz": 404, "/metrics": 404, "/v1/feeds/acme/dev-qa/shared/checkpoint": 404, "/v1/push": 405, "/healthz": 200} {
		r, err := http.Get(base.String() + path)
		if err != nil {
			t.Fatal(err)
		}
		r.Body.Close()
		if r.StatusCode != want {
			t.Errorf("%s: %d, want %d", path, r.StatusCode, want)
		}
	}
	r, err := http.Post(base.String()+"/v1/push", "text/plain", strings.NewReader("x"))
	if err != nil {
		t.Fatal(err)
	}
	r.Body.Close()
	if r.StatusCode != http.StatusUnsupportedMediaType {
		t.Errorf("another media type: %d", r.StatusCode)
	}
	if _, err := feedhttp.New(feedhttp.Config{}); err == nil {
		t.Error("a handler with neither reader nor inbox was made")
	}
}
