package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync/atomic"
	"time"

	"golang.org/x/term"

	"airlock/internal/home"
	"airlock/signing"
	"airlock/trust"
)

// streams are where a command reads and writes: data on out, everything for
// people's eyes (logs, progress, questions) on err.
type streams struct {
	in       io.Reader
	out, err io.Writer
}

// app is what all commands share.
type app struct {
	streams
	commonFlags
	getenv func(string) string
	now    func() time.Time

	inEnvironment map[string]bool // flags that the environment set

	open   *home.Home
	tookIn int    // approvals that were new
	said   string // the passphrase, once it was typed
	acts   string // --audit-log of airlock server
	drawn  atomic.Pointer[bar]
}

// commonFlags are the flags of every command.
type commonFlags struct {
	homePath   string // --home
	server     string // --server
	store      string // --store
	tokenFile  string // --token-file
	format     string // --format
	quiet      bool   // --quiet
	noProgress bool   // --no-progress
	passFile   string // --passphrase-file
}

// run is the program: it reads and writes only what it is given, and returns
// the exit code.
func run(ctx context.Context, args []string, s streams, getenv func(string) string, now func() time.Time) int {
	a := &app{streams: s, getenv: getenv, now: now}
	root := newRoot(a)
	root.SetArgs(args)
	root.SetIn(s.in)
	root.SetOut(s.out)
	root.SetErr(s.err)
	err := root.ExecuteContext(ctx)
	if err != nil && errors.Is(err, context.Canceled) && ctx.Err() != nil {
		err = errInterrupted
	}
	return a.report(err)
}

// home opens the home folder: --home, AIRLOCK_HOME, or .airlock in the user's
// own folder.
func (a *app) home() (*home.Home, error) {
	if a.open != nil {
		return a.open, nil
	}
	path, err := a.homeFolder()
	if err != nil {
		return nil, err
	}
	h, err := home.Open(path)
	if err != nil {
		return nil, wrongFolder("home", path, err)
	}
	a.open = h
	return h, nil
}

// space opens the home and reads who its own Space is; home.ErrNoSpace where it
// holds none.
func (a *app) space() (*home.Home, *trust.History, error) {
	h, err := a.home()
	if err != nil {
		return nil, nil, err
	}
	own, err := h.Identity()
	return h, own, err
}

func (a *app) homeFolder() (string, error) {
	if a.homePath != "" {
		return a.homePath, nil
	}
	user, err := os.UserHomeDir()
	if err != nil {
		return "", usage("where is the home folder? %v", "say --home DIR or set AIRLOCK_HOME", err)
	}
	return filepath.Join(user, ".airlock"), nil
}

// passphrase returns the passphrase of the Space's keys, asked for once.
func (a *app) passphrase() (string, error) {
	if a.said != "" {
		return a.said, nil
	}
	p, err := a.passphraseFor("the keys of this Space")
	a.said = p
	return p, err
}

// passphraseFor returns a passphrase: from --passphrase-file,
// AIRLOCK_PASSPHRASE, or asked for on a terminal.
func (a *app) passphraseFor(what string) (string, error) {
	if a.passFile != "" {
		return readSecretFile(a.passFile)
	}
	if p := a.getenv("AIRLOCK_PASSPHRASE"); p != "" {
		return p, nil
	}
	return a.askSecret("Passphrase for " + what + ": ")
}

// askSecret reads a line from the terminal without showing it.
func (a *app) askSecret(question string) (string, error) {
	f, ok := a.in.(*os.File)
	if !ok || !term.IsTerminal(int(f.Fd())) {
		return "", hinted(signing.ErrPassphrase, "the keys are encrypted and there is no terminal to ask on",
			"set AIRLOCK_PASSPHRASE or say --passphrase-file FILE")
	}
	fmt.Fprint(a.err, question)
	b, err := term.ReadPassword(int(f.Fd()))
	fmt.Fprintln(a.err)
	return string(b), err
}

// ask reads a line from in, shown as it is typed.
func (a *app) ask(question string) (string, error) {
	fmt.Fprint(a.err, question)
	line, err := bufio.NewReader(io.LimitReader(a.in, 4096)).ReadString('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		return "", err
	}
	if line == "" {
		fmt.Fprintln(a.err)
		return "", usage("no answer to: %s", "answer on standard input, or see the command's --help for the flag that answers", question)
	}
	return trimLine(line), nil
}

func trimLine(s string) string {
	for len(s) > 0 && (s[len(s)-1] == '\n' || s[len(s)-1] == '\r') {
		s = s[:len(s)-1]
	}
	return s
}

func readSecretFile(path string) (string, error) {
	b, err := home.ReadFile(path, 4096)
	return trimLine(string(b)), err
}

// note writes a line for people, unless --quiet.
func (a *app) note(format string, args ...any) {
	if !a.quiet {
		a.clearBar()
		fmt.Fprintf(a.err, format+"\n", args...)
	}
}

// onTerminal reports whether people see err as it is written.
func (a *app) onTerminal() bool {
	f, ok := a.err.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}
