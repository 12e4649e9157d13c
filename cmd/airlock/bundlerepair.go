package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"airlock/bundle"
)

func (a *app) bundleRepairCommand() *cobra.Command {
	var out string
	var dryRun bool
	c := &cobra.Command{
		Use:   "repair STICK…",
		Short: "Make damaged and missing volumes again, out of the parity",
		Long: `Find what of a bundle's volumes is damaged or missing, and make these volumes
again from what is good and the parity, where the bundle has enough of it. Each
block is held against what the maker signed. No key is needed, for an encrypted
bundle neither.

The volumes go to the folder that was named, or with -o to another one: the medium
itself is then only read.`,
		Example: `  airlock bundle repair /mnt/stick --dry-run
  airlock bundle repair /mnt/stick -o repaired
  airlock bundle verify repaired /mnt/stick      # a volume counts where it is found first`,
		Args:              atLeast(1, "a folder or volumes"),
		ValidArgsFunction: completeVolumes,
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.bundleRepair(cmd.Context(), args, out, dryRun)
		},
	}
	c.Flags().StringVarP(&out, "output", "o", "", "folder for the volumes that are made (default: that of the bundle)")
	c.Flags().BoolVar(&dryRun, "dry-run", false, "show what is damaged and whether it can be repaired")
	return c
}

type repairDoc struct {
	Bundle     string   `json:"bundle"`
	Missing    []int    `json:"missing"` // volumes, counted from 1
	Damaged    []int    `json:"damaged"`
	Blocks     int64    `json:"blocks"`
	Bad        int64    `json:"bad"` // blocks that are damaged or missing
	Repairable bool     `json:"repairable"`
	Written    []string `json:"written"`
	DryRun     bool     `json:"dryRun,omitempty"`
}

func (a *app) bundleRepair(ctx context.Context, paths []string, out string, dryRun bool) error {
	if out == "" {
		info, err := os.Stat(paths[0])
		if err != nil {
			return err
		}
		if out = paths[0]; !info.IsDir() {
			out = filepath.Dir(out)
		}
	}
	c, err := a.openChecked(ctx, paths, nil)
	if err != nil {
		return err
	}
	defer c.Close()
	bar := a.progress("reading volumes")
	health, err := c.Verify(ctx, bar.setBytes)
	bar.end()
	if err != nil {
		return err
	}
	doc := repairDoc{Bundle: c.ID().String(), Missing: append([]int{}, health.Missing...), Damaged: []int{}, Blocks: health.Blocks, Bad: health.Bad,
		Repairable: health.Repairable, Written: []string{}, DryRun: dryRun}
	for _, d := range health.Damaged {
		doc.Damaged = append(doc.Damaged, d.Volume)
	}
	if !health.Whole() && !health.Repairable {
		return health.Err()
	}
	if !health.Whole() && !dryRun {
		if doc.Written, err = a.rebuild(ctx, c.Bundle, health, out); err != nil {
			return err
		}
	}
	if err := a.show(doc, func(w io.Writer) { doc.table(w, out) }); err != nil {
		return err
	}
	if len(doc.Written) > 0 {
		a.note("next: airlock bundle verify %s", besides(out, paths))
	}
	return nil
}

// besides names the folder of the volumes that were made before all others, of
// which those that are damaged count no more.
func besides(out string, paths []string) string {
	words := []string{shellWord(out)}
	for _, path := range paths {
		if path != out {
			words = append(words, shellWord(path))
		}
	}
	return strings.Join(words, " ")
}

func (a *app) rebuild(ctx context.Context, b *bundle.Bundle, health *bundle.Health, out string) ([]string, error) {
	folder, err := bundle.NewFolder(out)
	if err != nil {
		return nil, err
	}
	bar := a.progress("repairing")
	defer bar.end()
	return b.Repair(ctx, health, folder, bar.setBytes)
}

func (d repairDoc) table(w io.Writer, out string) {
	if len(d.Missing)+len(d.Damaged) == 0 {
		fmt.Fprintf(w, "bundle %s is whole: %s good, nothing to repair\n", d.Bundle, count(int(d.Blocks), "block", "blocks"))
		return
	}
	fmt.Fprintf(w, "bundle %s: volumes missing: %s, damaged: %s; %d of %s bad\n", d.Bundle, numberList(d.Missing), numberList(d.Damaged), d.Bad, count(int(d.Blocks), "block", "blocks"))
	if d.DryRun {
		fmt.Fprintln(w, "parity suffices to make them again; nothing was written: --dry-run")
		return
	}
	for _, name := range d.Written {
		fmt.Fprintf(w, "  made again: %s\n", filepath.Join(out, name))
	}
}

func numberList(numbers []int) string {
	text := ""
	for _, n := range numbers {
		text += fmt.Sprintf(", %d", n)
	}
	return dash(strings.TrimPrefix(text, ", "))
}
