package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"airlock/feed"
	"airlock/internal/home"
	"airlock/internal/server"
	"airlock/trust"
)

// populationFeeds are the feeds that each Space of a population has.
var populationFeeds = []string{"shared", "staging", "live"}

// population is a site whose store keeps many Spaces, in its folder "homes". Each
// has a token of its own and the feeds populationFeeds, with a package in each.
type population struct {
	*site
	tokens []string // by the number of the Space
	logKey []byte
}

// population returns the cached one, made now where there is none.
func (b *bench) population(ctx context.Context) (*population, error) {
	dir := filepath.Join(b.cache, fmt.Sprintf("spaces-%d-%d", formatVersion, b.spaces))
	if _, err := os.Stat(dir); err != nil {
		return b.newPopulation(ctx, dir, int64(b.spaces))
	}
	return openPopulation(b.airlock, dir)
}

// newPopulation makes one of n in a folder.
func (b *bench) newPopulation(ctx context.Context, dir string, n int64) (*population, error) {
	if err := b.grow(ctx, "spaces", dir, n); err != nil {
		return nil, err
	}
	return openPopulation(b.airlock, dir)
}

func openPopulation(airlock, dir string) (*population, error) {
	s, err := openSite(airlock, dir)
	if err != nil {
		return nil, err
	}
	op, err := home.Open(s.path("op"))
	if err != nil {
		return nil, err
	}
	key, err := op.LogKey()
	if err != nil {
		return nil, err
	}
	tokens, err := os.ReadFile(s.path("tokens"))
	return &population{s, strings.Fields(string(tokens)), key.Public()}, err
}

// settlers is how many Spaces are made at a time: they wait for the disk.
const settlers = 16

// buildSpaces makes a population of n in a new site.
func buildSpaces(ctx context.Context, s *site, n int64, progress io.Writer) error {
	h, err := s.serverHere(ctx)
	if err != nil {
		return err
	}
	p := &population{s, make([]string, n), h.logKey}
	begin := time.Now()
	var tokens sync.Mutex // one at a time: each changes the same cell
	var done atomic.Int64
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(settlers)
	for i := range p.tokens {
		group.Go(func() error {
			if err := p.settle(ctx, h, i); err != nil {
				return err
			}
			tokens.Lock()
			defer tokens.Unlock()
			t := server.Token{Space: populated(i), Until: begin.AddDate(10, 0, 0)}
			if _, p.tokens[i], err = h.AddToken(ctx, server.Operator, t); err != nil {
				return err
			}
			if n := done.Add(1); n%1000 == 0 {
				fmt.Fprintf(progress, "  %d Spaces after %.0f s\n", n, time.Since(begin).Seconds())
			}
			return nil
		})
	}
	err = errors.Join(group.Wait(), h.Close())
	if err != nil {
		return err
	}
	return os.WriteFile(s.path("tokens"), []byte(strings.Join(p.tokens, "\n")), 0o600)
}

// populated is the Space of that number.
func populated(i int) trust.Space {
	return trust.Space{Organisation: "acme", Name: fmt.Sprintf("space-%05d", i)}
}

// settle makes a Space, admits it and opens its feeds.
func (p *population) settle(ctx context.Context, h *here, i int) error {
	made, err := home.Open(p.home(i))
	if err != nil {
		return err
	}
	own, err := made.Init(ctx, home.NewSpace{Space: populated(i), Issuer: "https://acme.example", Person: "Bench", Now: time.Now()})
	if err != nil {
		return err
	}
	if _, err := h.Admit(ctx, server.Operator, trust.FormatFile(own)); err != nil {
		return err
	}
	for _, name := range populationFeeds {
		a, err := p.author(i, name)
		if err != nil {
			return err
		}
		b, err := a.beginning(ctx)
		if err != nil {
			return err
		}
		if _, err := h.Local().Publish(ctx, b); err != nil {
			return err
		}
	}
	return nil
}

func (p *population) home(i int) string { return p.path("homes", fmt.Sprintf("%05d", i)) }

// author writes in a feed of a Space.
func (p *population) author(i int, name string) (*author, error) {
	s := *p.site
	s.id, s.token = feed.ID{Space: populated(i), Name: name}, p.tokens[i]
	err := s.open(p.home(i))
	return newAuthor(&s, p.logKey), err
}

// beginning opens a feed and publishes a package in it.
func (a *author) beginning(ctx context.Context) (feed.Batch, error) {
	b, err := a.opening(ctx)
	if err != nil {
		return b, err
	}
	first, err := a.batch(ctx, []pkg{{"first", "1.0.0"}})
	b.Statements, b.Objects = append(b.Statements, first.Statements...), append(b.Objects, first.Objects...)
	return b, err
}
