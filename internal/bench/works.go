package main

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"airlock/feed"
	"airlock/internal/apply"
	"airlock/internal/bench/peers"
	"airlock/internal/home"
	"airlock/internal/publish"
	"airlock/storage"
	"airlock/trust"
)

// repeats makes short work long enough for a profile of a hundred samples a
// second.
const repeats = 5

// profilePublish does what one publish command and the server do.
func profilePublish(ctx context.Context, b *bench, dir string) error {
	for i := range repeats * b.rounds {
		s, h, addr, err := b.siteHere(ctx, filepath.Join(dir, fmt.Sprint("publish", i)))
		if err != nil {
			return err
		}
		if err := b.publishHere(ctx, s, addr); err != nil {
			return err
		}
		if err := h.Close(); err != nil {
			return err
		}
	}
	return nil
}

// siteHere makes a site and serves it in this process.
func (b *bench) siteHere(ctx context.Context, dir string) (*site, *here, string, error) {
	s, err := newSite(ctx, b.airlock, dir)
	if err != nil {
		return nil, nil, "", err
	}
	h, addr, err := s.listeningHere(ctx)
	return s, h, addr, err
}

func (b *bench) publishHere(ctx context.Context, s *site, addr string) error {
	collected, err := publish.Collect(ctx, []string{b.templates}, publish.Options{KeepGoing: true})
	if err != nil {
		return err
	}
	client, err := s.client(addr, nil)
	if err != nil {
		return err
	}
	state, err := storage.OpenDir(ctx, s.path("publisher"))
	if err != nil {
		return err
	}
	defer state.Close()
	p := &publish.Publisher{Feed: s.id, To: client, Own: s.own, Sign: s.signer, State: state, Now: time.Now,
		Sync: func(ctx context.Context) (*feed.State, error) {
			f, err := newFollower(s.own, client, state, nil)
			if err != nil {
				return nil, err
			}
			seen, _, err := f.Sync(ctx, s.id)
			return seen, err
		}}
	_, err = p.Publish(ctx, collected.Packages)
	return err
}

// newFollower reads feeds of a Space with its own eyes, or under a policy.
func newFollower(whose *trust.History, from feed.Source, state *storage.Store, policy *trust.Policy) (*feed.Follower, error) {
	view, err := trust.NewView(whose, policy)
	return &feed.Follower{Source: from, View: view, State: state, Now: time.Now}, err
}

// profilePull does what a pull command of a new Space and the server do.
func profilePull(ctx context.Context, b *bench, dir string) error {
	s, h, addr, err := b.siteHere(ctx, filepath.Join(dir, "site"))
	if err != nil {
		return err
	}
	defer h.Close()
	if err := b.publishHere(ctx, s, addr); err != nil {
		return err
	}
	for i := range repeats * b.rounds {
		if err := s.pullHere(ctx, addr, filepath.Join(dir, fmt.Sprint("pull", i))); err != nil {
			return err
		}
	}
	return nil
}

func (s *site) pullHere(ctx context.Context, addr, dir string) error {
	if err := s.receiver(ctx, dir); err != nil {
		return err
	}
	h, err := home.Open(dir)
	if err != nil {
		return err
	}
	trusted, err := h.Trusted(s.id.Space)
	if err != nil {
		return err
	}
	state, err := h.State(ctx)
	if err != nil {
		return err
	}
	client, err := s.client(addr, nil)
	if err != nil {
		return err
	}
	f, err := newFollower(s.own, client, state, trusted.Policy)
	if err != nil {
		return err
	}
	seen, _, err := f.Sync(ctx, s.id)
	if err != nil {
		return err
	}
	target, err := apply.OpenDir(filepath.Join(dir, "conf"), time.Now)
	if err != nil {
		return err
	}
	plan := apply.Plan(s.id, apply.Choose(seen, f.View, apply.Selection{}, time.Now()), nil, apply.Consent{})
	head := apply.Head{Epoch: seen.Epoch, Size: seen.Edge.Size(), Root: storage.Digest(seen.Edge.Root()), Lineage: seen.Lineage}
	fetch := func(ctx context.Context, rows []feed.Row, each func(*feed.Package) error) error {
		return f.Fetch(ctx, seen, rows, each)
	}
	return target.Apply(ctx, apply.Sync{ID: s.id, To: head, Plan: plan, Fetch: fetch})[0].Err
}

// profileObject serves the small object to a load of another process.
func profileObject(ctx context.Context, b *bench, dir string) error {
	s, h, addr, err := b.siteHere(ctx, filepath.Join(dir, "site"))
	if err != nil {
		return err
	}
	defer h.Close()
	object, _, err := publishObject(ctx, s, addr)
	if err != nil {
		return err
	}
	l := peers.Load{URL: s.feedURL(addr, "object/"+object.Hex()), PID: os.Getpid(), Connections: connections, Duration: b.loadTime, Status: http.StatusOK}
	_, err = l.Run(ctx)
	return err
}

// profileServers has many publish into one feed of a server that keeps it in S3.
func profileServers(ctx context.Context, b *bench, dir string) error {
	s, store, err := b.siteOnS3(ctx, dir)
	if err != nil {
		return err
	}
	defer store.Stop()
	h, addr, err := s.listeningHere(ctx)
	if err != nil {
		return err
	}
	defer h.Close()
	const oneReceipt = 0 // of crowdLoads
	p, err := s.publishers(ctx, oneReceipt, addr)
	if err != nil {
		return err
	}
	_, err = p.run(ctx, b.loadTime)
	return err
}

// profileFair has others publish and pull beside a loud Space.
func profileFair(ctx context.Context, b *bench, dir string) error {
	file := filepath.Join(dir, "image.bin")
	if err := peers.RandomFile(file, b.file); err != nil {
		return err
	}
	p, err := b.newPopulation(ctx, filepath.Join(dir, "site"), 1+2*guests)
	if err != nil {
		return err
	}
	h, addr, err := p.listeningHere(ctx)
	if err != nil {
		return err
	}
	defer h.Close()
	g, err := p.guests(addr)
	if err != nil {
		return err
	}
	_, stop, err := startHelper(ctx, loudNiceness, "loud", p.airlock, p.dir, addr, file, b.fairTime.String())
	if err != nil {
		return err
	}
	defer stop()
	_, _, err = g.visit(ctx, b.fairTime)
	return err
}

// profileNewcomer reads the large feed from the operator's folder.
func profileNewcomer(ctx context.Context, b *bench, dir string) error {
	s, err := openSite(b.airlock, b.largeFolder())
	if err != nil {
		return fmt.Errorf("the large feed is measured first: %w", err)
	}
	h, err := s.serverHere(ctx)
	if err != nil {
		return err
	}
	defer h.Close()
	state, err := storage.OpenDir(ctx, filepath.Join(dir, "state"))
	if err != nil {
		return err
	}
	defer state.Close()
	f, err := newFollower(s.own, h.Local(), state, nil)
	if err != nil {
		return err
	}
	_, _, err = f.Sync(ctx, s.id)
	return err
}
