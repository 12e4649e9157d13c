// Package proc reads what a process and its children have used: CPU time and
// memory, from Linux's /proc.
package proc

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"strconv"
	"time"
)

// tick is the unit of CPU times in /proc/PID/stat: USER_HZ, 100 per second on
// every Linux architecture that Go knows.
const tick = 10 * time.Millisecond

// Usage is what processes used since they began.
type Usage struct {
	CPU     time.Duration // user and system, to 10 ms
	PeakKiB int64         // highest resident memory, summed over processes
}

// Of returns the usage of a process and of all its living descendants, such
// as nginx's workers. Children that ended and were waited for count as CPU.
func Of(pid int) (Usage, error) {
	parents, err := children()
	if err != nil {
		return Usage{}, err
	}
	var total Usage
	for todo := []int{pid}; len(todo) > 0; {
		next := todo[len(todo)-1]
		todo = append(todo[:len(todo)-1], parents[next]...)
		u, err := one(next)
		if err != nil && next != pid && errors.Is(err, os.ErrNotExist) {
			continue // ended since
		}
		if err != nil {
			return Usage{}, err
		}
		total.CPU += u.CPU
		total.PeakKiB += u.PeakKiB
	}
	return total, nil
}

// children maps each process to those it started.
func children() (map[int][]int, error) {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil, err
	}
	out := map[int][]int{}
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		if fields, err := stat(pid); err == nil {
			if parent, err := strconv.Atoi(fields[1]); err == nil {
				out[parent] = append(out[parent], pid)
			}
		}
	}
	return out, nil
}

// stat returns the fields of /proc/PID/stat that follow the program's name,
// which may itself hold spaces: state, parent, ... (proc(5)).
func stat(pid int) ([]string, error) {
	content, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return nil, err
	}
	var fields []string
	for _, f := range bytes.Fields(content[bytes.LastIndexByte(content, ')')+1:]) {
		fields = append(fields, string(f))
	}
	if len(fields) < 15 {
		return nil, fmt.Errorf("/proc/%d/stat has %d fields", pid, len(fields))
	}
	return fields, nil
}

func one(pid int) (Usage, error) {
	fields, err := stat(pid)
	if err != nil {
		return Usage{}, err
	}
	var u Usage
	for _, f := range fields[11:15] { // utime, stime, cutime, cstime
		ticks, err := strconv.ParseInt(f, 10, 64)
		if err != nil {
			return Usage{}, err
		}
		u.CPU += time.Duration(ticks) * tick
	}
	u.PeakKiB, err = peak(pid)
	return u, err
}

// peak reads VmHWM; a process that has ended but was not waited for has none.
func peak(pid int) (int64, error) { return memory(pid, "VmHWM:") }

// Resident returns the memory that a process holds now, in KiB.
func Resident(pid int) (int64, error) { return memory(pid, "VmRSS:") }

// memory reads a field of /proc/PID/status that is in kB (proc(5)).
func memory(pid int, field string) (int64, error) {
	content, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, err
	}
	for line := range bytes.Lines(content) {
		if rest, ok := bytes.CutPrefix(line, []byte(field)); ok {
			return strconv.ParseInt(string(bytes.Fields(rest)[0]), 10, 64)
		}
	}
	return 0, nil
}
