package feedhttp_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"

	"airlock/feed"
	"airlock/feed/feedhttp"
	"airlock/feed/feedtest"
	"airlock/storage"
)

// TestObjectRanges asks for ranges of an object of ten bytes, from memory and
// as a stream.
func TestObjectRanges(t *testing.T) {
	const content = "0123456789"
	b := newBackend(t)
	id := feedtest.NewAuthor(t, "acme/dev-qa/shared").ID
	tag := `"` + b.put(t, id, []byte(content)).Hex() + `"`
	h := handler(t, b, nil)
	for _, c := range []struct {
		name   string
		header []string
		status int
		body   string
		ranged string // Content-Range
	}{
		{"none", nil, 200, content, ""},
		{"a few", []string{"Range: bytes=2-4"}, 206, "234", "bytes 2-4/10"},
		{"one", []string{"Range: bytes=0-0"}, 206, "0", "bytes 0-0/10"},
		{"to the end", []string{"Range: bytes=7-"}, 206, "789", "bytes 7-9/10"},
		{"beyond the end", []string{"Range: bytes=7-99"}, 206, "789", "bytes 7-9/10"},
		{"the last", []string{"Range: bytes=-3"}, 206, "789", "bytes 7-9/10"},
		{"more than all from behind", []string{"Range: bytes=-99"}, 206, content, "bytes 0-9/10"},
		{"all", []string{"Range: bytes=0-"}, 206, content, "bytes 0-9/10"},
		{"at the end", []string{"Range: bytes=10-"}, 416, "", "bytes */10"},
		{"behind the end", []string{"Range: bytes=99-"}, 416, "", "bytes */10"},
		{"the last none", []string{"Range: bytes=-0"}, 416, "", "bytes */10"},
		{"several are ignored", []string{"Range: bytes=0-1,3-4"}, 200, content, ""},
		{"another unit is ignored", []string{"Range: lines=0-1"}, 200, content, ""},
		{"backwards is ignored", []string{"Range: bytes=4-2"}, 200, content, ""},
		{"a sign is ignored", []string{"Range: bytes=+4-"}, 200, content, ""},
		{"a huge number is ignored", []string{"Range: bytes=99999999999999999999-"}, 200, content, ""},
		{"If-Range with the tag", []string{"Range: bytes=7-", "If-Range: " + tag}, 206, "789", "bytes 7-9/10"},
		{"If-Range with another", []string{"Range: bytes=7-", `If-Range: "x"`}, 200, content, ""},
		{"If-Range with a date", []string{"Range: bytes=7-", "If-Range: Sat, 29 Oct 1994 19:43:31 GMT"}, 200, content, ""},
		{"If-Match with the tag", []string{"If-Match: " + tag}, 200, content, ""},
		{"If-Match with another", []string{`If-Match: "x"`}, 412, "", ""},
		{"If-None-Match", []string{"If-None-Match: " + tag}, 304, "", ""},
		{"If-None-Match, made weak", []string{`If-None-Match: "x", W/` + tag}, 304, "", ""},
		{"If-None-Match with any", []string{"If-None-Match: *"}, 304, "", ""},
		{"If-None-Match with another", []string{`If-None-Match: "x"`}, 200, content, ""},
	} {
		for _, inMemory := range []bool{true, false} {
			b.inMemory = inMemory
			w := ask(h, "GET", shared+"/object/"+strings.Trim(tag, `"`), "", c.header...)
			if w.Code != c.status || c.status < 400 && w.Body.String() != c.body || w.Header().Get("Content-Range") != c.ranged {
				t.Errorf("%s (in memory: %v): %d %q %q, want %d %q %q", c.name, inMemory,
					w.Code, w.Body, w.Header().Get("Content-Range"), c.status, c.body, c.ranged)
			}
			if w.Code < 400 && w.Header().Get("Etag") != tag {
				t.Errorf("%s: ETag %q", c.name, w.Header().Get("Etag"))
			}
		}
	}
	w := ask(h, "GET", shared+"/object/"+strings.Trim(tag, `"`), "")
	// SHA-256 of "0123456789", RFC 9530.
	if got := w.Header().Get("Repr-Digest"); got != "sha-256=:hNiYd/DUBB77a/kaFvAkjy/Vc+avBcGflr7bn4gveII=:" {
		t.Errorf("Repr-Digest %q", got)
	}
}

// shortBackend has objects that end before their size.
type shortBackend struct{ *backend }

type endless struct{ io.Reader }

func (endless) Close() error { return nil }

func (b shortBackend) Object(_ context.Context, _ feedhttp.Caller, _ feed.ID, _ storage.Digest, _ feedhttp.Of, _ int64) (feedhttp.Object, error) {
	return feedhttp.Object{ReadCloser: endless{strings.NewReader("half")}, Size: 8}, nil
}

// TestDamagedObject holds that a client does not take a part for the whole
// when the store fails half way.
func TestDamagedObject(t *testing.T) {
	b := newBackend(t)
	base := serve(t, handler(t, b, func(c *feedhttp.Config) { c.Reader = shortBackend{b} }))
	r, err := http.Get(base.String() + shared + "/object/" + noObject)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	if got, err := io.ReadAll(r.Body); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("got %q, %v", got, err)
	}
}
