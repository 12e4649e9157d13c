package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sync/errgroup"

	"airlock/internal/bench/peers"
)

func (t *transfers) publishMany(ctx context.Context, s *site, server *peers.Server) error {
	files, err := os.ReadDir(t.templates)
	if err != nil {
		return err
	}
	return t.charge(server, &t.many, func() (peers.Cost, error) {
		costs := make([]peers.Cost, len(files))
		begin := time.Now()
		group, ctx := errgroup.WithContext(ctx)
		group.SetLimit(workers)
		for i, f := range files {
			group.Go(func() (err error) {
				costs[i], _, err = peers.Run(ctx, t.airlock, publisherArgs(s, server.Addr, filepath.Join(t.templates, f.Name()))...)
				return err
			})
		}
		err := group.Wait()
		total := peers.Cost{WallS: time.Since(begin).Seconds()}
		for _, c := range costs {
			total.CPUS += c.CPUS
			total.PeakKiB = max(total.PeakKiB, c.PeakKiB)
		}
		t.clients = append(t.clients, total.CPUS)
		return total, err
	})
}

// emptyCommands is how many commands that do nothing are measured in a round.
const emptyCommands = 20

// startOnly measures what a process costs before it does anything.
func (t *transfers) startOnly(ctx context.Context) error {
	total := 0.0
	for range emptyCommands {
		cost, _, err := peers.Run(ctx, t.airlock, "version")
		if err != nil {
			return err
		}
		total += cost.CPUS
	}
	t.starts = append(t.starts, total/emptyCommands)
	return nil
}

// whereItGoes parts the processor time of single commands, which no profile of
// one process can.
func (t *transfers) whereItGoes() string {
	ms := func(seconds, n float64) string { return figure(1000 * seconds / n) }
	n := float64(t.n)
	all, clients := median(t.many.cpu), median(t.clients)
	return fmt.Sprintf("Of %s ms of processor time a package %s are the server's and %s the command's; of these %s are the start of a process, which `airlock version` alone takes. The peer takes %s, its server's included.",
		ms(all, n), ms(all-clients, n), ms(clients, n), ms(median(t.starts), 1), ms(median(t.pushMany.cpu), n))
}
