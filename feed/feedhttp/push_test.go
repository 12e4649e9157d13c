package feedhttp_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"airlock/feed"
	"airlock/feed/feedhttp"
	"airlock/feed/feedtest"
	"airlock/storage"
	"airlock/trust"
)

// fakeInbox takes what it is told to.
type fakeInbox struct {
	got   string
	asked feedhttp.PushReceipts
	taken feedhttp.PushAnswer
	err   error
}

func (f *fakeInbox) Take(_ context.Context, c feedhttp.Caller, r io.Reader, asked feedhttp.PushReceipts) (feedhttp.PushAnswer, error) {
	b, err := io.ReadAll(r)
	f.asked = asked
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

// A stream of any length comes whole, and the answer says what became of it, with as
// many bytes of receipts as may be.
func TestPush(t *testing.T) {
	in := &fakeInbox{taken: feedhttp.PushAnswer{Taken: feedhttp.Taken{Epoch: 1, Root: storage.DigestOf(nil), Size: 12}}}
	c := inboxClient(t, in)
	for _, body := range []string{"", "stream", strings.Repeat("long ", 1<<20)} {
		in.taken.Receipts = bytes.Repeat([]byte{1}, min(len(body), feedhttp.MaxPushReceipts))
		got, err := c.Push(t.Context(), streamOf(body), feedhttp.PushReceipts{Wait: time.Duration(len(body)) * time.Second, Known: 7})
		if err != nil || got.Taken != in.taken.Taken || !bytes.Equal(got.Receipts, in.taken.Receipts) || in.got != body || in.asked.Wait != min(time.Duration(len(body))*time.Second, time.Minute) {
			t.Errorf("%+v, %v; %d bytes came of %d, asked for %+v", got.Taken, err, len(in.got), len(body), in.asked)
		}
	}
	in.taken.Receipts, in.taken.Behind = nil, &feedhttp.Taken{Epoch: 1, Size: 5}
	got, err := c.Push(t.Context(), streamOf(""), feedhttp.PushReceipts{Wait: time.Second, Known: 7})
	if err != nil || in.asked != (feedhttp.PushReceipts{Wait: time.Second, Known: 7}) || got.Behind == nil || *got.Behind != *in.taken.Behind {
		t.Errorf("%+v, %v; asked for %+v", got, err, in.asked)
	}
	in.taken.Behind.Size = -1
	if _, err := c.Push(t.Context(), streamOf(""), feedhttp.PushReceipts{}); err == nil {
		t.Error("an inbox that has fewer entries than none")
	}
	in.taken.Receipts = make([]byte, 2*feedhttp.MaxPushReceipts)
	if _, err := c.Push(t.Context(), streamOf(""), feedhttp.PushReceipts{}); err == nil {
		t.Error("an answer of any length is read")
	}
	in.err = &trust.DeniedError{Reason: trust.Untrusted, Rule: "operator", Thing: "stream", Why: "is of nobody"}
	_, err = c.Push(t.Context(), streamOf("stream"), feedhttp.PushReceipts{})
	if denied, ok := errors.AsType[*trust.DeniedError](err); !ok || denied.Rule != "operator" {
		t.Errorf("refused: %v", err)
	}
	broken := errors.New("cannot be read any more")
	_, err = c.Push(t.Context(), func() (io.ReadCloser, error) {
		return io.NopCloser(io.MultiReader(strings.NewReader("begin"), iotest.ErrReader(broken))), nil
	}, feedhttp.PushReceipts{})
	if !errors.Is(err, broken) {
		t.Errorf("a stream that cannot be read: %v", err)
	}
}

// zeros have no end.
type zeros struct{}

func (zeros) Read(p []byte) (int, error) { return len(p), nil }

// hastyInbox answers when it has seen how a stream begins.
type hastyInbox struct{}

func (hastyInbox) Take(_ context.Context, _ feedhttp.Caller, r io.Reader, _ feedhttp.PushReceipts) (feedhttp.PushAnswer, error) {
	_, err := io.CopyN(io.Discard, r, 1000)
	return feedhttp.PushAnswer{Behind: &feedhttp.Taken{}}, err
}

// An answer arrives also where it comes before all of the stream is sent.
func TestPushAnsweredEarly(t *testing.T) {
	c := inboxClient(t, hastyInbox{})
	for range 30 {
		open := func() (io.ReadCloser, error) { return io.NopCloser(io.LimitReader(zeros{}, 1<<30)), nil }
		if got, err := c.Push(t.Context(), open, feedhttp.PushReceipts{}); err != nil || got.Behind == nil {
			t.Fatalf("%+v, %v", got, err)
		}
	}
}

// Who goes on sending, whatever the answer is, loses the connection.
func TestPushEndless(t *testing.T) {
	h, err := feedhttp.New(feedhttp.Config{Inbox: hastyInbox{}})
	if err != nil {
		t.Fatal(err)
	}
	defer h.Close()
	conn, err := net.Dial("tcp", serve(t, h).Host)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(30 * time.Second)); err != nil {
		t.Fatal(err)
	}
	head := "POST /v1/push HTTP/1.1\r\nHost: inbox\r\nExpect: 100-continue\r\nContent-Type: " + feedhttp.StreamMediaType + "\r\nContent-Length: 1000000000000\r\n\r\n"
	if _, err := io.Copy(conn, io.MultiReader(strings.NewReader(head), zeros{})); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("sent for 30 seconds: %v", err)
	}
}

func streamOf(body string) func() (io.ReadCloser, error) {
	return func() (io.ReadCloser, error) { return io.NopCloser(strings.NewReader(body)), nil }
}

// How long a client waits is one preference among others (RFC 7240).
func TestPushPreference(t *testing.T) {
	in := &fakeInbox{}
	h, err := feedhttp.New(feedhttp.Config{Inbox: in})
	if err != nil {
		t.Fatal(err)
	}
	defer h.Close()
	base := serve(t, h)
	type asked = feedhttp.PushReceipts
	for preference, want := range map[string]asked{
		"": {}, "wait=5": {Wait: 5 * time.Second}, "respond-async, wait=7": {Wait: 7 * time.Second}, "wait": {}, "wait=-1": {}, "wait=soon": {},
		"wait=5, wait=7": {Wait: 5 * time.Second}, "wait=soon, wait=7": {}, "wait=5, receipts-known=12, receipts-known=0": {5 * time.Second, 12},
		"wait=65535": {Wait: time.Minute}, "wait=99999999999999": {Wait: time.Minute}, "handling=lenient": {},
		"wait=5, receipts-known=12": {5 * time.Second, 12}, "receipts-known=-1,wait=5": {Wait: 5 * time.Second}, "receipts-known": {},
	} {
		r, err := http.NewRequest(http.MethodPost, base.String()+"/v1/push", strings.NewReader("x"))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Content-Type", feedhttp.StreamMediaType)
		r.Header.Set("Prefer", preference)
		got, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		got.Body.Close()
		if got.StatusCode != http.StatusOK || in.asked != want {
			t.Errorf("%q: %d, %+v, want %+v", preference, got.StatusCode, in.asked, want)
		}
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

// What is larger than somebody takes is not written.
func TestFormatBatchBounded(t *testing.T) {
	a := feedtest.NewAuthor(t, "acme/dev-qa/shared")
	b := feed.Batch{Feed: a.ID, Epoch: 1}
	for _, s := range a.Opening() {
		b.Statements = append(b.Statements, s.Attestation)
		for _, o := range s.Objects {
			b.Objects = append(b.Objects, feed.ContentOf(o))
		}
	}
	raw, err := feedhttp.FormatBatch(b, feedhttp.MaxBatch)
	if err != nil {
		t.Fatal(err)
	}
	got, err := feedhttp.ParseBatch(raw, a.ID)
	if err != nil || len(got.Statements) != len(b.Statements) || len(got.Objects) != len(b.Objects) {
		t.Errorf("%d statements and %d objects, %v", len(got.Statements), len(got.Objects), err)
	}
	if _, err := feedhttp.FormatBatch(b, int64(len(raw))-1); err == nil {
		t.Error("one byte too many is written")
	}
}
