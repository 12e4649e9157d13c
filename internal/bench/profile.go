package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime/pprof"
	"slices"
	"strings"
)

// A profile is where the processors were during one kind of work.
type profile struct{ title, text string }

// profiled are the works, by the name of a row. Each runs in a helper process that does,
// with the program's own packages, what the programs do.
var profiled = map[string]struct {
	title string
	work  func(ctx context.Context, b *bench, dir string) error
}{
	"publish":  {"Publishing the step templates, client and server in one process", profilePublish},
	"pull":     {"Pulling them into a folder, client and server in one process", profilePull},
	"object":   {"Serving the object of 2 KiB", profileObject},
	"audit":    {"Auditing the receipts from their folder", profileAudit},
	"servers":  {"64 publish receipts into one feed, the publishers and one server on S3 in one process", profileServers},
	"waiters":  {"Agents connect with their tokens, wait and are told, the server in this process and they in another", profileWaiters},
	"fair":     {"Others beside a loud Space, these and the server in one process", profileFair},
	"newcomer": {"A newcomer reading the large feed from its folder", profileNewcomer},
}

// profile collects the profiles of the rows that are wanted. One that fails says so in its place.
func (b *bench) profile(ctx context.Context) []profile {
	var out []profile
	for _, name := range []string{"publish", "pull", "object", "audit", "servers", "waiters", "fair", "newcomer"} {
		if !b.rows.want(name) {
			continue
		}
		b.say("profile: %s", name)
		text, err := b.profileOne(ctx, name)
		if err != nil {
			text = "not profiled: " + err.Error()
		}
		out = append(out, profile{profiled[name].title, text})
	}
	return out
}

func (b *bench) profileOne(ctx context.Context, name string) (string, error) {
	dir, err := b.folder()
	if err != nil {
		return "", err
	}
	file := filepath.Join(dir, "cpu.pprof")
	if _, err := help(ctx, b.progress, "profile", name, file, dir, b.airlock, b.templates, b.cache, fmt.Sprint(b.entries), fmt.Sprint(b.rounds)); err != nil {
		return "", err
	}
	flat, err := top(ctx, "-nodecount=10", file)
	if err != nil {
		return "", err
	}
	own, err := top(ctx, "-nodecount=15", "-cum", "-show=^airlock/", file)
	return flat + "\n\nAirlock's own functions, with callees:\n\n" + own, err
}

// top asks pprof and leaves out its lines about this machine.
func top(ctx context.Context, args ...string) (string, error) {
	out, err := exec.CommandContext(ctx, "go", append([]string{"tool", "pprof", "-top"}, args...)...).Output()
	if err != nil {
		return "", fmt.Errorf("go tool pprof: %w", err)
	}
	return onlyTable(string(out)), nil
}

// onlyTable cuts a pprof report down to its table, which begins at the column
// heads.
func onlyTable(report string) string {
	lines := strings.Split(strings.TrimSpace(report), "\n")
	begin := slices.IndexFunc(lines, func(l string) bool { return strings.HasPrefix(strings.TrimSpace(l), "flat ") })
	return strings.Join(lines[max(begin, 0):], "\n")
}

// profileHelper is "profile NAME FILE DIR AIRLOCK TEMPLATES CACHE ENTRIES ROUNDS".
func profileHelper(ctx context.Context, args []string, stderr io.Writer) error {
	if len(args) != 8 {
		return errors.New("profile: want NAME FILE DIR AIRLOCK TEMPLATES CACHE ENTRIES ROUNDS")
	}
	b := &bench{sizes: fullSizes, tmp: args[2], airlock: args[3], templates: args[4], cache: args[5], progress: stderr}
	if _, err := fmt.Sscan(args[6]+" "+args[7], &b.entries, &b.rounds); err != nil {
		return err
	}
	w, ok := profiled[args[0]]
	if !ok {
		return fmt.Errorf("profile: nothing named %q", args[0])
	}
	f, err := os.Create(args[1])
	if err != nil {
		return err
	}
	if err := pprof.StartCPUProfile(f); err != nil {
		return errors.Join(err, f.Close())
	}
	err = w.work(ctx, b, args[2])
	pprof.StopCPUProfile()
	return errors.Join(err, f.Close())
}
