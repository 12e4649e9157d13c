package log

import "sync/atomic"

// Stats count what the logs of a store have done since New, for metrics.
type Stats struct {
	Commits int64 // swaps of a cell that succeeded
	Batches int64 // Appends that those took in: Batches / Commits is the size of a group
	Entries int64 // that those added
	// Conflicts are swaps that another writer was faster with, or of which the
	// store's answer was lost: they are tried again.
	Conflicts int64
}

// Stats returns the figures for metrics.
func (l *Logs) Stats() Stats {
	c := &l.counts
	return Stats{c.commits.Load(), c.batches.Load(), c.entries.Load(), c.conflicts.Load()}
}

type counts struct{ commits, batches, entries, conflicts atomic.Int64 }

func (c *counts) committed(batches int, entries int64) {
	c.commits.Add(1)
	c.batches.Add(int64(batches))
	c.entries.Add(entries)
}
