package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"airlock/internal/home"
)

type agentOptions struct {
	once, dryRun bool
	approvals    []string
	roles        []string
	holdings     time.Duration
	receipts     receiptOptions
	scan         scanOptions
}

func (a *app) agentCommand() *cobra.Command {
	var o agentOptions
	c := &cobra.Command{
		Use:   "agent",
		Short: "Follow the subscriptions of this home and do what they say",
		Long: `Follow all subscriptions of this home (airlock subscription) until stopped, and
with each scan do what airlock pull does: verify everything, take what the trust
policy lets in, apply it, and send receipts. What was published and withdrawn
since the last scan is nothing. One subscription's errors do not stop another:
it is tried again, later each time, and airlock status shows why.

A rule of a subscription that names environments or roles holds where this
installation is said to have one of them: --environment, --target-role.

Where this home holds a Space, its holdings are published too: once a day, or at
half of the shortest maxAge in the policies here, or as --holdings says. Keys with
a passphrase sign where AIRLOCK_PASSPHRASE or --passphrase-file is there.

One agent works with a home at a time. --once makes one scan, for cron.`,
		Example: `  airlock agent --server https://feeds.acme.example
  airlock agent --environment Production --target-role web --approvals approvals/
  airlock agent --once
  airlock agent --dry-run`,
		Args: exactly(0, "no arguments"),
		RunE: func(cmd *cobra.Command, _ []string) error { return a.agent(cmd.Context(), o) },
	}
	f := c.Flags()
	f.BoolVar(&o.once, "once", false, "make one scan and end, with the exit code of the first that failed")
	f.BoolVar(&o.dryRun, "dry-run", false, "make one scan, show the plans and apply nothing; what was seen of feeds is remembered")
	f.StringSliceVar(&o.approvals, "approvals", nil, "files and folders with approvals to take in at each scan")
	targetRoleFlag(f, &o.roles)
	f.DurationVar(&o.holdings, "holdings", 0, "how often to publish what this Space holds (default once a day or more often)")
	o.receipts.flags(f)
	o.scan.flags(f, "before it is let in")
	return c
}

func targetRoleFlag(f *pflag.FlagSet, roles *[]string) {
	f.StringSliceVar(roles, "target-role", nil, "roles of this installation, for rules that name some")
}

func (a *app) agent(ctx context.Context, o agentOptions) error {
	if err := errors.Join(o.receipts.check(), o.scan.check()); err != nil {
		return err
	}
	h, err := a.home()
	if err != nil {
		return err
	}
	release, err := h.LockAgent()
	if err != nil {
		return err
	}
	defer release()
	f := &fleet{app: a, home: h, options: o}
	if o.once || o.dryRun {
		return f.once(ctx)
	}
	return f.run(ctx)
}

// fleet is the subscriptions of a home, each followed by a goroutine of its own.
type fleet struct {
	*app
	home    *home.Home
	options agentOptions
	writing sync.Mutex // to the streams of all
}

// once makes one scan of each subscription, whatever becomes of the others.
func (f *fleet) once(ctx context.Context) error {
	all, err := f.home.Subscriptions()
	if err != nil {
		return err
	}
	if len(all) == 0 {
		return usage("%s has no subscription", "airlock subscription add NAME --feed FEED --into FOLDER", f.home.Path())
	}
	var first error
	for _, s := range all {
		err := f.subscriber(s).once(ctx)
		if ctx.Err() != nil {
			return errInterrupted
		}
		if err == nil {
			continue
		}
		if first == nil {
			first = err
			continue
		}
		_, hint := outcomeOf(err)
		f.note("airlock: warning: subscription %s: %s (%s)", s.Name, oneLine(err.Error()), hint)
	}
	if !f.options.dryRun && f.options.receipts.to != receiptsOff {
		_, err := f.herald().once(ctx)
		if err != nil && !errors.Is(err, home.ErrNoSpace) && !errors.Is(err, errNowhere) {
			f.note("airlock: warning: holdings: %s", oneLine(err.Error()))
		}
	}
	return first
}

// look is how often the files of subscriptions are looked at.
const look = 2 * time.Second

// run follows the subscriptions until ctx ends, and takes up what changes in their
// files.
func (f *fleet) run(ctx context.Context) error {
	f.note("following the subscriptions of %s", f.home.Path())
	crew := map[string]*member{}
	defer func() {
		for _, m := range crew {
			m.end()
			<-m.gone
		}
		f.note("stopped")
	}()
	herald := f.herald()
	var heralding sync.WaitGroup
	heralding.Go(func() { herald.run(ctx) })
	defer heralding.Wait()
	for mark := ""; ; {
		if now := f.home.SubscriptionsMark(); now != mark || mark == "" {
			if err := f.man(ctx, crew); err != nil {
				return err
			}
			mark = now
		}
		if !sleep(ctx, look) {
			return nil
		}
	}
}

// member is a subscription that is followed, as its file says.
type member struct {
	text string
	end  context.CancelFunc
	gone chan struct{}
}

// man begins with subscriptions that are new or changed, and ends with those that
// are gone: once the scan is over that they are at.
func (f *fleet) man(ctx context.Context, crew map[string]*member) error {
	all, err := f.home.Subscriptions()
	if err != nil {
		return err
	}
	if len(all) == 0 {
		f.note("there is no subscription yet: airlock subscription add NAME --feed FEED --into FOLDER")
	}
	there := map[string]bool{}
	for _, s := range all {
		there[s.Name] = true
		text := fmt.Sprintf("%+v", s)
		old := crew[s.Name]
		if old != nil && old.text == text {
			continue
		}
		if old != nil {
			old.end()
		}
		m := &member{text: text, gone: make(chan struct{})}
		stop, end := context.WithCancel(ctx)
		m.end = end
		crew[s.Name] = m
		go func() {
			defer close(m.gone)
			if old != nil {
				<-old.gone
			}
			r := f.subscriber(s)
			if s.Err == nil {
				r.note("following %s", strings.Join(s.Feeds, ", "))
			}
			r.run(ctx, stop)
		}()
	}
	for name, m := range crew {
		if !there[name] {
			m.end()
			<-m.gone
			delete(crew, name)
		}
	}
	return nil
}

// apart returns an app of the same home that works at the same time as others:
// what it writes comes whole.
func (f *fleet) apart(name string) *app {
	b := &app{commonFlags: f.commonFlags, getenv: f.getenv, now: f.now, open: f.home}
	b.noProgress = true
	b.streams = streams{in: f.in, out: &whole{to: f.out, mu: &f.writing}, err: &lines{name: name, to: f.app.err, mu: &f.writing}}
	return b
}

// sleep waits, and reports false where ctx ended first.
func sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// whole keeps what is written until it is flushed.
type whole struct {
	to  io.Writer
	mu  *sync.Mutex
	buf []byte
}

func (w *whole) Write(p []byte) (int, error) {
	w.buf = append(w.buf, p...)
	return len(p), nil
}

func (w *whole) flush() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	_, err := w.to.Write(w.buf)
	w.buf = w.buf[:0]
	return err
}

// lines writes for people, in the name of a subscription.
type lines struct {
	name string
	to   io.Writer
	mu   *sync.Mutex
}

func (w *lines) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	_, err := fmt.Fprintf(w.to, "%s: %s", w.name, p)
	return len(p), err
}
