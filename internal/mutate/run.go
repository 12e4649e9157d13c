package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
)

const (
	testTimeout = 3 * time.Minute // of one test; a mutant may well hang
	killAfter   = 8 * time.Minute // of one go test, its build included
)

// An Outcome tells what became of one guard. Shown means that the test passes
// with the guard and fails without.
type Outcome struct {
	Shown  bool
	What   string
	Output string // of go test, where something is wrong
}

type runner struct {
	dir     string // of the module
	scratch string // where mutants are written
	workers int

	baselines sync.Map // package and test → func() error, each run once
}

// all tries every guard. It tells of each when it is done, of one at a time.
func (r *runner) all(ctx context.Context, guards []Guard, done func(Guard, Outcome)) {
	var telling sync.Mutex
	var group errgroup.Group
	group.SetLimit(max(1, r.workers))
	for i, g := range guards {
		group.Go(func() error {
			o := r.try(ctx, i, g)
			telling.Lock()
			defer telling.Unlock()
			done(g, o)
			return nil
		})
	}
	_ = group.Wait() // outcomes say what went wrong
}

// try disables one guard.
func (r *runner) try(ctx context.Context, i int, g Guard) Outcome {
	overlay, err := r.overlay(i, g)
	if err != nil {
		return Outcome{What: err.Error()}
	}
	baseline, _ := r.baselines.LoadOrStore(g.Package+" "+g.Test, sync.OnceValue(func() error {
		return passes(r.test(ctx, g))
	}))
	if err := baseline.(func() error)(); err != nil {
		return Outcome{What: "with the guard in place: " + err.Error()}
	}
	output, err := r.test(ctx, g, "-overlay", overlay)
	return judge(output, err)
}

// overlay writes the mutant and the file that tells go test to use it.
func (r *runner) overlay(i int, g Guard) (string, error) {
	path, err := filepath.Abs(filepath.Join(r.dir, filepath.FromSlash(g.File)))
	if err != nil {
		return "", err
	}
	src, err := os.ReadFile(path)
	if err != nil {
		return "", err
	}
	changed, err := mutant(g, src)
	if err != nil {
		return "", err
	}
	name := filepath.Join(r.scratch, fmt.Sprintf("%d.go", i))
	if err := os.WriteFile(name, changed, 0o600); err != nil {
		return "", err
	}
	list, err := json.Marshal(map[string]map[string]string{"Replace": {path: name}})
	if err != nil {
		return "", err
	}
	overlay := filepath.Join(r.scratch, fmt.Sprintf("%d.json", i))
	return overlay, os.WriteFile(overlay, list, 0o600)
}

// test runs the guard's test and returns what go test printed.
func (r *runner) test(ctx context.Context, g Guard, extra ...string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, killAfter)
	defer cancel()
	args := append([]string{"test", "-v", "-vet=off", "-timeout", testTimeout.String(), "-run", g.Test}, extra...)
	cmd := exec.CommandContext(ctx, "go", append(args, g.Package)...)
	cmd.Dir = r.dir
	cmd.WaitDelay = 10 * time.Second
	out, err := cmd.CombinedOutput()
	if ctx.Err() != nil {
		err = ctx.Err()
	}
	return string(out), err
}

var (
	passed  = regexp.MustCompile(`(?m)^--- PASS: (\S+)`)
	failed  = regexp.MustCompile(`(?m)^\s*--- FAIL: (\S+)`)
	noBuild = regexp.MustCompile(`\[(build|setup) failed\]`)
)

// passes wants at least one test that ran and passed: a name that matches none
// would pass for ever, and so would one that is skipped.
func passes(output string, err error) error {
	switch {
	case err != nil:
		return fmt.Errorf("its test does not pass (%w)\n%s", err, indent(tail(output)))
	case !passed.MatchString(output):
		return errors.New("no test of that name runs")
	}
	return nil
}

// judge reads what go test says of a mutant.
func judge(output string, err error) Outcome {
	if err == nil {
		return Outcome{What: "its test passes without it", Output: tail(output)}
	}
	if noBuild.MatchString(output) {
		return Outcome{What: "does not compile without it", Output: tail(output)}
	}
	if name := deepest(output); name != "" {
		return Outcome{Shown: true, What: name + " fails"}
	}
	switch {
	case errors.Is(err, context.DeadlineExceeded), strings.Contains(output, "panic: test timed out"):
		return Outcome{Shown: true, What: "its test hangs"}
	case strings.Contains(output, "panic: "):
		return Outcome{Shown: true, What: "its test panics"}
	}
	return Outcome{What: err.Error(), Output: tail(output)}
}

// deepest names the failing test that says most: the subtest, not its parent.
func deepest(output string) string {
	name := ""
	for _, m := range failed.FindAllStringSubmatch(output, -1) {
		if strings.Count(m[1], "/") > strings.Count(name, "/") || name == "" {
			name = m[1]
		}
	}
	return name
}

// tail keeps the last lines, where go test says what happened.
func tail(output string) string {
	lines := strings.Split(strings.TrimRight(output, "\n"), "\n")
	return strings.Join(lines[max(0, len(lines)-12):], "\n")
}

func indent(s string) string {
	return "       | " + strings.ReplaceAll(s, "\n", "\n       | ")
}
