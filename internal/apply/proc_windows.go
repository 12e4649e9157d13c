package apply

import (
	"os/exec"
	"syscall"

	"golang.org/x/sys/windows"
)

// Shell returns the command that runs a line as the system's shell does.
func Shell(line string) []string { return []string{"cmd", "/C", line} }

// ownGroup keeps Ctrl-C from the program, which is stopped when its context
// ends. What it started itself is left alone: Windows has no signal to a group.
func ownGroup(cmd *exec.Cmd) (stop func()) {
	cmd.SysProcAttr = &syscall.SysProcAttr{CreationFlags: windows.CREATE_NEW_PROCESS_GROUP}
	return func() {}
}
