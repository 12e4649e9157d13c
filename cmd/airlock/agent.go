package main

import (
	"context"
	"errors"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

type agentOptions struct {
	once, dryRun bool
	approvals    []string
	roles        []string
	holdings     time.Duration
	takeover     time.Duration
	inbox        string
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

With --inbox servers push to it: those of operators whose server this home joined
(airlock join), who say on their side to where (airlock server push). What they send
is verified like everything else, and lies in the folder inbox of the home, which a
subscription follows that says "from: inbox". Receipts of what is done at once are in
the answer; --receipts inbox sends none besides. It shows the key of this Space for
TLS. --inbox http://127.0.0.1:PORT is without TLS, for a tunnel that ends there.

One agent works with a home at a time. Agents of one Space with homes of their own,
such as copies on two machines, share the work where the source lets them: each
rule is done by one of them, and by another one where that one has been silent for
its --takeover: at the latest a third of the other's later. A program that one of them was handing an update to then sees it again,
with the same AIRLOCK_UPDATE_ID.

--once makes one scan, for cron; it leaves alone what another agent does.`,
		Example: `  airlock agent --server https://feeds.acme.example
  airlock agent --environment Production --target-role web --approvals approvals/
  airlock agent --inbox :7443
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
	f.DurationVar(&o.takeover, "takeover", 45*time.Second, "how long this agent may be silent until another one of this Space does its work")
	f.StringVar(&o.inbox, "inbox", "", "address at which servers may push, such as :7443")
	o.receipts.flags(f)
	o.scan.flags(f, "before it is let in")
	return c
}

// Bounds of --takeover.
const (
	minTakeover = time.Second
	maxTakeover = 24 * time.Hour
)

func targetRoleFlag(f *pflag.FlagSet, roles *[]string) {
	f.StringSliceVar(roles, "target-role", nil, "roles of this installation, for rules that name some")
}

func (a *app) agent(ctx context.Context, o agentOptions) error {
	if err := errors.Join(o.receipts.check(), o.scan.check()); err != nil {
		return err
	}
	if o.holdings < 0 {
		return usage("--holdings %s is no time to wait", "say --holdings 12h, or leave it out", o.holdings)
	}
	if o.takeover < minTakeover || o.takeover > maxTakeover {
		return usage("--takeover %s is not %s to %s", "say --takeover 45s, or leave it out", o.takeover, minTakeover, maxTakeover)
	}
	if o.inbox != "" && (o.once || o.dryRun) {
		return usage("--inbox with one scan", "leave --once and --dry-run out: an inbox waits for what is pushed")
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
	f := &fleet{app: a, home: h, options: o, self: newSelf(o.takeover)}
	if o.once || o.dryRun {
		return f.once(ctx)
	}
	return f.run(ctx)
}
