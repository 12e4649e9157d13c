package apply

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"strings"
	"sync"
	"time"
	"unicode"

	"airlock/feed"
)

// MaxOutput is how much of what a program writes is kept, in bytes: the end.
const MaxOutput = 64 << 10

// stopGrace is how long a program that is told to stop has for it, and how
// long its output is waited for after it has ended.
const stopGrace = 5 * time.Second

// ProgramError reports a program that did not take an update.
type ProgramError struct {
	Ref  feed.Ref
	Op   Op
	Why  string // "exit status 3", "took longer than 1m0s"
	Last string // the last line that it wrote, if any
}

func (e *ProgramError) Error() string {
	last := ""
	if e.Last != "" {
		last = ": " + e.Last
	}
	return fmt.Sprintf("%s %s: the program's %s%s", e.Op, e.Ref, e.Why, last)
}

// hand runs the program for an update and returns what it wrote. A program
// that cannot be started is any error, one that does not take the update a
// *ProgramError.
func (u *updater) hand(ctx context.Context, job *update) (string, error) {
	line, err := job.line()
	if err != nil {
		return "", err
	}
	limited, cancel := ctx, context.CancelFunc(func() {})
	if u.Timeout > 0 {
		limited, cancel = context.WithTimeout(ctx, u.Timeout)
	}
	defer cancel()
	out, complaints := new(tail), new(tail)
	cmd := exec.CommandContext(limited, u.Command[0], u.Command[1:]...)
	cmd.Dir, cmd.Env, cmd.Stdin = u.Dir, job.environ(u.Env), bytes.NewReader(line)
	cmd.Stdout, cmd.Stderr = tee(out, u.Stdout), tee(io.MultiWriter(out, complaints), u.Stderr)
	stop := ownGroup(cmd)
	cmd.WaitDelay = stopGrace
	err = cmd.Run()
	if limited.Err() != nil {
		stop()
	}
	if errors.Is(err, exec.ErrWaitDelay) {
		err = nil // it ended well, something it started still holds its output
	}
	output := out.String()
	if err == nil {
		return output, nil
	}
	if cmd.Process == nil {
		return output, fmt.Errorf("program: %w", err)
	}
	failed := &ProgramError{Ref: feed.Ref{Kind: job.Kind, Name: job.Name, Version: job.Version}, Op: job.Op, Why: err.Error(), Last: lastLine(cmp.Or(complaints.String(), output))}
	if limited.Err() != nil && ctx.Err() == nil {
		failed.Why = fmt.Sprintf("run took longer than %s", u.Timeout)
	}
	return output, failed
}

// tail keeps the last MaxOutput bytes. Both streams of a program write to it.
type tail struct {
	mu  sync.Mutex
	buf []byte
	cut bool
}

func (t *tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	n := len(p)
	if len(p) > MaxOutput {
		p, t.cut = p[len(p)-MaxOutput:], true
	}
	if over := len(t.buf) + len(p) - MaxOutput; over > 0 {
		t.buf, t.cut = append(t.buf[:0], t.buf[over:]...), true
	}
	t.buf = append(t.buf, p...)
	return n, nil
}

// String returns what was kept, with "…" in front if there was more.
func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.cut {
		return "…" + string(t.buf)
	}
	return string(t.buf)
}

func tee(keep, pass io.Writer) io.Writer {
	if pass == nil {
		return keep
	}
	return io.MultiWriter(keep, pass)
}

// lastLine returns the last line with something on it, printable and short.
func lastLine(output string) string {
	lines := strings.Split(strings.TrimSpace(strings.ToValidUTF8(output, "?")), "\n")
	line := strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return ' '
		}
		return r
	}, strings.TrimSpace(lines[len(lines)-1]))
	if len(line) > 200 {
		line = strings.ToValidUTF8(line[:200], "") + "…"
	}
	return line
}
