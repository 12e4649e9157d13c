package peers

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os/exec"
	"strings"
	"time"
)

// A Cost is what one program took from start to end.
type Cost struct {
	WallS   float64 `json:"wall_s"`
	CPUS    float64 `json:"cpu_s"` // user and system
	PeakKiB int64   `json:"peak_rss_kib"`
}

// Run measures one command and returns what it printed.
func Run(ctx context.Context, name string, args ...string) (Cost, []byte, error) {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.WaitDelay = 5 * time.Second
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	start := time.Now()
	err := cmd.Run()
	wall := time.Since(start)
	if err != nil {
		return Cost{}, nil, fmt.Errorf("%s %s: %w\n%s", name, strings.Join(args, " "), err, lastLines(errs.String(), 10))
	}
	state := cmd.ProcessState
	return Cost{
		WallS:   wall.Seconds(),
		CPUS:    (state.UserTime() + state.SystemTime()).Seconds(),
		PeakKiB: peakKiB(state),
	}, out.Bytes(), nil
}

// Missing says which of the programs are not installed.
func Missing(programs ...string) error {
	var missing []string
	for _, name := range programs {
		if _, err := exec.LookPath(name); err != nil {
			missing = append(missing, name)
		}
	}
	if len(missing) > 0 {
		return errors.New("not installed: " + strings.Join(missing, ", "))
	}
	return nil
}

func lastLines(s string, n int) string {
	lines := strings.Split(strings.TrimRight(s, "\n"), "\n")
	return strings.Join(lines[max(0, len(lines)-n):], "\n")
}
