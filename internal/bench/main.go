package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"airlock/internal/bench/peers"
	"airlock/internal/bench/peers/proc"
)

// limit bounds the whole run.
const limit = 2 * time.Hour

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	if err := run(ctx, os.Args[1:], os.Stdout, os.Stderr); err != nil {
		fmt.Fprintf(os.Stderr, "bench: %v\n", err)
		os.Exit(1)
	}
}

// run is the program. Its own helper processes come in by another door.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	if len(args) > 0 && helpers[args[0]] != nil {
		return helpers[args[0]](ctx, args[1:], stderr)
	}
	b := &bench{sizes: fullSizes, progress: stderr}
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	out := flags.String("o", "", "`file` to write; standard output where it is empty")
	rounds := flags.Int("rounds", 0, "rounds of each measurement (5)")
	entries := flags.Int64("entries", 0, "entries of the large feed (1000000)")
	file := flags.Int64("file", 0, "bytes of the large file (1073741824)")
	quick := flags.Bool("quick", false, "one round with small sizes, to try the program")
	only := flags.String("only", "", "measure the rows that match `REGEXP`: publish, commands, pull, object, unchanged, file, tar, bundle, takein, courier, parity, delta, audit, servers, many, waiters, applied, agent, fair, million, newcomer")
	skip := flags.String("skip", "", "leave out the rows that match `REGEXP`")
	title := flags.String("title", "Benchmarks", "heading of the page")
	profiles := flags.Bool("profile", false, "add what the processors did, from runs of their own")
	flags.StringVar(&b.airlock, "airlock", "bin/airlock", "the `program` under test")
	flags.StringVar(&b.templates, "templates", "../shared/data/step-templates", "`folder` of step templates")
	flags.StringVar(&b.cache, "cache", filepath.Join(os.TempDir(), "airlock-bench"), "`folder` that keeps the large feed between runs")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if err := b.rows.set(*only, *skip); err != nil {
		return err
	}
	if *quick {
		b.sizes = quickSizes
	}
	if *rounds > 0 {
		b.rounds = *rounds
	}
	if *entries > 0 {
		b.entries = *entries
	}
	if *file > 0 {
		b.file = *file
	}
	return b.report(ctx, *title, *out, *profiles, stdout)
}

// report measures and writes the page. It fails where a row is not complete,
// not where a target is missed.
func (b *bench) report(ctx context.Context, title, out string, profiles bool, stdout io.Writer) error {
	if err := b.prepare(); err != nil {
		return err
	}
	defer os.RemoveAll(b.tmp)
	rows := b.run(ctx)
	own, err := proc.Of(os.Getpid())
	if err != nil {
		return err
	}
	p := page{title: title, machine: describeMachine(), own: mib(own.PeakKiB), sizes: b.sizes, rows: rows}
	if profiles {
		p.profiles = b.profile(ctx)
	}
	text := p.render()
	if out == "" {
		_, err = io.WriteString(stdout, text)
	} else {
		err = os.WriteFile(out, []byte(text), 0o644)
	}
	for _, r := range rows {
		if r.err != nil {
			err = errors.Join(err, fmt.Errorf("%s: %w", r.name, r.err))
		}
	}
	return err
}

// prepare finds the programs that the wanted rows need and makes the folder of the run.
func (b *bench) prepare() error {
	// What the caller's environment says of homes and servers is not for us.
	for _, v := range os.Environ() {
		if name, _, _ := strings.Cut(v, "="); strings.HasPrefix(name, "AIRLOCK_") {
			os.Unsetenv(name)
		}
	}
	needs := []string{"sync", b.airlock}
	for _, m := range measurements {
		if m.wanted(b.rows) {
			needs = append(needs, m.needs...)
		}
	}
	if err := peers.Missing(needs...); err != nil {
		return fmt.Errorf("%w: make bench sees to that", err)
	}
	err := absolute(&b.airlock, &b.templates, &b.cache)
	if err != nil {
		return err
	}
	b.tmp, err = os.MkdirTemp("", "airlock-bench-run-")
	return err
}
