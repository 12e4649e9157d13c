package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"time"

	"airlock/internal/bench/peers"
)

// helpers are what this program runs as a process of its own.
var helpers = map[string]func(ctx context.Context, args []string, stderr io.Writer) error{
	"build":    siteHelper(build),
	"receipts": siteHelper(buildReceipts),
	"spaces":   siteHelper(buildSpaces),
	"waiters":  waitersHelper,
	"idle":     idleHelper,
	"loud":     loudHelper,
	"crypto":   cryptoHelper,
	"touch":    touchHelper,
	"profile":  profileHelper,
}

// helperLimit bounds a helper process.
const helperLimit = 40 * time.Minute

// help runs a helper and returns what it printed.
func help(ctx context.Context, stderr io.Writer, args ...string) ([]byte, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, helperLimit)
	defer cancel()
	cmd := exec.CommandContext(ctx, self, args...)
	cmd.Stderr, cmd.WaitDelay = stderr, 5*time.Second
	out, err := cmd.Output()
	if err != nil {
		err = fmt.Errorf("%s: %w", args[0], err)
	}
	return out, err
}

// startHelper starts a helper that works beside this program, at a niceness. said
// returns the next line that it prints. Stop it.
func startHelper(ctx context.Context, niceness int, args ...string) (said func() (string, error), stop func(), err error) {
	self, err := os.Executable()
	if err != nil {
		return nil, nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, helperLimit)
	cmd := exec.CommandContext(ctx, "nice", append([]string{"-n", strconv.Itoa(niceness), self}, args...)...)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		cancel()
		return nil, nil, err
	}
	lines := bufio.NewScanner(out)
	said = func() (string, error) {
		if !lines.Scan() {
			return "", errors.Join(lines.Err(), fmt.Errorf("%s: ended", args[0]))
		}
		return lines.Text(), nil
	}
	stop = func() {
		cancel()
		_ = cmd.Wait() // it was killed
	}
	return said, stop, nil
}

// siteHelper is "NAME AIRLOCK DIR N": a new site, filled with n entries.
func siteHelper(fill func(ctx context.Context, s *site, n int64, progress io.Writer) error) func(context.Context, []string, io.Writer) error {
	return func(ctx context.Context, args []string, stderr io.Writer) error {
		if len(args) != 3 {
			return errors.New("want AIRLOCK DIR N")
		}
		n, err := strconv.ParseInt(args[2], 10, 64)
		if err != nil {
			return err
		}
		s, err := newSite(ctx, args[0], args[1])
		if err != nil {
			return err
		}
		return fill(ctx, s, n, stderr)
	}
}

// touchHelper is "touch BYTES": uses as much memory, and gives it back.
func touchHelper(_ context.Context, args []string, _ io.Writer) error {
	if len(args) != 1 {
		return errors.New("touch: want BYTES")
	}
	n, err := strconv.Atoi(args[0])
	if err != nil {
		return err
	}
	memory := make([]byte, n)
	for i := 0; i < n; i += os.Getpagesize() {
		memory[i] = 1
	}
	return nil
}

// cryptoHelper is "crypto BYTES PIECE SIGNATURES": the bare cost, on two
// threads, as JSON.
func cryptoHelper(_ context.Context, args []string, _ io.Writer) error {
	var n [3]int64
	if len(args) != len(n) {
		return errors.New("crypto: want BYTES PIECE SIGNATURES")
	}
	for i, a := range args {
		var err error
		if n[i], err = strconv.ParseInt(a, 10, 64); err != nil {
			return err
		}
	}
	cost, err := peers.Crypto(n[0], int(n[1]), int(n[2]), 2)
	if err != nil {
		return err
	}
	out, err := json.Marshal(cost)
	fmt.Println(string(out))
	return err
}
