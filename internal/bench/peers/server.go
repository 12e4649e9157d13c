package peers

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strconv"
	"syscall"
	"time"

	"airlock/internal/bench/peers/proc"
)

const (
	readyLimit = 15 * time.Second // until a server answers
	stopLimit  = 10 * time.Second // until it is killed
)

// A Server is a running program, which may listen on a loopback address.
type Server struct {
	Addr string // host:port, or empty
	cmd  *exec.Cmd
	out  *bytes.Buffer
	done chan struct{}
}

// FreeAddr finds a port that nobody listens on at this moment.
func FreeAddr() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer l.Close()
	return l.Addr().String(), nil
}

// Start runs a server and waits until it takes connections, where it has an address.
// It is killed when the context ends.
func Start(ctx context.Context, addr, name string, args ...string) (*Server, error) {
	s := &Server{Addr: addr, cmd: exec.CommandContext(ctx, name, args...), out: &bytes.Buffer{}, done: make(chan struct{})}
	s.cmd.Stdout, s.cmd.Stderr = nil, s.out
	s.cmd.Cancel = func() error { return s.cmd.Process.Signal(syscall.SIGTERM) }
	s.cmd.WaitDelay = stopLimit
	if err := s.cmd.Start(); err != nil {
		return nil, err
	}
	go func() {
		_ = s.cmd.Wait() // Stop and ready tell by done
		close(s.done)
	}()
	if addr == "" {
		return s, nil
	}
	if err := s.ready(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("%s: %w\n%s", name, err, lastLines(s.output(), 10)), s.Stop())
	}
	return s, nil
}

// ready asks until the server answers, it ends, or readyLimit is over.
func (s *Server) ready(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, readyLimit)
	defer cancel()
	ticker := time.NewTicker(20 * time.Millisecond)
	defer ticker.Stop()
	for {
		if c, err := net.DialTimeout("tcp", s.Addr, time.Second); err == nil {
			return c.Close()
		}
		select {
		case <-s.done:
			return errors.New("ended before it answered")
		case <-ctx.Done():
			return ctx.Err()
		case <-ticker.C:
		}
	}
}

// output is what the server said; only to be read after it has ended.
func (s *Server) output() string {
	select {
	case <-s.done:
		return s.out.String()
	default:
		return ""
	}
}

// PID is the server's process, or the parent of its workers.
func (s *Server) PID() int { return s.cmd.Process.Pid }

// Usage is what the server and its workers have used so far.
func (s *Server) Usage() (proc.Usage, error) { return proc.Of(s.PID()) }

// Stop ends the server, by force after stopLimit.
func (s *Server) Stop() error {
	_ = s.cmd.Process.Signal(syscall.SIGTERM)
	timer := time.NewTimer(stopLimit)
	defer timer.Stop()
	select {
	case <-s.done:
		return nil
	case <-timer.C:
	}
	if err := s.cmd.Process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	<-s.done
	return errors.New("server " + strconv.Itoa(s.PID()) + " did not end when asked to")
}
