//go:build unix

package killtest

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"
)

// program is what agents hand updates to: it writes down what it sees.
const program = `echo "$AIRLOCK_UPDATE_NAME $AIRLOCK_UPDATE_VERSION $AIRLOCK_UPDATE_ID" >>%s; sleep 0.05`

// Whichever of two agents of a Space is killed, and whenever: their program sees each
// name's versions in order, ends with the newest, and sees an update again at most
// once for each time that one was killed.
func TestAgentsKilled(t *testing.T) {
	w := newWorld(t, "", nil)
	one, two, seen := w.file("one"), w.file("two"), w.file("seen")
	for _, c := range [][]string{
		{"--home", one, "init", "acme/production", "--plain-keys"},
		{"--home", one, "identity", "export", "-o", w.file("production.id")},
		{"--home", one, "trust", "add", w.file("space.id"), "--feed", "shared", "--thumbprint", w.own.Lineage().String()},
		{"--home", one, "subscription", "add", "conf", "--feed", "acme/dev-qa/shared", "--exec", fmt.Sprintf(program, seen), "--every", "1s"},
		{"publish", "shared", w.file("space.id"), "--kind", "file", "--name", "first", "--version", "1", "--store", w.store},
		{"server", "admit", w.file("production.id"), "--store", w.store},
	} {
		w.must(c...)
	}
	if out, err := exec.Command("cp", "-a", one, two).CombinedOutput(); err != nil {
		t.Fatalf("cp: %v\n%s", err, out)
	}
	said := [2]strings.Builder{}
	start := func(n int) *exec.Cmd {
		c := w.command(context.Background(), []string{one, two}[n], "agent", "--store", w.store, "--receipts", "off", "--takeover", "1s")
		c.Stderr = &said[n]
		must(t, c.Start())
		return c
	}
	agents := [2]*exec.Cmd{start(0), start(1)}
	kills := max(killCount()/5, 4)
	for i := range kills {
		w.must("publish", "shared", w.file("space.id"), "--kind", "file", "--name", fmt.Sprint("n", i%3), "--version", fmt.Sprint(i+1), "--store", w.store)
		time.Sleep(rand.N(time.Second))
		n := rand.IntN(2)
		must(t, agents[n].Process.Kill())
		_ = agents[n].Wait()
		agents[n] = start(n)
	}
	for _, a := range agents {
		must(t, a.Process.Signal(syscall.SIGTERM)) // which ends one that has just begun as a kill does
		_ = a.Wait()
	}
	for _, home := range []string{one, two, one} {
		w.must("--home", home, "agent", "--once", "--store", w.store, "--receipts", "off", "--takeover", "1s")
	}
	b, err := os.ReadFile(seen)
	must(t, err)
	newest, ids, again := map[string]int{}, map[string]bool{}, 0
	for line := range strings.Lines(string(b)) {
		var name, id string
		var version int
		if _, err := fmt.Sscan(line, &name, &version, &id); err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		if version < newest[name] {
			t.Errorf("%s went back from %d to %d", name, newest[name], version)
		}
		newest[name] = version
		if ids[id] {
			again++
		}
		ids[id] = true
	}
	for i := kills - 3; i < kills; i++ {
		if name := fmt.Sprint("n", i%3); newest[name] != i+1 {
			t.Errorf("%s is at %d, want %d", name, newest[name], i+1)
		}
	}
	if newest["first"] != 1 || again > kills+len(agents) {
		t.Errorf("%v; %d updates came again, and agents were killed %d times", newest, again, kills)
	}
	if t.Failed() {
		t.Logf("the program saw:\n%s\none:\n%s\ntwo:\n%s", b, &said[0], &said[1])
	}
	t.Logf("%d kills, %d updates, of which %d came again", kills, len(ids), again)
}
