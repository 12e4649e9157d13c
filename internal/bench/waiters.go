package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"airlock/feed"
	"airlock/feed/feedhttp"
)

// tellings is how often in a round those who wait are told.
const tellings = 10

// waiters is how soon those who wait are told.
type waiters struct{ acked, sent side }

// measureWaiters has one agent of each of many Spaces wait for the same feed.
func measureWaiters(ctx context.Context, b *bench) []row {
	rows := []row{{name: "waiters", title: fmt.Sprintf("%d agents wait on one server for a publication", b.waiters)}}
	p, err := b.population(ctx)
	if err != nil {
		return failed(rows, err)
	}
	const name = "airlock serve"
	w := waiters{side{name: name}, side{name: name}}
	for i := range min(b.rounds, longRounds) {
		b.say("waiters: round %d", i+1)
		if err := b.waitersRound(ctx, p, &w); err != nil {
			return failed(rows, err)
		}
	}
	rows[0].lines = []line{
		{what: "the last one is told, after the acknowledgement", unit: "ms", ours: w.acked, target: below(500)},
		{what: "the last one is told, after the publication was sent", unit: "ms", ours: w.sent},
		{what: "peak memory of the server", unit: "MiB", ours: side{name: name, values: w.acked.peak}, target: below(400)},
	}
	rows[0].note("%d rounds, of each the slowest of %d publications, which are sent when all wait. Each agent is of another Space, with its own token and connection; it has been told once its client has read the answer, and waits again when all were. All agents are one process beside the server, on the same two cores, the publisher is another. CPU is the server's.",
		min(b.rounds, longRounds), tellings)
	return rows
}

// waitersRound starts a server and tells all who wait, several times.
func (b *bench) waitersRound(ctx context.Context, p *population, to *waiters) error {
	server, err := p.serve(ctx)
	if err != nil {
		return err
	}
	defer server.Stop()
	acked, sent, err := p.tellAll(ctx, server.Addr, b.waiters)
	if err != nil {
		return err
	}
	u, err := server.Usage()
	to.acked.add(acked, u.CPU.Seconds(), mib(u.PeakKiB))
	to.sent.add(sent, u.CPU.Seconds(), mib(u.PeakKiB))
	return err
}

// tellAll has n wait and tells them several times. It returns how long after the
// acknowledgement the last one was told, and how long after the publication was sent:
// of the slowest, in milliseconds.
func (p *population) tellAll(ctx context.Context, addr string, n int) (acked, sent float64, err error) {
	a, err := p.author(0, populationFeeds[0])
	if err != nil {
		return 0, 0, err
	}
	client, err := a.client(addr, nil)
	if err != nil {
		return 0, 0, err
	}
	told, stop, err := startHelper(ctx, 0, "waiters", p.airlock, p.dir, addr, strconv.Itoa(n))
	if err != nil {
		return 0, 0, err
	}
	defer stop()
	for range tellings {
		if err := allWait(ctx, addr, n); err != nil {
			return 0, 0, err
		}
		begin := time.Now()
		if err := (&grown{author: a}).publishOne(ctx, client); err != nil {
			return 0, 0, err
		}
		end := time.Now()
		text, err := told()
		if err != nil {
			return 0, 0, err
		}
		nanoseconds, err := strconv.ParseInt(text, 10, 64)
		if err != nil {
			return 0, 0, err
		}
		last := time.Unix(0, nanoseconds)
		acked, sent = max(acked, last.Sub(end).Seconds()*1000), max(sent, last.Sub(begin).Seconds()*1000)
	}
	return acked, sent, nil
}

// allWait returns once the server says that so many wait.
func allWait(ctx context.Context, addr string, n int) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	want := fmt.Sprintf("\nairlock_shared_used{of=\"long_polls\"} %d\n", n)
	for {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+addr+"/metrics", nil)
		if err != nil {
			return err
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			return fmt.Errorf("until all wait: %w", err)
		}
		body, err := io.ReadAll(resp.Body)
		if resp.Body.Close(); err != nil {
			return err
		}
		if strings.Contains(string(body), want) {
			return nil
		}
		pause(ctx, 50*time.Millisecond)
	}
}

// waitersHelper is "waiters AIRLOCK DIR ADDR N": an agent of each of the first N
// Spaces of a population waits for the same feed. It prints when the last one was
// told, in nanoseconds of Unix time, each time that all were.
func waitersHelper(ctx context.Context, args []string, _ io.Writer) error {
	if len(args) != 4 {
		return errors.New("waiters: want AIRLOCK DIR ADDR N")
	}
	n, err := strconv.Atoi(args[3])
	if err != nil {
		return err
	}
	p, err := openPopulation(args[0], args[1])
	if err != nil {
		return err
	}
	told, again, failed := make(chan time.Time, n), make(chan struct{}, n), make(chan error, n)
	for i := range min(n, len(p.tokens)) {
		go func() { failed <- p.wait(ctx, i, args[2], told, again) }()
		pause(ctx, 200*time.Microsecond) // no more connect at a time than a server takes
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
	client, err := p.client(addr, func(c *feedhttp.ClientConfig) {
		c.Token, c.HTTP = p.tokens[i], &http.Client{Transport: &http.Transport{}} // with small buffers: there are thousands
	})
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
