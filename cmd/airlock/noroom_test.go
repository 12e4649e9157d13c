package main

import (
	"errors"
	"os"
	"os/exec"
	"runtime"
	"sync"
	"syscall"

	"github.com/rogpeppe/go-internal/testscript"
)

// mayMount reports whether this user may mount a small tmpfs: root on Linux
// may, outside of most containers.
var mayMount = sync.OnceValue(func() bool {
	if runtime.GOOS != "linux" || os.Geteuid() != 0 {
		return false
	}
	dir, err := os.MkdirTemp("", "airlock-tmpfs-")
	if err != nil {
		return false
	}
	defer os.Remove(dir)
	if mountTmpfs(dir, "1m") != nil {
		return false
	}
	return unmount(dir) == nil
})

func mountTmpfs(dir, size string) error {
	return exec.Command("mount", "-t", "tmpfs", "-o", "size="+size, "tmpfs", dir).Run()
}

func unmount(dir string) error { return exec.Command("umount", dir).Run() }

// scriptCondition knows [tmpfs].
func scriptCondition(name string) (bool, error) {
	if name == "tmpfs" {
		return mayMount(), nil
	}
	return false, errors.New("unknown condition " + name)
}

// smallDisk runs "small-disk DIR SIZE": DIR is a disk with so much room, such
// as 4m.
func smallDisk(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: small-disk DIR SIZE")
	}
	dir := ts.MkAbs(args[0])
	ts.Check(os.Mkdir(dir, 0o700))
	ts.Check(mountTmpfs(dir, args[1]))
	ts.Defer(func() {
		if err := unmount(dir); err != nil {
			ts.Logf("umount %s: %v", dir, err)
		}
	})
}

// fillDisk runs "fill-disk FILE": FILE takes all the room that there is.
func fillDisk(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: fill-disk FILE")
	}
	f, err := os.OpenFile(ts.MkAbs(args[0]), os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	ts.Check(err)
	defer f.Close()
	for err == nil {
		_, err = f.Write(make([]byte, 4<<10))
	}
	if !errors.Is(err, syscall.ENOSPC) {
		ts.Fatalf("filling %s: %v", args[0], err)
	}
}
