//go:build linux

package proc

import (
	"os"
	"os/exec"
	"testing"
	"time"
)

func TestOfCountsOwnWork(t *testing.T) {
	before, err := Of(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	sum := 0
	for deadline := time.Now().Add(100 * time.Millisecond); time.Now().Before(deadline); {
		sum++
	}
	after, err := Of(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	if after.CPU <= before.CPU {
		t.Errorf("100 ms of work (%d rounds) went from %v to %v", sum, before.CPU, after.CPU)
	}
	if after.PeakKiB < 1000 {
		t.Errorf("peak of %d KiB", after.PeakKiB)
	}
}

func TestOfCountsChildren(t *testing.T) {
	child := exec.Command("cat") // waits for its input
	input, err := child.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Skip(err)
	}
	parents, err := children()
	if err != nil {
		t.Fatal(err)
	}
	found := false
	for _, pid := range parents[os.Getpid()] {
		found = found || pid == child.Process.Pid
	}
	if !found {
		t.Errorf("child %d is not among %v", child.Process.Pid, parents[os.Getpid()])
	}
	input.Close()
	if err := child.Wait(); err != nil {
		t.Error(err)
	}
}

func TestOfUnknown(t *testing.T) {
	if _, err := Of(1 << 30); err == nil {
		t.Error("a process that cannot be has a usage")
	}
}
