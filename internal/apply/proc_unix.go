//go:build unix

package apply

import (
	"os/exec"
	"syscall"
)

// Shell returns the command that runs a line as the system's shell does.
func Shell(line string) []string { return []string{"sh", "-c", line} }

// ownGroup starts a program in a process group of its own. When its context
// ends, the group is asked to stop; the returned function ends what is left.
func ownGroup(cmd *exec.Cmd) (stop func()) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	signal := func(s syscall.Signal) error { return syscall.Kill(-cmd.Process.Pid, s) }
	cmd.Cancel = func() error { return signal(syscall.SIGTERM) }
	return func() {
		if cmd.Process != nil {
			_ = signal(syscall.SIGKILL)
		}
	}
}
