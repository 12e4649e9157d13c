package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"airlock/storage"
	"airlock/storage/storetest"
	"airlock/trust"
)

// TestMain lets this test binary stand for the program in scripts: each
// airlock is a process of its own.
func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"airlock": func() {
		keyCost = 10 // by default a key takes a second, and four with the race detector
		os.Exit(program(scriptClock()))
	}})
}

// scriptClock is the machine's clock, put forward by what the environment says
// in clockVariable ("9000h").
func scriptClock() func() time.Time {
	ahead, _ := time.ParseDuration(os.Getenv(clockVariable)) // 0 without it
	return func() time.Time { return time.Now().Add(ahead) }
}

const clockVariable = "TEST_CLOCK_AHEAD"

// raceOptions are what the race detector of each program goes by, where it is on.
// By default a program sleeps for a second before it ends, for its other goroutines
// to be seen in a race; of two thousand short programs that is half an hour.
const (
	raceOptions = "atexit_sleep_ms=0"
	exitRace    = 66 // the code with which it ends a program that had a race
)

// programEnv is the environment of what runs beside a script: of the script's own,
// the clock and what is named.
func programEnv(ts *testscript.TestScript, more ...string) []string {
	env := []string{"PATH=" + os.Getenv("PATH")}
	for _, name := range append(more, "HOME", "GORACE", clockVariable) {
		env = append(env, name+"="+ts.Getenv(name))
	}
	return env
}

// The stories in testdata/script are what users type and see.
func TestScript(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir: "testdata/script",
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"airlock":      airlock,
			"exec-code":    execCode,
			"serve-start":  serveStart,
			"serve-stop":   serveStop,
			"free-address": freeAddress,
			"lineage":      lineage,
			"leaf-key":     leafKey,
			"flip":         flip,
			"tamper":       tamper,
			"modules":      modules,
			"flip-object":  flipObject,
			"copy-store":   copyStore,
			"append-line":  appendLine,
			"watch-start":  watchStart,
			"watch-stop":   watchStop,
			"agent-start":  agentStart,
			"agent-stop":   agentStop,
			"agent-kill":   agentKill,
			"agent-signal": agentSignal,
			"wait-said":    waitSaid,
			"wait-until":   waitUntil,
			"wait-for":     waitFor,
			"wait-file":    waitFile,
			"wait-code":    waitCode,
			"token-id":     tokenID,
			"text":         writeText,
			"small-disk":   smallDisk,
			"fill-disk":    fillDisk,
			"liar":         startLiar,
			"lie":          tellLie,
			"entry":        addEntry,
			"refused":      wantRefused,
			"keep":         keepDirs,
			"same":         sameDirs,
			"bytes":        bytesOf,
			"grow":         growFile,
			"cut":          cutFile,
			"change":       changeFile,
			"high-s":       highS,
			"random":       randomFile,
			"volume":       volumeOf,
			"cp-json":      copyJSON,
			"member":       jsonMember,
			"run-start":    runStart,
			"hangup":       hangUp,
			"tls-pair":     tlsPair,
			"tls-renew":    tlsRenew,
			"collector":    startCollector,
			"trace-of":     traceOf,
		},
		Condition: scriptCondition,
		Setup: func(e *testscript.Env) error {
			e.Values[serversKey{}] = map[string]*exec.Cmd{}
			e.Values[collectorKey{}] = &collector{}
			e.Values[liarKey{}] = map[string]*liar{}
			e.Values[keptKey{}] = map[string]map[string]string{}
			e.Setenv("HOME", e.WorkDir)
			e.Setenv("GORACE", raceOptions)
			return nil
		},
	})
}

// airlock runs the program: "airlock ARGS…" must succeed, "! airlock ARGS…"
// must fail.
func airlock(ts *testscript.TestScript, neg bool, args []string) {
	if code := runProgram(ts, args); neg == (code == exitDone) {
		ts.Fatalf("airlock %s: exit code %d", strings.Join(args, " "), code)
	}
}

// execCode runs "exec-code N airlock ARGS…" and wants exactly that exit code.
// Except for 4, which is no error, it wants two lines: what happened, and what
// to do next.
func execCode(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 || args[1] != "airlock" {
		ts.Fatalf("usage: exec-code N airlock ARGS…")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	code := runProgram(ts, args[2:])
	if code != want {
		ts.Fatalf("airlock %s: exit code %d, want %d", strings.Join(args[2:], " "), code, want)
	}
	stderr := ts.ReadFile("stderr")
	if code != exitDone && code != exitDifferent && (!strings.Contains(stderr, "airlock: error: ") || !strings.Contains(stderr, "airlock: hint: ")) {
		ts.Fatalf("airlock %s: an error without its two lines", strings.Join(args[2:], " "))
	}
}

func runProgram(ts *testscript.TestScript, args []string) int {
	err := ts.Exec("airlock", args...)
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		if exit.ExitCode() == exitRace {
			ts.Fatalf("airlock %s: a data race", strings.Join(args, " "))
		}
		return exit.ExitCode()
	}
	ts.Check(err)
	return exitDone
}

type serversKey struct{}

var servingLine = regexp.MustCompile(`^serving .* on (https?://\S+)`)

// serveStart runs "serve-start NAME ARGS…": airlock serve on a free port, with
// its URL in $NAME_URL. ARGS that end with tsa start a time authority instead.
// "! serve-start NAME ARGS…" wants it not to, with what it says in NAME.err.
func serveStart(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) < 1 {
		ts.Fatalf("usage: serve-start NAME ARGS…")
	}
	line := append(args[1:], "serve")
	if !slices.Contains(args, "--listen") {
		line = append(line, "--listen", "127.0.0.1:0")
	}
	if args[len(args)-1] != "tsa" && !slices.Contains(args, "--access-log") {
		line = append(line, "--access-log", "none")
	}
	cmd := exec.Command("airlock", line...)
	cmd.Dir = ts.MkAbs(".")
	cmd.Env = programEnv(ts)
	pipe, err := cmd.StderrPipe()
	ts.Check(err)
	ts.Check(cmd.Start())
	ts.Defer(func() {
		cmd.Process.Kill()
		cmd.Wait()
	})
	ts.Value(serversKey{}).(map[string]*exec.Cmd)[args[0]] = cmd
	text := ""
	for lines := bufio.NewScanner(pipe); lines.Scan(); {
		text += lines.Text() + "\n"
		if m := servingLine.FindStringSubmatch(lines.Text()); m != nil {
			if neg {
				ts.Fatalf("the server started")
			}
			ts.Setenv(args[0]+"_URL", m[1])
			go io.Copy(io.Discard, pipe)
			return
		}
	}
	if !neg {
		ts.Fatalf("the server did not start:\n%s", text)
	}
	ts.Check(os.WriteFile(ts.MkAbs(args[0]+".err"), []byte(text), 0o600))
}

// serveStop runs "serve-stop NAME" and wants the server to end well.
func serveStop(ts *testscript.TestScript, _ bool, args []string) {
	cmd := ts.Value(serversKey{}).(map[string]*exec.Cmd)[args[0]]
	ts.Check(cmd.Process.Signal(syscall.SIGTERM))
	ts.Check(cmd.Wait())
}

// copyJSON runs "cp-json DIR FILE": it copies the only .json file of a folder.
func copyJSON(ts *testscript.TestScript, _ bool, args []string) {
	found, err := filepath.Glob(filepath.Join(ts.MkAbs(args[0]), "*.json"))
	ts.Check(err)
	if len(found) != 1 {
		ts.Fatalf("%s holds %d files, want one", args[0], len(found))
	}
	b, err := os.ReadFile(found[0])
	ts.Check(err)
	ts.Check(os.WriteFile(ts.MkAbs(args[1]), b, 0o600))
}

// jsonMember runs "member FILE NAME VAR": a text of a JSON object goes into $VAR.
func jsonMember(ts *testscript.TestScript, _ bool, args []string) {
	var doc map[string]any
	ts.Check(json.Unmarshal([]byte(ts.ReadFile(args[0])), &doc))
	text, ok := doc[args[1]].(string)
	if !ok {
		ts.Fatalf("%s has no text %q", args[0], args[1])
	}
	ts.Setenv(args[2], text)
}

// freeAddress runs "free-address VAR": an address of this machine on which nobody
// listens goes into $VAR.
func freeAddress(ts *testscript.TestScript, _ bool, args []string) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	ts.Check(err)
	ts.Setenv(args[0], l.Addr().String())
	ts.Check(l.Close())
}

// lineage runs "lineage FILE VAR": what a person would have heard on the
// telephone goes into $VAR, and into lineage.txt.
func lineage(ts *testscript.TestScript, _ bool, args []string) {
	h, err := trust.ParseFile([]byte(ts.ReadFile(args[0])))
	ts.Check(err)
	ts.Setenv(args[1], h.Lineage().String())
	ts.Check(os.WriteFile(ts.MkAbs("lineage.txt"), []byte(h.Lineage().String()+"\n"), 0o600))
}

// leafKey runs "leaf-key FILE PERSON VAR": the thumbprint of a person's leaf goes
// into $VAR.
func leafKey(ts *testscript.TestScript, _ bool, args []string) {
	h, err := trust.ParseFile([]byte(ts.ReadFile(args[0])))
	ts.Check(err)
	for _, l := range h.Current().Leaves {
		if l.Person == args[1] {
			ts.Setenv(args[2], l.Key().String())
			return
		}
	}
	ts.Fatalf("%s lists no leaf of %s", args[0], args[1])
}

// watchStart runs "watch-start ARGS…": airlock pull ARGS… in the background.
func watchStart(ts *testscript.TestScript, _ bool, args []string) {
	background(ts, "watch", append([]string{"pull"}, args...))
}

// background starts the program; what it says goes to <name>.err.
func background(ts *testscript.TestScript, name string, args []string) {
	cmd := exec.Command("airlock", args...)
	cmd.Dir = ts.MkAbs(".")
	cmd.Env = programEnv(ts, "AIRLOCK_HOME", "AIRLOCK_SERVER")
	said, err := os.OpenFile(ts.MkAbs(name+".err"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	ts.Check(err)
	cmd.Stderr = said
	ts.Check(cmd.Start())
	ts.Check(said.Close())
	ts.Defer(func() {
		cmd.Process.Kill()
		cmd.Wait()
	})
	ts.Value(serversKey{}).(map[string]*exec.Cmd)[name] = cmd
}

// agentStart runs "agent-start [@NAME] ARGS…": airlock agent ARGS… in the background,
// of several the one of that name.
func agentStart(ts *testscript.TestScript, _ bool, args []string) {
	name, args := agentName(args)
	background(ts, name, append([]string{"agent"}, args...))
}

func agentName(args []string) (name string, rest []string) {
	if len(args) > 0 && strings.HasPrefix(args[0], "@") {
		return args[0][1:], args[1:]
	}
	return "agent", args
}

// agentSignal runs "agent-signal @NAME SIGNAL": one of STOP and CONT.
func agentSignal(ts *testscript.TestScript, _ bool, args []string) {
	name, args := agentName(args)
	cmd := ts.Value(serversKey{}).(map[string]*exec.Cmd)[name]
	ts.Check(exec.Command("kill", "-s", args[0], fmt.Sprint(cmd.Process.Pid)).Run())
}

// agentStop runs "agent-stop [@NAME]": what agent-start started is told to end, and
// ends well.
func agentStop(ts *testscript.TestScript, _ bool, args []string) {
	name, _ := agentName(args)
	cmd := ts.Value(serversKey{}).(map[string]*exec.Cmd)[name]
	ts.Check(cmd.Process.Signal(syscall.SIGTERM))
	ts.Check(cmd.Wait())
}

// agentKill runs "agent-kill [@NAME]": what agent-start started ends as in a power
// cut.
func agentKill(ts *testscript.TestScript, _ bool, args []string) {
	name, _ := agentName(args)
	cmd := ts.Value(serversKey{}).(map[string]*exec.Cmd)[name]
	ts.Check(cmd.Process.Kill())
	cmd.Wait()
}

// watchStop runs "watch-stop CODE": it interrupts what watch-start started.
func watchStop(ts *testscript.TestScript, _ bool, args []string) {
	cmd := ts.Value(serversKey{}).(map[string]*exec.Cmd)["watch"]
	ts.Check(cmd.Process.Signal(os.Interrupt))
	err := cmd.Wait()
	if exit, ok := errors.AsType[*exec.ExitError](err); !ok || fmt.Sprint(exit.ExitCode()) != args[0] {
		ts.Fatalf("the watching pull ended with %v, want exit code %s", err, args[0])
	}
}

// waitFor runs "wait-for FILE LIKE": it waits until both have the same content.
func waitFor(ts *testscript.TestScript, _ bool, args []string) {
	want := ts.ReadFile(args[1])
	if !eventually(func() bool {
		got, err := os.ReadFile(ts.MkAbs(args[0]))
		return err == nil && string(got) == want
	}) {
		ts.Fatalf("%s did not become like %s", args[0], args[1])
	}
}

// eventually asks again and again, for 20 seconds.
func eventually(ask func() bool) bool {
	for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		if ask() {
			return true
		}
	}
	return false
}

// waitSaid runs "wait-said FILE PATTERN": it waits until a file holds a match.
func waitSaid(ts *testscript.TestScript, _ bool, args []string) {
	want := regexp.MustCompile(args[1])
	if !eventually(func() bool {
		b, err := os.ReadFile(ts.MkAbs(args[0]))
		return err == nil && want.Match(b)
	}) {
		ts.Fatalf("%s did not come to hold %s:\n%s", args[0], args[1], ts.ReadFile(args[0]))
	}
}

// waitUntil runs "wait-until PATTERN ARGS…": airlock ARGS… again and again, until
// its output holds a match.
func waitUntil(ts *testscript.TestScript, _ bool, args []string) {
	want := regexp.MustCompile("(?m)" + args[0])
	if !eventually(func() bool {
		runProgram(ts, args[1:])
		time.Sleep(100 * time.Millisecond) // a program is heavier than a look
		return want.MatchString(ts.ReadFile("stdout"))
	}) {
		ts.Fatalf("airlock %s did not come to say %s", strings.Join(args[1:], " "), args[0])
	}
}

// waitFile runs "wait-file PATTERN": it waits until a file matches.
func waitFile(ts *testscript.TestScript, _ bool, args []string) {
	if !eventually(func() bool {
		found, err := filepath.Glob(ts.MkAbs(args[0]))
		ts.Check(err)
		return len(found) > 0
	}) {
		ts.Fatalf("nothing came to be at %s", args[0])
	}
}

// waitCode runs "wait-code N airlock ARGS…" again and again until it ends with
// that exit code: what servers hear of each other they hear within a second.
func waitCode(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 || args[1] != "airlock" {
		ts.Fatalf("usage: wait-code N airlock ARGS…")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	code := -1
	for deadline := time.Now().Add(20 * time.Second); code != want && time.Now().Before(deadline); time.Sleep(50 * time.Millisecond) {
		code = runProgram(ts, args[2:])
	}
	if code != want {
		ts.Fatalf("airlock %s: exit code %d, want %d", strings.Join(args[2:], " "), code, want)
	}
}

// tokenID runs "token-id FILE VAR": the id of the token in a file goes into $VAR.
func tokenID(ts *testscript.TestScript, _ bool, args []string) {
	parts := strings.Split(ts.ReadFile(args[0]), "_")
	if len(parts) != 3 {
		ts.Fatalf("%s holds no token", args[0])
	}
	ts.Setenv(args[1], parts[1])
}

// writeText runs "text FILE SIZE SEED": a text of that many bytes.
func writeText(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 3 {
		ts.Fatalf("usage: text FILE SIZE SEED")
	}
	size, err := strconv.Atoi(args[1])
	ts.Check(err)
	seed, err := strconv.ParseUint(args[2], 10, 64)
	ts.Check(err)
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), storetest.Text(seed, size), 0o600))
}

// flipObject runs "flip-object STORE FILE": it changes one byte of the object
// that holds the content of FILE.
func flipObject(ts *testscript.TestScript, _ bool, args []string) {
	hex := storage.DigestOf([]byte(ts.ReadFile(args[1]))).Hex()
	found, err := filepath.Glob(filepath.Join(ts.MkAbs(args[0]), "objects", "*", "*", "*", hex))
	ts.Check(err)
	if len(found) != 1 {
		ts.Fatalf("%s holds %d objects with the content of %s", args[0], len(found), args[1])
	}
	flip(ts, false, []string{found[0]})
}

// copyStore runs "copy-store FROM TO", as a backup does.
func copyStore(ts *testscript.TestScript, _ bool, args []string) {
	ts.Check(os.CopyFS(ts.MkAbs(args[1]), os.DirFS(ts.MkAbs(args[0]))))
}

// appendLine runs "append-line FILE TEXT".
func appendLine(ts *testscript.TestScript, _ bool, args []string) {
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), []byte(ts.ReadFile(args[0])+args[1]+"\n"), 0o600))
}

// flip runs "flip FILE [OFFSET]": it changes one byte, by default in the
// middle, as a forger or a bad disk does.
func flip(ts *testscript.TestScript, _ bool, args []string) {
	path := ts.MkAbs(args[0])
	b, err := os.ReadFile(path)
	ts.Check(err)
	at := len(b) / 2
	if len(args) > 1 {
		at, err = strconv.Atoi(args[1])
		ts.Check(err)
	}
	b[at] ^= 1
	ts.Check(os.Chmod(path, 0o600))
	ts.Check(os.WriteFile(path, b, 0o600))
}
