package main

import (
	"context"
	"os"
	"time"

	"github.com/spf13/pflag"

	"airlock/feed"
	"airlock/internal/apply"
	"airlock/internal/home"
	"airlock/storage"
	"airlock/trust"
)

// scanOptions say what looks at packages.
type scanOptions struct {
	command string
	again   bool
}

// flags declares them; what says which packages are shown to the program, and when.
func (o *scanOptions) flags(f *pflag.FlagSet, what string) {
	f.StringVar(&o.command, "scan", "", "program that looks at each package "+what+", run by the shell")
	f.BoolVar(&o.again, "rescan", false, "with --scan: ask again about what was scanned before")
}

func (o scanOptions) check() error {
	if o.command == "" {
		if o.again {
			return usage("--rescan without --scan", "say which program: --scan COMMAND")
		}
		return nil
	}
	if err := home.CheckScanner(o.command); err != nil {
		return usage("--scan: %v", "put what is longer into a script, and say --scan ./script", err)
	}
	return nil
}

// program returns how a command line is run for packages.
func (a *app) program(line string, timeout time.Duration) apply.Program {
	return apply.Program{Command: apply.Shell(line), Env: os.Environ(), Timeout: timeout, Stdout: a.err, Stderr: a.err}
}

// scanning asks the scanner about packages, once about each, and keeps what it says
// in the home.
type scanning struct {
	scanOptions
	home    *home.Home
	scanner *apply.Scanner
	now     func() time.Time
	asked   map[storage.Digest]bool // manifests, by this command
}

// scanning returns nil where no scanner is asked for.
func (a *app) scanning(o scanOptions, timeout time.Duration) (*scanning, error) {
	if err := o.check(); err != nil || o.command == "" {
		return nil, err
	}
	h, err := a.home()
	return &scanning{o, h, &apply.Scanner{Program: a.program(o.command, timeout)}, a.now, map[storage.Digest]bool{}}, err
}

// judge makes the scanner's word what a view goes by.
func (s *scanning) judge(view *trust.View) {
	evidence := view.Evidence()
	evidence.Scanner, evidence.Scans = s.command, s.verdicts
	view.Judge(evidence)
}

// verdicts returns what scanners said here; with --rescan, since this command
// began.
func (s *scanning) verdicts(manifest storage.Digest) ([]trust.Scan, error) {
	if s.again && !s.asked[manifest] {
		return nil, nil
	}
	return s.home.Scans(manifest)
}

// verdict returns what this scanner said of a package, and whether it said anything.
func (s *scanning) verdict(manifest storage.Digest) (trust.Scan, bool, error) {
	all, err := s.verdicts(manifest)
	for _, v := range all {
		if v.Command == s.command {
			return v, true, err
		}
	}
	return trust.Scan{}, false, err
}

// ask asks the scanner about a package. Where it says nothing that is an
// *apply.NoVerdictError.
func (s *scanning) ask(ctx context.Context, id feed.ID, pkg *feed.Package) error {
	clean, said, err := s.scanner.Scan(ctx, id, pkg)
	if err != nil {
		return err
	}
	s.asked[pkg.Row.Manifest] = true
	return s.home.KeepScan(pkg.Row.Manifest, trust.Scan{Command: s.command, Clean: clean, Said: said, Time: s.now()})
}
