package peers

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"
)

// generate drives the load where wrk is not installed: each connection sends
// a request and reads the answer, over and over, until d is over.
func (l Load) generate(ctx context.Context, d time.Duration) (int64, error) {
	target, err := url.Parse(l.URL)
	if err != nil {
		return 0, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, l.URL, nil)
	if err != nil {
		return 0, err
	}
	req.Header = l.Header
	var raw bytes.Buffer
	if err := req.Write(&raw); err != nil {
		return 0, err
	}
	var total atomic.Int64
	until := time.Now().Add(d)
	group, ctx := errgroup.WithContext(ctx)
	for range l.Connections {
		group.Go(func() error {
			n, err := l.repeat(ctx, target.Host, raw.Bytes(), until)
			total.Add(n)
			return err
		})
	}
	err = group.Wait()
	return total.Load(), err
}

// repeat is the life of one connection.
func (l Load) repeat(ctx context.Context, host string, request []byte, until time.Time) (n int64, err error) {
	dialer := net.Dialer{Timeout: 5 * time.Second}
	conn, err := dialer.DialContext(ctx, "tcp", host)
	if err != nil {
		return 0, err
	}
	defer conn.Close()
	if err := conn.SetDeadline(until.Add(10 * time.Second)); err != nil {
		return 0, err
	}
	in := bufio.NewReader(conn)
	for ; time.Now().Before(until) && ctx.Err() == nil; n++ {
		if _, err := conn.Write(request); err != nil {
			return n, err
		}
		resp, err := http.ReadResponse(in, nil)
		if err != nil {
			return n, err
		}
		_, err = io.Copy(io.Discard, resp.Body)
		resp.Body.Close()
		if err != nil {
			return n, err
		}
		if resp.StatusCode != l.Status {
			return n, fmt.Errorf("%s, not %d", resp.Status, l.Status)
		}
	}
	return n, ctx.Err()
}
