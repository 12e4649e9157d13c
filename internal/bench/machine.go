package main

import (
	"fmt"
	"os"
	"runtime"
	"strings"
)

// describeMachine says what the figures were measured on, without a date or a
// name.
func describeMachine() string {
	cpu, _ := os.ReadFile("/proc/cpuinfo")
	kernel, _ := os.ReadFile("/proc/sys/kernel/osrelease")
	return fmt.Sprintf("%d cores of %s, %s, %s %s", runtime.NumCPU(), cpuModel(string(cpu)), runtime.Version(),
		runtime.GOOS, strings.TrimSpace(string(kernel)))
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
