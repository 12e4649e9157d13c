package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"time"

	"golang.org/x/sync/errgroup"

	"airlock/feed"
	"airlock/feed/feedhttp"
	"airlock/internal/home"
)

// dialPause lets no more connect at a time than a server takes.
const dialPause = 200 * time.Microsecond

// waitersHelper is "waiters AIRLOCK DIR ADDR N TLS": an agent of each of the first N
// Spaces of a population waits for the same feed, with its token, or where TLS is true
// with its certificate. It prints when the last one was told, in nanoseconds of Unix
// time, each time that all were.
func waitersHelper(ctx context.Context, args []string, _ io.Writer) error {
	if len(args) != 5 {
		return errors.New("waiters: want AIRLOCK DIR ADDR N TLS")
	}
	n, err := strconv.Atoi(args[3])
	if err != nil {
		return err
	}
	p, err := openPopulation(args[0], args[1])
	if err == nil && args[4] == "true" {
		err = p.speakTLS()
	}
	if err != nil {
		return err
	}
	told, again, failed := make(chan time.Time, n), make(chan struct{}, n), make(chan error, n)
	for i := range min(n, len(p.tokens)) {
		go func() { failed <- p.wait(ctx, i, args[2], told, again) }()
		pause(ctx, dialPause)
	}
	for {
		var last time.Time
		for range n {
			select {
			case at := <-told:
				if at.After(last) {
					last = at
				}
			case err := <-failed:
				return err
			}
		}
		fmt.Println(last.UnixNano())
		for range n {
			again <- struct{}{}
		}
	}
}

// wait waits for news of the first Space's first feed with the token of a Space, and
// says when it came; then it is let wait again.
func (p *population) wait(ctx context.Context, i int, addr string, told chan<- time.Time, again <-chan struct{}) error {
	client, err := p.waiter(i, addr)
	if err != nil {
		return err
	}
	id := feed.ID{Space: populated(0), Name: populationFeeds[0]}
	for known := int64(0); ; {
		heads, err := client.Heads(ctx, map[feed.ID]int64{id: known}, time.Minute)
		if err != nil || ctx.Err() != nil {
			return errors.Join(err, ctx.Err())
		}
		head, ok := heads[id]
		if ok && known > 0 {
			told <- time.Now()
			<-again
		}
		if ok {
			known = head.Size
		}
	}
}

// waiter returns a client with a connection of its own.
func (p *population) waiter(i int, addr string) (*feedhttp.Client, error) {
	var own *tls.Certificate
	if !p.pin.IsZero() {
		h, err := home.Open(p.home(i))
		if err != nil {
			return nil, err
		}
		if own, err = h.Certificate(); err != nil {
			return nil, err
		}
	}
	return p.client(addr, func(c *feedhttp.ClientConfig) {
		// As the client's own, but with small buffers: there are thousands.
		c.HTTP = &http.Client{Transport: &http.Transport{ForceAttemptHTTP2: true}}
		if c.Token = p.tokens[i]; own != nil {
			c.Token, c.Certificate = "", func() (*tls.Certificate, error) { return own, nil }
		}
	})
}

// idleHelper is "idle AIRLOCK DIR ADDR N DURATION": an agent of each of the first N
// Spaces of a population waits for the feeds of another Space, so long at a time,
// until it is killed.
func idleHelper(ctx context.Context, args []string, _ io.Writer) error {
	if len(args) != 5 {
		return errors.New("idle: want AIRLOCK DIR ADDR N DURATION")
	}
	n, err := strconv.Atoi(args[3])
	if err != nil {
		return err
	}
	d, err := time.ParseDuration(args[4])
	if err != nil {
		return err
	}
	p, err := openPopulation(args[0], args[1])
	if err != nil {
		return err
	}
	group, ctx := errgroup.WithContext(ctx)
	for i := range min(n, len(p.tokens)) {
		group.Go(func() error { return p.idle(ctx, i, args[2], d) })
		pause(ctx, dialPause)
	}
	return group.Wait()
}

// idle waits for news again and again.
func (p *population) idle(ctx context.Context, i int, addr string, d time.Duration) error {
	client, err := p.waiter(i, addr)
	if err != nil {
		return err
	}
	for known := p.unknown(i); ; {
		heads, err := client.Heads(ctx, known, d)
		if err != nil || ctx.Err() != nil {
			return errors.Join(err, ctx.Err())
		}
		for id, head := range heads {
			known[id] = head.Size
		}
	}
}
