// Command mutate shows that the checks which keep a bad thing out are tested:
// it disables each guard of a list in turn and runs the test named for it,
// which must then fail. Nothing is written into the source tree.
//
//	go run ./internal/mutate [-run REGEXP] [-p 2] [-C DIR] internal/mutate/guards.txt
//
// It exits 1 where a guard is not as the list says, where its test does not
// pass with the guard in place, or where it still passes without.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"regexp"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdout, os.Stderr); err != nil {
		fmt.Fprintf(os.Stderr, "mutate: %v\n", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	flags := flag.NewFlagSet("mutate", flag.ContinueOnError)
	flags.SetOutput(stderr)
	filter := flags.String("run", "", "only guards whose name matches this `regexp`")
	workers := flags.Int("p", 2, "tests to run at once")
	dir := flags.String("C", ".", "the module's `folder`")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if flags.NArg() != 1 {
		return errors.New("want one argument, the list of guards")
	}
	wanted, err := regexp.Compile(*filter)
	if err != nil {
		return err
	}

	list, err := os.ReadFile(flags.Arg(0))
	if err != nil {
		return err
	}
	guards, err := parse(flags.Arg(0), list)
	if err != nil {
		return err
	}
	var selected []Guard
	for _, g := range guards {
		if wanted.MatchString(g.Name) {
			selected = append(selected, g)
		}
	}
	if len(selected) == 0 {
		return fmt.Errorf("no guard in %s is named like %q", flags.Arg(0), *filter)
	}

	scratch, err := os.MkdirTemp("", "mutate-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(scratch)
	r := runner{dir: *dir, scratch: scratch, workers: *workers}
	shown := 0
	r.all(ctx, selected, func(g Guard, o Outcome) {
		report(stdout, g, o)
		if o.Shown {
			shown++
		}
	})
	fmt.Fprintf(stdout, "%d guards disabled in turn, %d shown by a failing test\n", len(selected), shown)
	if bad := len(selected) - shown; bad > 0 {
		return fmt.Errorf("%d of %d guards are not shown by their test", bad, len(selected))
	}
	return nil
}

// report prints a line for a guard, and the evidence where something is wrong.
func report(w io.Writer, g Guard, o Outcome) {
	mark := "ok"
	if !o.Shown {
		mark = "WRONG"
	}
	fmt.Fprintf(w, "%-5s  %-34s %-28s %s\n", mark, g.Name, g.File, o.What)
	if !o.Shown && o.Output != "" {
		fmt.Fprintln(w, indent(o.Output))
	}
}
