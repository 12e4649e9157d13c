package demo

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// TestRunbook types every command of docs/airgap.md, in order, each as the person
// who the text says types it, and holds what is seen against what stands under it.
func TestRunbook(t *testing.T) {
	text, err := os.ReadFile("../../docs/airgap.md")
	if err != nil {
		t.Fatal(err)
	}
	steps := runbook(string(text))
	if len(steps) < 50 {
		t.Fatalf("%d commands were found in the text", len(steps))
	}
	g := &gap{dir: t.TempDir(), people: map[string]*person{}, lineage: map[string]string{}}
	g.path = filepath.Dir(buildAirlock(t)) + ":" + g.tools(t) + ":" + os.Getenv("PATH")
	left := meanwhile
	for _, s := range steps {
		for len(left) > 0 && strings.HasPrefix(s.command, left[0].before) {
			if out, code := g.run(left[0].who, left[0].do); code != 0 {
				t.Fatalf("before line %d, %s: exit code %d\n%s", s.line, left[0].do, code, out)
			}
			left = left[1:]
		}
		out, code := g.run(s.who, s.command)
		if err := s.check(out, code); err != nil {
			t.Errorf("docs/airgap.md:%d, %s: %s\n%v; it showed:\n%s", s.line, s.who, s.command, err, out)
		}
	}
	if len(left) > 0 {
		t.Errorf("the text has no command %q, before which something happens", left[0].before)
	}
}

// step is a command of the text, and what it says that one sees.
type step struct {
	line         int
	who, command string
	seen         []string
}

// runbook reads the commands of a text: indented blocks that begin with who types
// them, "# courier", and have what one sees behind "#   ".
func runbook(text string) []step {
	var steps []step
	who := ""
	for i, line := range strings.Split(text, "\n") {
		command, inside := strings.CutPrefix(line, "    ")
		seen, isSeen := strings.CutPrefix(command, "#   ")
		role, isRole := strings.CutPrefix(command, "# ")
		switch {
		case !inside:
			who = ""
		case isSeen && len(steps) > 0:
			last := &steps[len(steps)-1]
			last.seen = append(last.seen, seen)
		case isRole:
			who = role
		case who != "":
			steps = append(steps, step{line: i + 1, who: who, command: command})
		}
	}
	return steps
}

// codes are the commands that end with another code than 0, beside those under
// which the text itself says so: "REFUSED (13)".
var codes = map[string]int{"airlock diff ": 4}

var refused = regexp.MustCompile(`REFUSED \((\d+)\)`)

// check holds what a command did against the text.
func (s step) check(out string, code int) error {
	want := 0
	for begin, c := range codes {
		if strings.HasPrefix(s.command, begin) {
			want = c
		}
	}
	if m := refused.FindStringSubmatch(strings.Join(s.seen, "\n")); m != nil {
		fmt.Sscan(m[1], &want)
	}
	if code != want {
		return fmt.Errorf("exit code %d, want %d", code, want)
	}
	rest := out
	for _, line := range s.seen {
		at := pattern(line).FindStringIndex(rest)
		if at == nil {
			return fmt.Errorf("%q is not seen", strings.TrimSpace(line))
		}
		rest = rest[at[1]:]
	}
	return nil
}

var (
	remark = regexp.MustCompile(`(…) {3,}.*`) // what is said beside what one sees
	moving = regexp.MustCompile(`\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ|[\w+]{8,}…|\b[0-9a-f]{8}\b|…| +`)
)

// pattern finds a line as the text has it: digests and times are others each time,
// and "…" stands for anything.
func pattern(line string) *regexp.Regexp {
	line = remark.ReplaceAllString(strings.TrimSpace(line), "$1")
	var out strings.Builder
	at := 0
	for _, m := range moving.FindAllStringIndex(line, -1) {
		out.WriteString(regexp.QuoteMeta(line[at:m[0]]))
		switch found := line[m[0]:m[1]]; {
		case found[0] == ' ':
			out.WriteString(" +")
		case found == "…":
			out.WriteString(".*")
		case strings.HasSuffix(found, "…"):
			out.WriteString(`[\w+/=]+`) // a digest, in either spelling
		case strings.HasSuffix(found, "Z"):
			out.WriteString(`\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ`)
		default:
			out.WriteString("[0-9a-f]{8}")
		}
		at = m[1]
	}
	return regexp.MustCompile(out.String() + regexp.QuoteMeta(line[at:]))
}

// gap is the place of the story: all folders that the text names lie in dir, and
// each person has a home there.
type gap struct {
	dir, path string
	people    map[string]*person
	lineage   map[string]string // by the beginning of the name of the identity file
}

type person struct {
	dir string
	env []string
}

// meanwhile is what the text tells or takes for granted, and types no command for.
var meanwhile = []struct{ before, who, do string }{
	{"export AIRLOCK_HOME=/srv/airlock/home", "source", "mkdir -p /media/stick /media/back /media/inside /media/holed"},
	{"airlock bundle create shared", "source", "rm /media/stick/*"},
	{"airlock bundle create shared", "source", `mkdir -p .airlock vars && printf 'apiVersion: airlock.example/v1\nkind: Config\nflags:\n  store: '"$HOME"'/store\n' >.airlock/config.yaml`},
	{"airlock bundle create shared", "source", shop("1.0.0", "one")},
	{"airlock bundle create shared", "source", "airlock publish shared shop.yaml"},
	{"airlock bundle create shared", "source", "head -c 3000000 /dev/urandom >tool && airlock publish shared tool --kind file --version 1"},
	{"airlock bundle create shared --to acme/production -o /media/stick-2", "source", shop("2.0.0", "two") + " && airlock publish shared shop.yaml"},
	{"airlock bundle repair", "courier", "cp /media/stick/* /media/holed; rm /media/holed/*002of003*"},
}

// shop writes a variable set.
func shop(version, host string) string {
	return fmt.Sprintf(`printf 'apiVersion: airlock.example/v1\nkind: VariableSet\nname: shop\nversion: "%s"\nvariables:\n  - {name: Host, value: %s.example}\n' >shop.yaml`, version, host)
}

// tools returns a folder with what the text calls and need not be here.
func (g *gap) tools(t *testing.T) string {
	dir := t.TempDir()
	for _, name := range []string{"clamscan", "skopeo"} {
		if _, err := exec.LookPath(name); err == nil {
			continue
		}
		if err := os.WriteFile(filepath.Join(dir, name), []byte("#!/bin/sh\n"), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// run types a command as a person, and answers what is asked with the lineage
// that was read out. It returns what is seen, with paths as the text has them.
func (g *gap) run(who, command string) (string, int) {
	p := g.person(who)
	command = strings.ReplaceAll(command, "2026-12-31", time.Now().AddDate(0, 1, 0).Format(time.DateOnly))
	for _, root := range []string{"/media", "/srv"} {
		command = strings.ReplaceAll(command, root+"/", g.dir+root+"/")
	}
	if setting, ok := strings.CutPrefix(command, "export "); ok {
		p.env = append(p.env, setting)
		return "", 0
	}
	if dir, ok := strings.CutPrefix(command, "cd "); ok {
		p.dir = dir
		return "", 0
	}
	cmd := exec.Command("sh", "-c", command)
	cmd.Dir, cmd.Env = p.dir, p.env
	cmd.Stdin = strings.NewReader(g.answer(command))
	out, err := cmd.CombinedOutput()
	seen := strings.ReplaceAll(string(out), g.dir, "")
	if m := toldLineage.FindStringSubmatch(seen); m != nil {
		g.lineage[m[1]] = m[2]
	}
	if err != nil && cmd.ProcessState == nil {
		return err.Error(), -1
	}
	return seen, cmd.ProcessState.ExitCode()
}

var toldLineage = regexp.MustCompile(`Space +acme/(\S+)[^L]*Lineage +(sha256:[0-9a-f]{64})`)

// answer is the lineage of the Space whose identity file a command names.
func (g *gap) answer(command string) string {
	for space, lineage := range g.lineage {
		if strings.Contains(command, "/"+space+".id") {
			return lineage + "\n"
		}
	}
	return ""
}

func (g *gap) person(who string) *person {
	if p := g.people[who]; p != nil {
		return p
	}
	home := filepath.Join(g.dir, who)
	p := &person{dir: home, env: []string{"HOME=" + home, "PATH=" + g.path, "AIRLOCK_PASSPHRASE=of " + who}}
	g.people[who] = p
	if err := os.MkdirAll(home, 0o755); err != nil {
		panic(err)
	}
	return p
}
