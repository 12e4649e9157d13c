package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"
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
	secure, err := openPopulation(p.airlock, p.dir)
	if err == nil {
		err = secure.speakTLS()
	}
	if err != nil {
		return failed(rows, err)
	}
	plain, own := newWaiters("tokens"), newWaiters("TLS, certificates")
	rounds := min(b.rounds, longRounds)
	for i := range rounds {
		b.say("waiters: round %d", i+1)
		if err := errors.Join(b.waitersRound(ctx, p, plain), b.waitersRound(ctx, secure, own)); err != nil {
			return failed(rows, err)
		}
	}
	rows[0].lines = append(plain.lines("behind a proxy"), own.lines("with TLS")...)
	rows[0].note("%d rounds, of each the slowest of %d publications, which are sent when all wait. Each agent is of another Space, with its own connection and its own token, or certificate; it has been told once its client has read the answer, and waits again when all were. All agents are one process beside the server, on the same two cores, the publisher is another. CPU is the server's, from its start and all connecting on.",
		rounds, tellings)
	return rows
}

func newWaiters(by string) *waiters {
	name := "airlock serve, " + by
	return &waiters{side{name: name}, side{name: name}}
}

func (w *waiters) lines(how string) []line {
	return []line{
		{what: how + ": the last one is told, after the acknowledgement", unit: "ms", ours: w.acked, target: below(500)},
		{what: how + ": the same, after the publication was sent", unit: "ms", ours: w.sent},
		{what: how + ": peak memory of the server", unit: "MiB", ours: side{name: w.acked.name, values: w.acked.peak}, target: below(400)},
	}
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
	told, stop, err := startHelper(ctx, 0, "waiters", p.airlock, p.dir, addr, strconv.Itoa(n), strconv.FormatBool(!p.pin.IsZero()))
	if err != nil {
		return 0, 0, err
	}
	defer stop()
	for range tellings {
		if err := p.allWait(ctx, addr, n); err != nil {
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
func (p *population) allWait(ctx context.Context, addr string, n int) error {
	url := "http://" + addr + "/metrics"
	if !p.pin.IsZero() {
		url = "https://" + addr + "/metrics"
	}
	web := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}}
	defer web.CloseIdleConnections()
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	want := fmt.Sprintf("\nairlock_shared_used{of=\"long_polls\"} %d\n", n)
	for {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
		if err != nil {
			return err
		}
		resp, err := web.Do(req)
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

// profileWaiters has agents connect, wait and be told by a server in this process.
func profileWaiters(ctx context.Context, b *bench, _ string) error {
	p, err := b.population(ctx)
	if err != nil {
		return err
	}
	h, addr, err := p.listeningHere(ctx)
	if err != nil {
		return err
	}
	defer h.Close()
	_, _, err = p.tellAll(ctx, addr, b.waiters)
	return err
}
