package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"airlock/internal/publish"
)

// validTemplates copies the step templates that Airlock takes into a new folder
// and says how many it left out: the peer gets the same files.
func validTemplates(ctx context.Context, from, to string) (taken, refused int, err error) {
	collected, err := publish.Collect(ctx, []string{from}, publish.Options{KeepGoing: true})
	if err != nil {
		return 0, 0, fmt.Errorf("%w: -templates names a folder of step templates", err)
	}
	if err := os.Mkdir(to, 0o755); err != nil {
		return 0, 0, err
	}
	for _, p := range collected.Packages {
		content, err := os.ReadFile(p.Source)
		if err != nil {
			return 0, 0, err
		}
		if err := os.WriteFile(filepath.Join(to, filepath.Base(p.Source)), content, 0o644); err != nil {
			return 0, 0, err
		}
	}
	return len(collected.Packages), len(collected.Refused), nil
}
