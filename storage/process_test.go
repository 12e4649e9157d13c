package storage_test

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"testing"

	"airlock/storage"
)

const processEnv = "AIRLOCK_TEST_STORE"

// TestProcesses has several processes append to one cell and claim files until
// they are killed. Whatever one of them reported must be there, once.
func TestProcesses(t *testing.T) {
	if dir := os.Getenv(processEnv); dir != "" {
		appendUntilKilled(t, dir)
		return
	}
	const processes, each = 4, 40
	dir := t.TempDir()
	var mu sync.Mutex
	reported := map[string]bool{}
	var wg sync.WaitGroup
	for p := range processes {
		wg.Go(func() {
			cmd := exec.Command(os.Args[0], "-test.run=^TestProcesses$")
			cmd.Env = append(os.Environ(), processEnv+"="+dir, "AIRLOCK_TEST_NAME="+strconv.Itoa(p))
			out, err := cmd.StdoutPipe()
			if err == nil {
				err = cmd.Start()
			}
			if err != nil {
				t.Error(err)
				return
			}
			lines := bufio.NewScanner(out)
			for i := 0; i < each && lines.Scan(); i++ {
				if !strings.HasPrefix(lines.Text(), strconv.Itoa(p)+"-") {
					t.Errorf("process %d: %s", p, lines.Text())
				}
				mu.Lock()
				reported[lines.Text()] = true
				mu.Unlock()
			}
			_ = cmd.Process.Kill()
			_ = cmd.Wait()
		})
	}
	wg.Wait()
	if len(reported) != processes*each {
		t.Fatalf("%d reports", len(reported))
	}
	s := openDir(t, dir)
	value, _, err := s.Cells.Load(t.Context(), "log")
	if err != nil {
		t.Fatal(err)
	}
	times := map[string]int{}
	for line := range bytes.Lines(value) {
		times[string(bytes.TrimSpace(line))]++
	}
	for id := range reported {
		if times[id] != 1 {
			t.Errorf("%s is there %d times", id, times[id])
		}
		if got, err := s.Files.Get(t.Context(), id); err != nil || string(got) != id {
			t.Errorf("file %s: %q, %v", id, got, err)
		}
	}
}

func appendUntilKilled(t *testing.T, dir string) {
	s, err := storage.OpenDir(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; ; i++ {
		id := fmt.Sprintf("%s-%d", os.Getenv("AIRLOCK_TEST_NAME"), i)
		if err := s.Files.Create(t.Context(), id, []byte(id)); err != nil {
			t.Fatal(err)
		}
		for {
			value, tag, err := s.Cells.Load(t.Context(), "log")
			if err != nil && !errors.Is(err, fs.ErrNotExist) {
				t.Fatal(err)
			}
			_, err = s.Cells.Swap(t.Context(), "log", tag, fmt.Appendf(value, "%s\n", id))
			if err == nil {
				break
			}
			if !errors.Is(err, storage.ErrConflict) {
				t.Fatal(err)
			}
		}
		fmt.Println(id)
	}
}
