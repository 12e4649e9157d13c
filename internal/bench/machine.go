package main

import (
	"fmt"
	"os"
	"runtime"
	"strings"
)

// describeMachine says what the figures were measured on, without a date or a
// name: of the kernel's release only what stands before the first "-", since
// the rest is its builder's own.
func describeMachine() string {
	cpu, _ := os.ReadFile("/proc/cpuinfo")
	release, _ := os.ReadFile("/proc/sys/kernel/osrelease")
	kernel, _, _ := strings.Cut(strings.TrimSpace(string(release)), "-")
	return fmt.Sprintf("%d cores of %s, %s, %s %s", runtime.NumCPU(), cpuModel(string(cpu)), runtime.Version(),
		runtime.GOOS, kernel)
}

// cpuModel reads the first model name of /proc/cpuinfo.
func cpuModel(info string) string {
	for line := range strings.Lines(info) {
		name, value, ok := strings.Cut(line, ":")
		if ok && strings.TrimSpace(name) == "model name" {
			return strings.TrimSpace(value)
		}
	}
	return runtime.GOARCH
}
