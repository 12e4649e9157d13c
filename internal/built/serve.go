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

// Server is a running airlock serve.
type Server struct {
	// Said is what it said until it listened.
	Said  string
	cmd   *exec.Cmd
	ended chan struct{}
}

// Serve starts a server and waits until it listens. What it says on standard error
// goes to log too, which must be good for writing until the server has ended.
func Serve(cmd *exec.Cmd, log io.Writer) (*Server, error) {
	pipe, err := cmd.StderrPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	s := &Server{cmd: cmd, ended: make(chan struct{})}
	var said strings.Builder
	lines := bufio.NewReader(io.TeeReader(pipe, log))
	for {
		line, err := lines.ReadString('\n')
		said.WriteString(line)
		if err != nil {
			return nil, fmt.Errorf("the server did not start: %w\n%s", cmd.Wait(), said.String())
		}
		if strings.HasPrefix(line, "serving ") {
			break
		}
	}
	s.Said = said.String()
	go func() {
		defer close(s.ended)
		_, _ = io.Copy(io.Discard, lines) // to its end
	}()
	return s, nil
}

// Ended is closed when the server has ended, by itself or not; Kill or Stop still
// has to be called.
func (s *Server) Ended() <-chan struct{} { return s.ended }

// Kill ends the server as a power switch would end a process.
func (s *Server) Kill() {
	_ = s.cmd.Process.Kill() // it may have ended
	<-s.ended
	_ = s.cmd.Wait() // it was killed
}

// Stop ends the server as an operator does, and returns how it ended.
func (s *Server) Stop() error {
	if err := s.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		return err
	}
	<-s.ended
	return s.cmd.Wait()
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
