package main

import (
	"context"
	"fmt"
	"io"

	"github.com/spf13/cobra"
)

func (a *app) doctorCommand() *cobra.Command {
	var from string
	c := &cobra.Command{
		Use:   "doctor",
		Short: "Look for the usual causes of trouble, and say what to do",
		Long: `Check the home (permissions, keys, certificate, trust files, state), the clock,
free disk space, and the server or store. In the home of a server, which has a log
key and no Space, that is the store that it serves, and whether it has anything of what
was served. Nothing is changed, but a bucket gets small test objects that show whether
it honours conditions. No passphrase is asked for.

Each line is ok, warn or fail, with the next step. The exit code is 1 if any
check fails.`,
		Example: `  airlock doctor
  airlock doctor --store s3://bucket/prefix
  airlock doctor --server https://airlock.acme.example -f json`,
		Args: exactly(0, "no arguments"),
		RunE: func(cmd *cobra.Command, _ []string) error { return a.doctor(cmd.Context(), from) },
	}
	fromFlag(c, &from)
	return c
}

// Results of a check-up.
const (
	checkOK   = "ok"
	checkWarn = "warn"
	checkFail = "fail"
)

// finding is one line of a check-up.
type finding struct {
	Check  string `json:"check"`
	Result string `json:"result"` // "ok", "warn" or "fail"
	Detail string `json:"detail"`
	Next   string `json:"next,omitempty"` // what to do
}

// checkup collects findings.
type checkup struct {
	*app
	findings []finding
	kept     string // the store that an operator's home keeps; "" for other homes
}

func (c *checkup) say(result, check, next, format string, args ...any) {
	c.findings = append(c.findings, finding{check, result, oneLine(fmt.Sprintf(format, args...)), next})
}

func (c *checkup) ok(check, format string, args ...any) { c.say(checkOK, check, "", format, args...) }

func (a *app) doctor(ctx context.Context, from string) error {
	c := &checkup{app: a}
	h, err := a.home()
	if err != nil {
		_, hint := outcomeOf(err)
		c.say(checkFail, "home", hint, "%v", err)
	} else {
		c.ok("home", "%s", h.Path())
		c.private(h.Path())
		c.keys(h)
		c.operator(h)
		c.identity(h)
		c.trust(h)
		c.state(ctx, h)
		c.clock()
		c.free("disk", h.Path())
		c.source(ctx, from)
	}
	if err := a.show(c.findings, c.table); err != nil {
		return err
	}
	failed := 0
	for _, f := range c.findings {
		if f.Result == checkFail {
			failed++
		}
	}
	if failed > 0 {
		return exitWith(exitFailed, count(failed, "check", "checks")+" failed", "follow the lines that say fail, the first one first")
	}
	return nil
}

func (c *checkup) table(w io.Writer) {
	for _, f := range c.findings {
		fmt.Fprintf(w, "%-4s  %-11s  %s\n", f.Result, f.Check, f.Detail)
		if f.Next != "" {
			fmt.Fprintf(w, "%19s→ %s\n", "", f.Next)
		}
	}
}
