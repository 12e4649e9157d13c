package main

import (
	"errors"
	"fmt"
	"os"
	"time"

	"airlock/internal/bench/peers"
	"airlock/internal/bench/peers/proc"
)

// usage is the processor time of a fleet, of its store and of this program, which
// does what clients do; the peak is the highest of one of the servers and the store.
type usage struct {
	servers, store, clients time.Duration
	peakKiB                 int64
}

// usage is what they have used so far.
func (f *fleet) usage(store *peers.Server) (usage, error) {
	all, err := proc.Of(os.Getpid())
	var u usage
	for _, s := range append(f.servers, store) {
		one, oneErr := s.Usage()
		err = errors.Join(err, oneErr)
		u.peakKiB = max(u.peakKiB, one.PeakKiB)
		if s == store {
			u.store = one.CPU
		} else {
			u.servers += one.CPU
		}
	}
	u.clients = all.CPU - u.servers - u.store
	return u, err
}

func (u usage) total() time.Duration { return u.servers + u.store + u.clients }

// since is what was used after an earlier look; the peak stays.
func (u usage) since(before usage) usage {
	u.servers -= before.servers
	u.store -= before.store
	u.clients -= before.clients
	return u
}

// split is who used the processors for one entry, in milliseconds.
type split struct{ servers, store, clients []float64 }

func (s *split) add(u usage, entries int) {
	each := func(d time.Duration) float64 { return d.Seconds() * 1000 / float64(entries) }
	s.servers = append(s.servers, each(u.servers))
	s.store = append(s.store, each(u.store))
	s.clients = append(s.clients, each(u.clients))
}

func (s *split) String() string {
	return fmt.Sprintf("%s the servers', %s the store's and %s the publishers'",
		figure(median(s.servers)), figure(median(s.store)), figure(median(s.clients)))
}
