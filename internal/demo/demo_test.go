package demo

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"airlock/internal/built"
)

func TestMain(m *testing.M) { os.Exit(built.Main(m)) }

// TestDemo runs the story as `make demo` does, and then with programs that believe a
// forgery or lose what they acknowledge: the demo must say so and fail.
func TestDemo(t *testing.T) {
	bin := buildAirlock(t)
	for _, store := range []string{"directory", "s3"} {
		t.Run(store, func(t *testing.T) {
			t.Parallel()
			if _, err := os.Stat("../../.tools/bin/versitygw"); store == "s3" && err != nil {
				t.Skip("versitygw is not installed: run `make tools`")
			}
			out, err := runDemo(t, bin, store)
			if err != nil {
				t.Fatalf("demo.sh: %v\n%s", err, out)
			}
			if !strings.Contains(out, "none let in") {
				t.Errorf("demo.sh exits 0 and does not say that nothing was let in:\n%s", out)
			}
		})
	}
	for name, c := range map[string]struct{ lies, want string }{
		"believes a changed payload": {"--from changed-payload", "THE FORGERY WAS LET IN"},
		"believes an old copy":       {"--from old-copy", "THE FORGERY WAS LET IN"},
		"loses an acknowledged note": {"--name note --version 9", "the feed does not hold what was acknowledged"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			liar := filepath.Join(t.TempDir(), "airlock")
			script := "#!/bin/sh\ncase \"$*\" in *'" + c.lies + "'*) exit 0 ;; esac\nexec '" + bin + "' \"$@\"\n"
			if err := os.WriteFile(liar, []byte(script), 0o755); err != nil {
				t.Fatal(err)
			}
			out, err := runDemo(t, liar, "directory")
			if err == nil || !strings.Contains(out, c.want) {
				t.Errorf("demo.sh: %v; want it to fail with %q:\n%s", err, c.want, out)
			}
		})
	}
}

// buildAirlock builds the program.
func buildAirlock(t *testing.T) string {
	t.Helper()
	if testing.Short() {
		t.Skip("builds and runs the program")
	}
	if _, err := exec.LookPath("sh"); err != nil {
		t.Skip("no sh")
	}
	return built.Airlock(t)
}

// runDemo runs the demo, which must leave no process behind, and no folder where it
// ended well.
func runDemo(t *testing.T, bin, store string) (string, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 4*time.Minute)
	defer cancel()
	temp := t.TempDir()
	cmd := exec.CommandContext(ctx, "sh", "demo.sh")
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) } // it ends what it started
	cmd.WaitDelay = 10 * time.Second
	cmd.Env = append(os.Environ(), "AIRLOCK_BIN="+bin, "TMPDIR="+temp, "STORE="+store, "DEMO_DIR=", "KEEP=", "FULL=")
	out, err := cmd.CombinedOutput()
	if left, _ := os.ReadDir(temp); err == nil && len(left) > 0 {
		t.Errorf("demo.sh leaves %s", left[0].Name())
	}
	for _, program := range runningIn(temp) {
		t.Errorf("demo.sh leaves %s running", program)
	}
	return string(out), err
}

// runningIn returns the programs that work in a folder or below, where /proc tells.
func runningIn(dir string) (programs []string) {
	all, _ := filepath.Glob("/proc/[0-9]*/cwd")
	for _, cwd := range all {
		if at, err := os.Readlink(cwd); err == nil && strings.HasPrefix(at, dir) {
			line, _ := os.ReadFile(filepath.Join(filepath.Dir(cwd), "cmdline"))
			programs = append(programs, strings.ReplaceAll(string(line), "\x00", " "))
		}
	}
	return programs
}
