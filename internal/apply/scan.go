package apply

import (
	"context"
	"errors"
	"fmt"
	"os"

	"airlock/feed"
)

// Scanner asks a program about packages before they are let in. The program
// finds the package in its environment
//
//	AIRLOCK_SCAN_DIR       a folder with the package's files, verified, for as long
//	                       as the program runs
//	AIRLOCK_SCAN_FILE      the path of the first of them
//	AIRLOCK_SCAN_FEED      <organisation>/<space>/<feed>
//	AIRLOCK_SCAN_KIND      of the package
//	AIRLOCK_SCAN_NAME      likewise
//	AIRLOCK_SCAN_VERSION   likewise
//	AIRLOCK_SCAN_MANIFEST  the digest of its manifest, which is what the verdict is about
//
// and nothing on its standard input. Exit status 0 says that the package is clean,
// any other that it is not. The files are copies: what becomes of them changes
// nothing that is taken in.
type Scanner struct{ Program }

// NoVerdictError reports a scanner that was started and said neither that a
// package is clean nor that it is not.
type NoVerdictError struct {
	Ref  feed.Ref
	Why  string // "run took longer than 1m0s"
	Last string // the last line that it wrote, if any
}

func (e *NoVerdictError) Error() string {
	return fmt.Sprintf("%s was not scanned: the scanner's %s", e.Ref, saidWhy(e.Why, e.Last))
}

// Hint is what to do next.
func (e *NoVerdictError) Hint() string {
	return "run the scanner by hand to see why; --exec-timeout says how long it may take; pull again then"
}

// ErrNoScanner reports a scanner of which the shell says that there is no such program.
var ErrNoScanner = errors.New("cannot be started")

// The shell's exit statuses for a command that it cannot start (POSIX, Shell
// Command Language, section 2.8.2).
const (
	notExecutable = 126
	notFound      = 127
)

// Scan reports whether the program finds a package clean, and the last line that
// it wrote. A program that cannot be started is any error, one that was stopped
// or took too long a *NoVerdictError.
func (s *Scanner) Scan(ctx context.Context, id feed.ID, p *feed.Package) (clean bool, said string, err error) {
	folder, err := s.unpack(ctx, p)
	defer os.RemoveAll(folder)
	if err != nil {
		return false, "", err
	}
	ref := p.Row.Ref
	r, err := s.run(ctx, "AIRLOCK_SCAN_", [][2]string{
		{"DIR", folder}, {"FILE", firstFile(folder, p.Manifest.Layers)}, {"FEED", id.String()}, {"KIND", ref.Kind}, {"NAME", ref.Name},
		{"VERSION", ref.Version}, {"MANIFEST", p.Row.Manifest.String()},
	}, nil)
	switch {
	case err != nil:
		return false, "", fmt.Errorf("scanner: %w", err)
	case r.why == "":
		return true, lastLine(r.output), nil
	case r.code == notExecutable || r.code == notFound:
		return false, "", fmt.Errorf("scanner: %w: %s", ErrNoScanner, saidWhy(r.why, r.complaint))
	case r.code < 0:
		return false, "", &NoVerdictError{ref, r.why, r.complaint}
	}
	return false, lastLine(r.output), nil
}
