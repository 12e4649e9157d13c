package apply

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"airlock/feed"
	"airlock/signing"
	"airlock/storage"
)

// MaxOutput is how much of what a program writes is kept, in bytes: the end.
const MaxOutput = 64 << 10

// stopGrace is how long a program that is told to stop has for it, and how
// long its output is waited for after it has ended.
const stopGrace = 5 * time.Second

// Program is how a program is run for a package.
type Program struct {
	Command []string // the program and its arguments; see Shell
	Dir     string   // where the program runs; empty for here
	// Env is the environment to start from. Variables of ours are left out but
	// AIRLOCK_HOME: they hold flags and passphrases.
	Env  []string
	Temp string // where folders for files are made; empty for the system's
	// Timeout is how long one run may take; zero for as long as it likes.
	Timeout time.Duration
	// Stdout and Stderr, where set, get what the program writes.
	Stdout, Stderr io.Writer
}

// ran is a run of a program that could be started.
type ran struct {
	output    string // both streams, see MaxOutput
	complaint string // the last line that it wrote, of standard error if there is any
	why       string // how it ended; empty for exit status 0
	code      int    // exit status; -1 where it did not exit by itself
}

// run runs the program with variables more than Env has, each under a name that
// begins with prefix. A program that cannot be started is an error, and so is the
// end of ctx.
func (p *Program) run(ctx context.Context, prefix string, vars [][2]string, stdin []byte) (ran, error) {
	if len(p.Command) == 0 {
		return ran{}, errors.New("program: none was named")
	}
	limited, cancel := ctx, context.CancelFunc(func() {})
	if p.Timeout > 0 {
		limited, cancel = context.WithTimeout(ctx, p.Timeout)
	}
	defer cancel()
	out, complaints := new(tail), new(tail)
	cmd := exec.CommandContext(limited, p.Command[0], p.Command[1:]...)
	cmd.Dir, cmd.Env, cmd.Stdin = p.Dir, p.environ(prefix, vars), bytes.NewReader(stdin)
	cmd.Stdout, cmd.Stderr = tee(out, p.Stdout), tee(io.MultiWriter(out, complaints), p.Stderr)
	stop := ownGroup(cmd)
	cmd.WaitDelay = stopGrace
	err := cmd.Run()
	if limited.Err() != nil {
		stop()
	}
	if errors.Is(err, exec.ErrWaitDelay) {
		err = nil // it ended well, something it started still holds its output
	}
	r := ran{output: out.String()}
	if err == nil {
		return r, nil
	}
	if ctx.Err() != nil {
		return r, ctx.Err()
	}
	if cmd.Process == nil {
		return r, fmt.Errorf("program: %w", err)
	}
	r.why, r.code, r.complaint = err.Error(), cmd.ProcessState.ExitCode(), lastLine(cmp.Or(complaints.String(), r.output))
	if limited.Err() != nil {
		r.why, r.code = fmt.Sprintf("run took longer than %s", p.Timeout), -1
	}
	return r, nil
}

// environ returns the program's environment.
func (p *Program) environ(prefix string, vars [][2]string) []string {
	var env []string
	for _, v := range p.Env {
		if !strings.HasPrefix(strings.ToUpper(v), "AIRLOCK_") || strings.HasPrefix(v, "AIRLOCK_HOME=") {
			env = append(env, v)
		}
	}
	for _, v := range vars {
		env = append(env, prefix+v[0]+"="+v[1])
	}
	return env
}

// unpack writes a package's files to a new folder, which the caller removes,
// and checks them on the way: the program is not started before all are good.
func (p *Program) unpack(ctx context.Context, pkg *feed.Package) (string, error) {
	if err := checkPackage(pkg); err != nil {
		return "", err
	}
	folder, err := os.MkdirTemp(p.Temp, "airlock-")
	if err != nil {
		return "", storage.NoteFull(err)
	}
	root, err := os.OpenRoot(folder)
	if err != nil {
		return folder, err
	}
	defer root.Close()
	for i, l := range pkg.Manifest.Layers {
		if err := unpackFile(ctx, root, pkg, i); err != nil {
			return folder, fmt.Errorf("%s: %s: %w", pkg.Row.Ref, l.Path, storage.NoteFull(err))
		}
	}
	return folder, nil
}

func unpackFile(ctx context.Context, root *os.Root, pkg *feed.Package, i int) error {
	name := pkg.Manifest.Layers[i].Path
	if err := root.MkdirAll(path.Dir(name), 0o700); err != nil {
		return err
	}
	body, err := pkg.Open(ctx, i)
	if err != nil {
		return err
	}
	f, err := root.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return errors.Join(err, body.Close())
	}
	return errors.Join(copyAll(struct{ io.Writer }{f}, body), f.Close())
}

// firstFile returns where the first file of a package lies in its folder.
func firstFile(folder string, layers []feed.Layer) string {
	return filepath.Join(folder, filepath.FromSlash(layers[0].Path))
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

// saidWhy joins how a program ended and the last line that it wrote, if any.
func saidWhy(why, last string) string {
	if last == "" {
		return why
	}
	return why + ": " + last
}

func tee(keep, pass io.Writer) io.Writer {
	if pass == nil {
		return keep
	}
	return io.MultiWriter(keep, pass)
}

// lastLine returns the last line with something on it, printable and short.
func lastLine(output string) string {
	lines := strings.Split(strings.TrimSpace(output), "\n")
	line, end := strings.TrimSpace(lines[len(lines)-1]), ""
	if len(line) > 200 {
		end = "…"
	}
	return signing.Printable(line, 200) + end
}
