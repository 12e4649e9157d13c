// Command airlock shares variable sets, step templates, script modules,
// extensions and releases between Spaces through signed feeds. See README.md.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"
	"time"
	_ "time/tzdata" // subscriptions name zones, and not every system has them
)

func main() { os.Exit(program(time.Now)) }

// program is the process but for its end; now is its clock.
func program(now func() time.Time) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	return run(ctx, os.Args[1:], streams{os.Stdin, os.Stdout, os.Stderr}, os.Getenv, now)
}
