package soak

import (
	"context"
	"fmt"
	"net"
	"sync"
	"time"
)

// crowd connects to the servers and says nothing, or a byte a second.
func (s *soak) crowd(ctx context.Context) {
	var all sync.WaitGroup
	defer all.Wait()
	at := s.addresses(s.random("crowd"))
	for n := range s.silent + s.slow {
		random := s.random(fmt.Sprintf("crowd %d", n))
		all.Go(func() {
			within := int64(5 * time.Second)
			for sleep(ctx, time.Duration(random.Int64N(within))) {
				s.linger(ctx, at[n%len(at)].Host, n < s.slow)
				within = int64(40 * time.Second) // servers close it after 10 s
			}
		})
	}
}

// linger holds a connection until it is closed at the other end, and, where it is
// slow, sends the head of a batch a byte a second.
func (s *soak) linger(ctx context.Context, address string, slow bool) {
	c, err := net.DialTimeout("tcp", address, time.Second)
	if err != nil {
		return // it is killed
	}
	defer c.Close()
	defer context.AfterFunc(ctx, func() { _ = c.Close() })()
	s.tally.add("connections that say little or nothing")
	if slow {
		go func() {
			head := fmt.Sprintf("POST /v1/feeds/acme/dev-qa/feed-0/entries HTTP/1.1\r\nHost: %s\r\nContent-Length: 1000000\r\n\r\n", address)
			for i := range head {
				if _, err := c.Write([]byte(head[i : i+1])); err != nil || !sleep(ctx, time.Second) {
					return
				}
			}
		}()
	}
	for answer := make([]byte, 64); err == nil; { // there are thousands of them
		_, err = c.Read(answer)
	}
}
