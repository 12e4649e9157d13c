package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"time"

	"airlock/internal/bench/peers"
)

// sizes are what is measured, smaller with -quick.
type sizes struct {
	rounds   int
	entries  int64         // of the large feed
	small    int64         // of the feed it is compared with
	receipts int64         // that are audited
	publish  int           // publishes for a p50
	releases bool          // deltas between releases of Go too, which are downloaded
	file     int64         // bytes of the large file
	parity   int64         // bytes of the file that parity is made for; the peer is slow
	loadTime time.Duration // of each load on a server
	spaces   int           // of one store
	pollTime time.Duration // in which each of them asks for news once
	waiters  int           // of those that wait for a publication; at most spaces
	idleTime time.Duration // in which an agent has nothing to do
	fairTime time.Duration // in which others are measured beside a loud Space
}

var (
	fullSizes = sizes{rounds: 5, entries: 1_000_000, small: 1000, receipts: 100_000, publish: 200, releases: true, file: 1 << 30, parity: 256 << 20, loadTime: 5 * time.Second,
		spaces: 10_000, pollTime: 15 * time.Second, waiters: 5000, idleTime: time.Minute, fairTime: 20 * time.Second}
	quickSizes = sizes{rounds: 1, entries: 20_000, small: 1000, receipts: 2000, publish: 40, file: 64 << 20, parity: 16 << 20, loadTime: time.Second,
		spaces: 200, pollTime: 2 * time.Second, waiters: 200, idleTime: 10 * time.Second, fairTime: 4 * time.Second}
)

// bench is one run.
type bench struct {
	sizes
	rows      rowNames
	airlock   string // the program under test
	templates string // folder of step templates
	cache     string // folder that outlives the run
	tmp       string // folder of the run
	progress  io.Writer
}

func (b *bench) say(format string, args ...any) { fmt.Fprintf(b.progress, format+"\n", args...) }

// folder makes a new folder for a measurement. It goes with the run and not
// before: for minutes after many files were removed, ext4 passes over their
// inodes one by one whenever a file is made near them, which costs up to a
// millisecond a file. Only what is large and few is removed at once.
func (b *bench) folder() (string, error) { return os.MkdirTemp(b.tmp, "m") }

// settle writes out what earlier measurements left in memory, so that nobody
// waits for it within a measurement.
func settle(ctx context.Context) error {
	_, _, err := peers.Run(ctx, "sync")
	return err
}

// maxTouched bounds the memory that clock uses, in bytes.
const maxTouched = 6 << 30

// clock measures a step with nothing left over of what came before, and with
// memory that was used before, three times the size of the large file where there
// may be as much: the first use of a page of a virtual machine costs its host's
// time, ten times what it takes to write the page to a file, and whoever is measured
// first would pay it.
func (b *bench) clock(ctx context.Context, to *side, step func() (peers.Cost, error)) error {
	if err := settle(ctx); err != nil {
		return err
	}
	if _, err := help(ctx, os.Stderr, "touch", strconv.FormatInt(min(3*b.file, maxTouched), 10)); err != nil {
		return err
	}
	cost, err := step()
	if err != nil {
		return err
	}
	to.addCost(cost)
	return nil
}

// measurement is one that makes one or more rows.
type measurement struct {
	names []string
	needs []string // programs besides the one under test
	run   func(context.Context, *bench) []row
}

// rowNames are the rows that are wanted: those that match only, and do not match skip.
type rowNames struct{ only, skip *regexp.Regexp }

// set compiles expressions; an empty one for skip skips nothing.
func (n *rowNames) set(only, skip string) (err error) {
	if n.only, err = regexp.Compile(only); err != nil || skip == "" {
		return err
	}
	n.skip, err = regexp.Compile(skip)
	return err
}

func (n rowNames) want(name string) bool {
	return n.only.MatchString(name) && (n.skip == nil || !n.skip.MatchString(name))
}

func (m measurement) wanted(rows rowNames) bool {
	return slices.ContainsFunc(m.names, rows.want)
}

var measurements = []measurement{
	{[]string{"publish", "commands", "pull"}, []string{"registry", "oras"}, measureTransfers},
	{[]string{"object", "unchanged"}, []string{"nginx"}, measureLoads},
	{[]string{"file"}, []string{"cp", "openssl"}, measureFile},
	{[]string{"tar", "bundle", "takein"}, []string{"zstd", "openssl", "tee"}, measureBundles},
	{[]string{"courier"}, nil, measureCourier},
	{[]string{"parity"}, []string{"par2"}, measureParity},
	{[]string{"delta"}, []string{"zstd", "restic", "go"}, measureDeltas},
	{[]string{"audit"}, nil, measureAudit},
	{[]string{"servers"}, []string{"versitygw"}, measureServers},
	{[]string{"many"}, nil, measureMany},
	{[]string{"waiters"}, []string{"nice"}, measureWaiters},
	{[]string{"applied", "agent"}, nil, measureAgent},
	{[]string{"fair"}, []string{"nice"}, measureFair},
	{[]string{"million", "newcomer"}, nil, measureMillion},
}

// run carries out what is wanted. Rows that share a measurement with a wanted
// one may be measured too, and are left out.
func (b *bench) run(ctx context.Context) []row {
	var rows []row
	for _, m := range measurements {
		if !m.wanted(b.rows) || ctx.Err() != nil {
			continue
		}
		begin := time.Now()
		for _, r := range m.run(ctx, b) {
			if r.err != nil {
				b.say("%s: %v", r.name, r.err)
			}
			if b.rows.want(r.name) {
				rows = append(rows, r)
			}
		}
		b.say("%v took %.0f s", m.names, time.Since(begin).Seconds())
	}
	return rows
}

// failed marks rows as not complete.
func failed(rows []row, err error) []row {
	for i := range rows {
		rows[i].err = err
	}
	return rows
}

// absolute makes the paths independent of the folder a program runs in.
func absolute(paths ...*string) error {
	for _, p := range paths {
		full, err := filepath.Abs(*p)
		if err != nil {
			return err
		}
		*p = full
	}
	return nil
}
