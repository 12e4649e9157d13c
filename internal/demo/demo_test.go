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

// TestDemo runs the story as `make demo` does, and then with programs that
// believe one of the forgeries: the demo must say so and fail.
func TestDemo(t *testing.T) {
	bin := buildAirlock(t)
	t.Run("story", func(t *testing.T) {
		out, err := runDemo(t, bin)
		if err != nil {
			t.Fatalf("demo.sh: %v\n%s", err, out)
		}
		if !strings.Contains(out, "none let in") {
			t.Errorf("demo.sh exits 0 and does not say that nothing was let in:\n%s", out)
		}
	})
	for _, forgery := range []string{"--from changed-payload", "--from old-copy"} {
		t.Run("gullible about "+forgery, func(t *testing.T) {
			gullible := filepath.Join(t.TempDir(), "airlock")
			script := "#!/bin/sh\ncase \"$*\" in *'" + forgery + "'*) exit 0 ;; esac\nexec '" + bin + "' \"$@\"\n"
			if err := os.WriteFile(gullible, []byte(script), 0o755); err != nil {
				t.Fatal(err)
			}
			out, err := runDemo(t, gullible)
			if err == nil || !strings.Contains(out, "THE FORGERY WAS LET IN") {
				t.Errorf("demo.sh: %v; want it to say that the forgery was let in:\n%s", err, out)
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

func runDemo(t *testing.T, bin string) (string, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "sh", "demo.sh")
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) } // it ends its server
	cmd.WaitDelay = 10 * time.Second
	cmd.Env = append(os.Environ(), "AIRLOCK_BIN="+bin, "DEMO_DIR="+t.TempDir(), "KEEP=")
	out, err := cmd.CombinedOutput()
	return string(out), err
}
