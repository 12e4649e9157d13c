package main

import (
	"cmp"
	"context"
	"errors"
	"os"
	"slices"
	"time"

	"github.com/spf13/pflag"

	"airlock/feed"
	"airlock/internal/apply"
	"airlock/internal/home"
	"airlock/storage"
	"airlock/trust"
)

// scanOptions say what looks at packages before they are let in.
type scanOptions struct {
	command string
	again   bool
}

func (o *scanOptions) flags(f *pflag.FlagSet) {
	f.StringVar(&o.command, "scan", "", "program that looks at each package before it is let in, run by the shell")
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

// choose decides what of a feed is wanted. With --scan, what nothing but a scan
// keeps out is scanned first: each package that was refused makes room for the
// version before it. Where the scanner gave no verdict the package stays out, and
// s waits with the first such error.
func (p *puller) choose(ctx context.Context, s *prepared) (choice apply.Choice, err error) {
	o, view := p.options.scan, s.follower.View
	if o.command == "" {
		return apply.Choose(s.state, view, p.sel, p.now()), nil
	}
	h, err := p.home()
	if err != nil {
		return choice, err
	}
	evidence := view.Evidence()
	evidence.Scanner, evidence.Scans = o.command, p.verdicts(h)
	view.Judge(evidence)
	asked, absent := map[storage.Digest]bool{}, map[storage.Digest]bool{}
	for {
		choice = apply.Choose(s.state, view, p.sel, p.now())
		var rows []feed.Row
		for _, r := range choice.Unscanned {
			if asked[r.Manifest] {
				continue
			}
			asked[r.Manifest] = true
			if there, err := p.there(ctx, s, r); err != nil {
				return choice, err
			} else if absent[r.Manifest] = !there; there {
				rows = append(rows, r)
			}
		}
		if len(rows) == 0 || p.options.dryRun {
			return p.withoutAbsent(s, choice, absent)
		}
		if err := p.scan(ctx, h, s, rows); err != nil {
			return choice, err
		}
		s.doc.Scanned += len(rows)
	}
}

// there reports whether the source has a package: a medium may lack some.
func (p *puller) there(ctx context.Context, s *prepared, r feed.Row) (bool, error) {
	if p.conn.stick == nil {
		return true, nil
	}
	return carries(ctx, p.conn.stick, s.state.ID, r)
}

// withoutAbsent takes out of what is refused the packages that nobody can scan,
// since a medium does not have them: they were left out, or are here already.
func (p *puller) withoutAbsent(s *prepared, choice apply.Choice, absent map[storage.Digest]bool) (apply.Choice, error) {
	var kept []apply.Refused
	for _, r := range choice.Refused {
		switch {
		case !absent[r.Row.Manifest] || !errors.Is(r.Err, trust.ErrUnscanned):
			kept = append(kept, r)
		case slices.ContainsFunc(s.installed, func(it apply.Item) bool { return it.Statement == r.Row.ID }):
		default:
			if err := s.lacks(p.conn.stick, r.Row); err != nil {
				return choice, err
			}
		}
	}
	choice.Refused = kept
	return choice, nil
}

// wouldScan reports whether a package stays out only because --dry-run asks no
// scanner.
func (p *puller) wouldScan(refusal error) bool {
	return p.options.dryRun && p.options.scan.command != "" && errors.Is(refusal, trust.ErrUnscanned)
}

// verdicts returns what scanners said here; with --rescan, since this command
// began.
func (p *puller) verdicts(h *home.Home) func(storage.Digest) ([]trust.Scan, error) {
	return func(manifest storage.Digest) ([]trust.Scan, error) {
		if p.options.scan.again && !p.scanned[manifest] {
			return nil, nil
		}
		return h.Scans(manifest)
	}
}

// scan asks the scanner about packages, and keeps what it says.
func (p *puller) scan(ctx context.Context, h *home.Home, s *prepared, rows []feed.Row) error {
	o := p.options
	scanner := &apply.Scanner{Program: p.program(o.scan.command, o.timeout)}
	bar := p.progress("scanning " + s.state.ID.String())
	defer bar.end()
	var done int64
	return s.follower.Fetch(ctx, s.state, rows, func(pkg *feed.Package) error {
		done++
		bar.set(done, int64(len(rows)))
		clean, said, err := scanner.Scan(ctx, s.state.ID, pkg)
		if as[*apply.NoVerdictError](err) {
			s.waiting = cmp.Or(s.waiting, err)
			return nil
		}
		if err != nil {
			return err
		}
		p.scanned[pkg.Row.Manifest] = true
		return h.KeepScan(pkg.Row.Manifest, trust.Scan{Command: o.scan.command, Clean: clean, Said: said, Time: p.now()})
	})
}
