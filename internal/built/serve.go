package built

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"os/exec"
	"strings"
	"syscall"
	"testing"
)

// Process is a program that runs: a server, or an agent.
type Process struct {
	// Said is what it said until it was ready.
	Said  string
	cmd   *exec.Cmd
	ended chan struct{}
}

// Serve is Start of a server: it listens then.
func Serve(cmd *exec.Cmd, log io.Writer) (*Process, error) { return Start(cmd, "serving ", log) }

// Start starts a program and waits until it says a line that begins with ready. What
// it says on standard error goes to log too, which must be good for writing until the
// program has ended.
func Start(cmd *exec.Cmd, ready string, log io.Writer) (*Process, error) {
	pipe, err := cmd.StderrPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	p := &Process{cmd: cmd, ended: make(chan struct{})}
	var said strings.Builder
	lines := bufio.NewReader(io.TeeReader(pipe, log))
	for {
		line, err := lines.ReadString('\n')
		said.WriteString(line)
		if err != nil {
			return nil, fmt.Errorf("the program did not start: %w\n%s", cmd.Wait(), said.String())
		}
		if strings.HasPrefix(line, ready) {
			break
		}
	}
	p.Said = said.String()
	go func() {
		defer close(p.ended)
		_, _ = io.Copy(io.Discard, lines) // to its end
	}()
	return p, nil
}

// Ended is closed when the program has ended, by itself or not; Kill or Stop still
// has to be called.
func (p *Process) Ended() <-chan struct{} { return p.ended }

// Kill ends it as a power switch would end a process.
func (p *Process) Kill() {
	_ = p.cmd.Process.Kill() // it may have ended
	<-p.ended
	_ = p.cmd.Wait() // it was killed
}

// Stop ends it as an operator does, and returns how it ended.
func (p *Process) Stop() error {
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		return err
	}
	<-p.ended
	return p.cmd.Wait()
}

// FreeAddress returns a loopback address that nobody listens on.
func FreeAddress(tb testing.TB) string {
	tb.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}
