package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"golang.org/x/sync/errgroup"

	"airlock/feed/feedhttp"
	"airlock/internal/bench/peers"
)

const (
	// loudBatch is how many entries the loud Space sends in a request, and
	// loudEvery how often.
	loudBatch = 50
	loudEvery = 50 * time.Millisecond
)

// loud is a Space that publishes without pause: versions of a large package in one
// feed, small packages in another. Its fields are what it has brought.
type loud struct {
	Packages int     `json:"packages"` // large ones, as far as they were acknowledged
	Entries  int     `json:"entries"`  // small ones
	Seconds  float64 `json:"seconds"`
}

// loudHelper is "loud AIRLOCK DIR ADDR FILE DURATION": the first Space of a population
// publishes without pause for a time, the file under ever new versions. It prints
// what it has brought.
func loudHelper(ctx context.Context, args []string, _ io.Writer) error {
	if len(args) != 5 {
		return errors.New("loud: want AIRLOCK DIR ADDR FILE DURATION")
	}
	d, err := time.ParseDuration(args[4])
	if err != nil {
		return err
	}
	p, err := openPopulation(args[0], args[1])
	if err != nil {
		return err
	}
	begin := time.Now()
	ctx, cancel := context.WithDeadline(ctx, begin.Add(d))
	defer cancel()
	var done loud
	group, inner := errgroup.WithContext(ctx)
	group.Go(func() error { return done.publishLarge(inner, p, args[2], args[3]) })
	group.Go(func() error { return done.publishSmall(inner, p, args[2]) })
	if err := group.Wait(); ctx.Err() == nil {
		return err
	}
	done.Seconds = time.Since(begin).Seconds()
	out, err := json.Marshal(done)
	fmt.Println(string(out))
	return err
}

// publishLarge has the program publish, as a user would, a file that differs from
// the one before by its first bytes.
func (l *loud) publishLarge(ctx context.Context, p *population, addr, file string) error {
	token := p.path("loud.token")
	if err := os.WriteFile(token, []byte(p.tokens[0]), 0o600); err != nil {
		return err
	}
	for ; ; l.Packages++ {
		version := fmt.Sprintf("1.0.%09d", l.Packages)
		if err := overwrite(file, version); err != nil {
			return err
		}
		_, _, err := peers.Run(ctx, p.airlock, "--home", p.home(0), "--server", "http://"+addr, "--token-file", token,
			"publish", populationFeeds[0], file, "--kind", "file", "--name", "image", "--version", version)
		if err != nil {
			return err
		}
	}
}

// overwrite changes the first bytes of a file.
func overwrite(file, text string) error {
	f, err := os.OpenFile(file, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	_, err = f.WriteAt([]byte(text), 0)
	return errors.Join(err, f.Close())
}

// publishSmall sends a batch of small packages again and again.
func (l *loud) publishSmall(ctx context.Context, p *population, addr string) error {
	a, err := p.author(0, populationFeeds[1])
	if err != nil {
		return err
	}
	client, err := a.client(addr, func(c *feedhttp.ClientConfig) { c.Retry.Attempts = 1000 }) // it does not give up
	if err != nil {
		return err
	}
	for begin := time.Now(); ; l.Entries += loudBatch {
		pause(ctx, time.Until(begin.Add(time.Duration(l.Entries/loudBatch)*loudEvery)))
		packages := make([]pkg, loudBatch)
		for i := range packages {
			packages[i] = pkg{fmt.Sprintf("small-%d", l.Entries+i), "1.0.0"}
		}
		b, err := a.batch(ctx, packages)
		if err != nil {
			return err
		}
		if _, err := client.Publish(ctx, b); err != nil {
			return err
		}
	}
}
