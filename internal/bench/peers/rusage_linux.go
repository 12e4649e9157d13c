package peers

import (
	"os"
	"syscall"
)

// peakKiB is the highest resident memory of a process that has ended.
func peakKiB(state *os.ProcessState) int64 {
	if usage, ok := state.SysUsage().(*syscall.Rusage); ok {
		return usage.Maxrss
	}
	return 0
}
