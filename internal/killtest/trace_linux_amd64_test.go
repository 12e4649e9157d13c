package killtest

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"

	"airlock/internal/built"
)

// fault is what becomes of a run of the program at one of its calls to the
// kernel: of those that matter, the one with number at, from 1; 0 for none.
type fault struct {
	at      int
	matters func(call) bool
	// errno is what that call gives instead of being done, and all after it that
	// matter. Without one the program is killed before the call.
	errno syscall.Errno
}

// ran is what became of a run.
type ran struct {
	calls  int // that matter
	at     string
	code   int // -1 where it was killed
	output string
}

// run runs a command under ptrace(2), which sees the calls of every thread before
// the kernel does.
func (f fault) run(t *testing.T, cmd *exec.Cmd) ran {
	t.Helper()
	out, err := os.CreateTemp(t.TempDir(), "output")
	must(t, err)
	defer out.Close()
	cmd.Args, cmd.Env = append([]string{os.Args[0], cmd.Path}, cmd.Args[1:]...), append(cmd.Env, filterVariable+"=1")
	cmd.Path, err = os.Executable()
	must(t, err)
	cmd.Stdout, cmd.Stderr, cmd.SysProcAttr = out, out, &syscall.SysProcAttr{Ptrace: true}
	r := &tracer{fault: f}
	done := make(chan error)
	go func() {
		// All requests must come from the thread that started the program. It is
		// not unlocked, so it ends here, and nothing else is ever its child.
		runtime.LockOSThread()
		done <- r.trace(cmd)
	}()
	if err := <-done; errors.Is(err, syscall.EPERM) {
		t.Skipf("this machine lets no program be traced: %v", err)
	} else if err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(out.Name())
	must(t, err)
	r.ran.output = string(b)
	return r.ran
}

type tracer struct {
	fault
	ran ran
}

func (r *tracer) trace(cmd *exec.Cmd) error {
	if err := cmd.Start(); err != nil {
		return err
	}
	pid := cmd.Process.Pid
	var ws unix.WaitStatus
	if _, err := unix.Wait4(pid, &ws, unix.WALL, nil); err != nil {
		return err
	}
	if err := unix.PtraceSetOptions(pid, unix.PTRACE_O_TRACESECCOMP|unix.PTRACE_O_TRACECLONE|unix.PTRACE_O_TRACEEXEC|unix.PTRACE_O_EXITKILL); err != nil {
		return err
	}
	tid, signal := pid, 0
	for {
		// A thread that is gone by now shows that below.
		if err := unix.PtraceCont(tid, signal); err != nil && !errors.Is(err, unix.ESRCH) {
			return err
		}
		var err error
		if tid, err = unix.Wait4(-1, &ws, unix.WALL|unix.WNOTHREAD, nil); err != nil {
			return err
		}
		signal = 0
		switch {
		case !ws.Stopped() && tid == pid:
			r.ran.code = ws.ExitStatus()
			return cmd.Process.Release()
		case ws.TrapCause() == unix.PTRACE_EVENT_SECCOMP:
			if err := r.call(pid, tid); err != nil && !errors.Is(err, unix.ESRCH) {
				return err
			}
		case ws.StopSignal() != unix.SIGTRAP && ws.StopSignal() != unix.SIGSTOP: // those are new threads
			signal = int(ws.StopSignal())
		}
	}
}

// call is told of each call before it is done.
func (r *tracer) call(pid, tid int) error {
	c := call{pid: pid}
	if err := unix.PtraceGetRegs(tid, &c.regs); err != nil {
		return err
	}
	if !r.matters(c) {
		return nil
	}
	r.ran.calls++
	if r.at == 0 || r.ran.calls < r.at {
		return nil
	}
	if r.ran.at == "" {
		r.ran.at = c.String()
	}
	if r.errno == 0 {
		return syscall.Kill(pid, syscall.SIGKILL)
	}
	c.regs.Orig_rax = ^uint64(0) // no call, and this is its answer
	c.regs.Rax = uint64(-int64(r.errno))
	return unix.PtraceSetRegs(tid, &c.regs)
}

// call is a call to the kernel.
type call struct {
	pid  int
	regs unix.PtraceRegs
}

func (c call) String() string { return fmt.Sprintf("call %d of %s", c.regs.Orig_rax, c.file()) }

// file returns what the call's first argument has open; "" for nothing.
func (c call) file() string {
	name, _ := os.Readlink(fmt.Sprintf("/proc/%d/fd/%d", c.pid, int32(c.regs.Rdi)))
	return name
}

// name returns the path that an argument points to.
func (c call) path(argument uint64) string {
	b := make([]byte, unix.PathMax)
	n, err := unix.PtracePeekData(c.pid, uintptr(argument), b)
	if err != nil {
		return ""
	}
	name, _, _ := strings.Cut(string(b[:n]), "\x00")
	return name
}

// changing are the calls that change what a disk has, or make it durable, and
// reading those that read from one. SYS_OPENAT is both.
var (
	changing = []uintptr{unix.SYS_OPENAT, unix.SYS_WRITE, unix.SYS_PWRITE64, unix.SYS_FTRUNCATE, unix.SYS_FALLOCATE, unix.SYS_FSYNC, unix.SYS_FDATASYNC, unix.SYS_SYNCFS,
		unix.SYS_COPY_FILE_RANGE, unix.SYS_SENDFILE, unix.SYS_SPLICE, unix.SYS_MKDIRAT, unix.SYS_LINKAT, unix.SYS_RENAMEAT, unix.SYS_RENAMEAT2, unix.SYS_UNLINKAT,
		unix.SYS_UTIMENSAT, unix.SYS_FCHMODAT}
	reading = []uintptr{unix.SYS_READ, unix.SYS_PREAD64, unix.SYS_NEWFSTATAT, unix.SYS_FSTAT, unix.SYS_GETDENTS64}
)

// filterVariable makes this test binary run what its arguments say, under a
// seccomp(2) filter: the kernel asks the tracer about the calls above and about
// no others, of which there are many more.
const filterVariable = "KILLTEST_FILTER"

func TestMain(m *testing.M) {
	if os.Getenv(filterVariable) == "" {
		os.Exit(built.Main(m))
	}
	runtime.LockOSThread() // the filter is this thread's, and what it becomes
	fmt.Fprintln(os.Stderr, filtered(os.Args[1], os.Args[1:]))
	os.Exit(1)
}

// filtered becomes a program under the filter; it returns only with an error.
func filtered(name string, args []string) error {
	filter := []unix.SockFilter{{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, K: 0}} // the call's number
	for _, nr := range slices.Concat(changing, reading) {
		filter = append(filter,
			unix.SockFilter{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, Jf: 1, K: uint32(nr)},
			unix.SockFilter{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_TRACE})
	}
	filter = append(filter, unix.SockFilter{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_ALLOW})
	prog := unix.SockFprog{Len: uint16(len(filter)), Filter: &filter[0]}
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return err
	}
	if err := unix.Prctl(unix.PR_SET_SECCOMP, unix.SECCOMP_MODE_FILTER, uintptr(unsafe.Pointer(&prog)), 0, 0); err != nil {
		return err
	}
	env := slices.DeleteFunc(os.Environ(), func(v string) bool { return strings.HasPrefix(v, filterVariable+"=") })
	return syscall.Exec(name, args, env)
}

// writes reports whether a call changes what a disk has, or makes it durable.
func writes(c call) bool {
	switch nr := c.regs.Orig_rax; nr {
	case unix.SYS_OPENAT:
		return c.regs.Rdx&unix.O_CREAT != 0
	case unix.SYS_MKDIRAT, unix.SYS_LINKAT, unix.SYS_RENAMEAT, unix.SYS_RENAMEAT2, unix.SYS_UNLINKAT, unix.SYS_UTIMENSAT, unix.SYS_FCHMODAT:
		return true
	default:
		return slices.Contains(changing, uintptr(nr)) && c.regs.Rdi > 2 && filepath.IsAbs(c.file())
	}
}

// asks reports whether a call changes a disk or asks something of a server.
func asks(c call) bool {
	return writes(c) || c.regs.Orig_rax == unix.SYS_WRITE && strings.HasPrefix(c.file(), "socket:")
}

// needsRoom reports whether a call fails on a disk that is full.
func needsRoom(c call) bool {
	switch c.regs.Orig_rax {
	case unix.SYS_UNLINKAT, unix.SYS_UTIMENSAT, unix.SYS_FCHMODAT, unix.SYS_FTRUNCATE:
		return false
	}
	return writes(c)
}
