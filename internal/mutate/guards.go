package main

import (
	"bufio"
	"bytes"
	"fmt"
	"regexp"
	"strings"
)

// A Guard is a check in the source, and the test that must notice its absence.
//
// The list is text: one paragraph per guard, paragraphs parted by empty lines,
// lines that start with "#" ignored, every other line a key and its value.
//
//	guard  object-digest
//	file   storage/mem.go
//	func   (*Memory).Put
//	text   if got != ref.Digest {
//	test   ./storage TestObjects
//
// text is one line of the file, or a part of one, and occurs exactly once in
// the file; where it does not, func names the function (or method, as above)
// in which it occurs exactly once. with is what stands there instead; without
// it, text is an if with its brace or a case with its colon, and the condition
// is made false. test is a package and a regular expression as of go test -run.
type Guard struct {
	Name, File, Func, Text, With, Package, Test string
	line                                        int
}

// parse reads the list. Errors name the list, the line and what is wrong.
func parse(name string, list []byte) ([]Guard, error) {
	var guards []Guard
	seen := map[string]bool{}
	lines := bufio.NewScanner(bytes.NewReader(list))
	var g Guard
	finish := func() error {
		if g == (Guard{}) {
			return nil
		}
		if err := g.complete(); err != nil {
			return fmt.Errorf("%s:%d: %w", name, g.line, err)
		}
		if seen[g.Name] {
			return fmt.Errorf("%s:%d: a second guard named %s", name, g.line, g.Name)
		}
		seen[g.Name] = true
		guards, g = append(guards, g), Guard{}
		return nil
	}
	for n := 1; lines.Scan(); n++ {
		line := strings.TrimSpace(lines.Text())
		switch {
		case strings.HasPrefix(line, "#"):
			continue
		case line == "":
			if err := finish(); err != nil {
				return nil, err
			}
			continue
		case g.line == 0:
			g.line = n
		}
		if err := g.set(line); err != nil {
			return nil, fmt.Errorf("%s:%d: %w", name, n, err)
		}
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return guards, finish()
}

// set takes one line of a paragraph.
func (g *Guard) set(line string) error {
	key, value, _ := strings.Cut(line, " ")
	value = strings.TrimSpace(value)
	fields := map[string]*string{"guard": &g.Name, "file": &g.File, "func": &g.Func, "text": &g.Text, "with": &g.With, "test": &g.Package}
	field := fields[key]
	switch {
	case field == nil:
		return fmt.Errorf("unknown key %q", key)
	case *field != "":
		return fmt.Errorf("%s is given twice", key)
	case value == "":
		return fmt.Errorf("%s has no value", key)
	}
	*field = value
	if key == "test" {
		g.Package, g.Test, _ = strings.Cut(value, " ")
		g.Test = strings.TrimSpace(g.Test)
	}
	return nil
}

// complete checks a whole paragraph and fills in the replacement.
func (g *Guard) complete() error {
	if g.Name == "" || g.File == "" || g.Text == "" || g.Package == "" {
		return fmt.Errorf("guard %q needs guard, file, text and test", g.Name)
	}
	if _, err := regexp.Compile(g.Test); err != nil || g.Test == "" {
		return fmt.Errorf("guard %s: test wants a package and a regular expression", g.Name)
	}
	if g.With != "" {
		return nil
	}
	with, ok := neverTaken(g.Text)
	if !ok {
		return fmt.Errorf("guard %s: text is no \"if … {\" or \"case …:\", so it needs with", g.Name)
	}
	g.With = with
	return nil
}

// neverTaken turns "if x := f(); cond {" into "if x := f(); false && (cond) {"
// and "case cond:" into "case false && (cond):". The condition stays, so that
// every variable is still used.
func neverTaken(text string) (string, bool) {
	for _, form := range []struct{ open, close string }{{"if ", " {"}, {"case ", ":"}} {
		cond, opens := strings.CutPrefix(text, form.open)
		cond, closes := strings.CutSuffix(cond, form.close)
		if !opens || !closes {
			continue
		}
		setup := ""
		if at := strings.LastIndex(cond, "; "); at >= 0 {
			setup, cond = cond[:at+2], cond[at+2:]
		}
		return form.open + setup + "false && (" + cond + ")" + form.close, true
	}
	return "", false
}
