package main

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"airlock/internal/bench/peers"
)

const workers = 8

// transfers measures publishing and pulling many small packages against an OCI
// registry.
type transfers struct {
	*bench
	templates            string
	n                    int
	push, pull, pushMany side      // of the peer
	one, many, newcomers side      // ours
	fileCosts, manyCosts []float64 // µs to make an empty file, before each round of one and of many commands
	clients, starts      []float64 // CPU seconds of all publish commands of a round, and of one that does nothing
}

func measureTransfers(ctx context.Context, b *bench) []row {
	rows := []row{
		{name: "publish", title: "Publish the step templates in one command"},
		{name: "commands", title: "Publish the step templates in as many commands, by 8 workers"},
		{name: "pull", title: "A new Space pulls, verifies and writes all of them"},
	}
	dir, err := b.folder()
	if err != nil {
		return failed(rows, err)
	}
	peer := side{name: "oras-go, 8 workers, distribution v3"}
	t := &transfers{bench: b, templates: filepath.Join(dir, "templates"), push: peer, pull: peer, pushMany: peer,
		one: side{name: "airlock publish, serve"}, many: side{name: "airlock publish, serve"}, newcomers: side{name: "airlock pull, serve"}}
	var refused int
	if t.n, refused, err = validTemplates(ctx, b.templates, t.templates); err != nil {
		return failed(rows, err)
	}
	// The many commands come last: each makes and deletes files, and for minutes
	// after many deletions some file systems make every file slowly.
	for _, m := range []struct {
		what  string
		round func(context.Context) error
	}{{"transfers", t.round}, {"commands", t.commands}} {
		for i := range b.rounds {
			b.say("%s: round %d", m.what, i+1)
			if err := m.round(ctx); err != nil {
				return failed(rows, err)
			}
		}
	}
	rows[0].lines = []line{{what: "one command", unit: "packages/s", peer: &t.push, ours: t.one, target: atLeast(10)}}
	rows[1].lines = []line{{what: fmt.Sprintf("%d commands", t.n), unit: "packages/s", peer: &t.pushMany, ours: t.many, target: atLeast(2)}}
	rows[2].lines = []line{{what: "pull into a folder", unit: "packages/s", peer: &t.pull, ours: t.newcomers, target: atLeast(20)}}
	rows[0].note("%d packages; %d more files are refused by the validator and left out on both sides. Signing, the server's checks and fsync are inside the clock; the peer neither signs nor syncs. Airlock's clock includes the start of the program, the peer's does not.", t.n, refused)
	rows[0].note("Making an empty file took %s µs before each round (median; 10 to 30 on a quiet disk).", figure(median(t.fileCosts)))
	rows[1].note("Every command is a process of its own, 8 at a time, and is acknowledged durable before it ends. The peer is a single process as above. Making an empty file took %s µs before each round.", figure(median(t.manyCosts)))
	rows[1].note("%s", t.whereItGoes())
	rows[2].note("The home is new, its trust was set up before. The clock includes the start of the program and syncing what was written.")
	return rows
}

// round measures the peer and then ours, each with an empty store.
func (t *transfers) round(ctx context.Context) error {
	dir, err := t.peer(ctx, &t.fileCosts, &t.push, &t.pull)
	if err != nil {
		return err
	}
	return t.onSite(ctx, filepath.Join(dir, "one"), t.publishOnce, t.pullAll)
}

// commands measures the peer, and then a command for every package.
func (t *transfers) commands(ctx context.Context) error {
	dir, err := t.peer(ctx, &t.manyCosts, &t.pushMany, nil)
	if err != nil {
		return err
	}
	if err := t.startOnly(ctx); err != nil {
		return err
	}
	return t.onSite(ctx, filepath.Join(dir, "many"), t.publishMany)
}

// peer measures the peer in a new folder, which it returns, and what a file
// costs there. Without pull only its pushing counts.
func (t *transfers) peer(ctx context.Context, costs *[]float64, push, pull *side) (dir string, err error) {
	if dir, err = t.folder(); err != nil {
		return "", err
	}
	if err := settle(ctx); err != nil {
		return "", err
	}
	cost, err := t.fileCost()
	if err != nil {
		return "", err
	}
	*costs = append(*costs, cost)
	pushed, pulled, err := peers.OrasTransfers(ctx, "oras", t.templates, dir)
	if err != nil {
		return "", err
	}
	for _, m := range []struct {
		*side
		peers.Transfer
	}{{push, pushed}, {pull, pulled}} {
		if m.side != nil {
			m.add(m.PerS, m.ClientCPUS+m.ServerCPUS, mib(max(m.ClientPeakKiB, m.ServerPeakKiB)))
		}
	}
	return dir, nil
}

// onSite runs steps on a new site with a running server.
func (t *transfers) onSite(ctx context.Context, dir string, steps ...func(context.Context, *site, *peers.Server) error) error {
	s, err := newSite(ctx, t.airlock, dir)
	if err != nil {
		return err
	}
	server, err := s.serve(ctx)
	if err != nil {
		return err
	}
	defer server.Stop()
	for _, step := range steps {
		if err := settle(ctx); err != nil {
			return err
		}
		if err := step(ctx, s, server); err != nil {
			return err
		}
	}
	return nil
}

// publisherArgs are those of every publish command.
func publisherArgs(s *site, addr, path string) []string {
	return []string{"--home", s.path("dev"), "--server", "http://" + addr, "--token-file", s.path("token"), "publish", feedName, path}
}

// pullArgs are those of every pull command.
func pullArgs(s *site, addr string) []string {
	return []string{"--home", s.path("prod"), "--server", "http://" + addr, "--token-file", s.path("token"),
		"pull", s.id.String(), "--into", s.path("conf")}
}

func (t *transfers) publishOnce(ctx context.Context, s *site, server *peers.Server) error {
	return t.charge(server, &t.one, func() (peers.Cost, error) {
		cost, _, err := peers.Run(ctx, t.airlock, publisherArgs(s, server.Addr, t.templates)...)
		return cost, err
	})
}

// charge runs a client and adds its rate, and what it and the server used.
func (t *transfers) charge(server *peers.Server, to *side, client func() (peers.Cost, error)) error {
	before, err := server.Usage()
	if err != nil {
		return err
	}
	cost, err := client()
	if err != nil {
		return err
	}
	after, err := server.Usage()
	to.add(float64(t.n)/cost.WallS, cost.CPUS+(after.CPU-before.CPU).Seconds(), mib(max(cost.PeakKiB, after.PeakKiB)))
	return err
}

func (t *transfers) pullAll(ctx context.Context, s *site, server *peers.Server) error {
	if err := s.receiver(ctx, s.path("prod")); err != nil {
		return err
	}
	err := t.charge(server, &t.newcomers, func() (peers.Cost, error) {
		cost, _, err := peers.Run(ctx, t.airlock, pullArgs(s, server.Addr)...)
		return cost, err
	})
	if err != nil {
		return err
	}
	return sameFiles(t.templates, s.path("conf"))
}

// sameFiles checks that the files of a folder came out in the other, whatever
// they are called there, byte for byte: a fast pull of nothing is no figure.
func sameFiles(want, got string) error {
	left := map[string]int{}
	for i, dir := range []string{want, got} {
		err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
			if err != nil || !e.Type().IsRegular() {
				return err
			}
			content, err := os.ReadFile(path)
			left[string(content)] += 1 - 2*i
			return err
		})
		if err != nil {
			return err
		}
	}
	missing := 0
	for _, n := range left {
		missing += max(n, 0)
	}
	if missing > 0 {
		return fmt.Errorf("%d files of %s are not in %s", missing, want, got)
	}
	return nil
}

// mib turns KiB into MiB.
func mib(kib int64) float64 { return float64(kib) / 1024 }
