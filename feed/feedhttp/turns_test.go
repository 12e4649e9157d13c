package feedhttp_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"testing"
	"time"

	"airlock/feed/feedhttp"
	"airlock/storage"
)

// TestUploadTakenOver comes back to an upload whose first connection hangs:
// the server ends that one and keeps what it brought.
func TestUploadTakenOver(t *testing.T) {
	onPipes(t, feedhttp.Limits{Grace: time.Hour}, func(t *testing.T, b *backend, dial func() net.Conn) {
		data := random(1000)
		d := storage.DigestOf(data)
		b.expected[d] = int64(len(data))
		path := shared + "/uploads/" + d.Hex()
		patch := func(conn net.Conn, off int, part []byte) {
			fmt.Fprintf(conn, "PATCH %s HTTP/1.1\r\nHost: x\r\nContent-Type: application/partial-upload\r\nUpload-Offset: %d\r\nUpload-Length: %d\r\nContent-Length: %d\r\n\r\n",
				path, off, len(data), len(data)-off)
			conn.Write(part)
		}
		first, start := dial(), time.Now()
		patch(first, 0, data[:400])
		go io.Copy(io.Discard, first)

		second := dial()
		answers := bufio.NewReader(second)
		ask := func(send func()) *http.Response {
			go send()
			r, err := http.ReadResponse(answers, &http.Request{Method: "HEAD"})
			if err != nil {
				t.Fatal(err)
			}
			return r
		}
		r := ask(func() { fmt.Fprintf(second, "HEAD %s HTTP/1.1\r\nHost: x\r\n\r\n", path) })
		if at := r.Header.Get("Upload-Offset"); r.StatusCode != http.StatusNoContent || at != "400" || time.Since(start) > time.Minute {
			t.Fatalf("%d at %q after %s", r.StatusCode, at, time.Since(start))
		}
		r = ask(func() { patch(second, 300, data[300:]) })
		if at := r.Header.Get("Upload-Offset"); r.StatusCode != http.StatusConflict || at != "400" {
			t.Fatalf("bytes that arrived already: %d at %q", r.StatusCode, at)
		}
		second.Close()
		third := dial()
		answers = bufio.NewReader(third)
		if r := ask(func() { patch(third, 400, data[400:]) }); r.StatusCode != http.StatusCreated || r.Header.Get("Upload-Offset") != "1000" {
			t.Errorf("%d at %q", r.StatusCode, r.Header.Get("Upload-Offset"))
		}
		third.Close()
		first.Close()
	})
}
