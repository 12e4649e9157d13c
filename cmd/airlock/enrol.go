package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"airlock/feed"
	"airlock/feed/feedhttp"
	"airlock/internal/server"
	"airlock/internal/settings"
	"airlock/signing"
	"airlock/storage"
	"airlock/trust"
)

// maxInvitation bounds how long an invitation is good.
const maxInvitation = 90 * 24 * time.Hour

type inviteOptions struct {
	space, group, lasts string
	serving             *settings.Server // its TLS, without the key
	dryRun              bool
}

func (a *app) inviteCommand(serving *settings.Server) *cobra.Command {
	o := inviteOptions{serving: serving}
	c := &cobra.Command{
		Use:   "invite",
		Short: "Make a code with which one Space may ask for admission",
		Long: `Make a code with which the people of one Space ask for admission: airlock join URL
CODE. It is good once, and names the TLS key that the servers of this operator
show: that of --tls self, or of the certificate of --tls-cert.

Give it to them over a channel that others do not read. Who has it may ask, and no
more: the request waits for airlock server confirm. The store keeps the code's
digest alone.`,
		Example: `  airlock server invite
  airlock server invite --space acme/dev-qa --for 2h
  airlock server invite --tls-cert chain.pem`,
		Args: exactly(0, "no arguments"),
		RunE: func(cmd *cobra.Command, _ []string) error { return a.invite(cmd.Context(), o) },
	}
	f := c.Flags()
	f.StringVar(&o.space, "space", "", "who may use it: <organisation>/<space> (default whoever has it)")
	f.StringVar(&o.group, "group", "", "group that the Space will be of")
	f.StringVar(&o.lasts, "for", "24h", "how long it is good, such as 12h or 3d")
	settingFlags(f, slices.DeleteFunc(o.serving.Fields(), func(f settings.Field) bool { return f.Path != "tls.mode" && f.Path != "tls.cert" }))
	f.BoolVar(&o.dryRun, "dry-run", false, "show what it would say and make none")
	return c
}

type inviteDoc struct {
	Code    string `json:"code,omitempty"` // absent with --dry-run
	ID      string `json:"id,omitempty"`   // as logs name it
	Space   string `json:"space,omitempty"`
	Group   string `json:"group,omitempty"`
	Expires string `json:"expires"`
	TLSKey  string `json:"tlsKey"`
	LogKey  string `json:"logKey"`
}

func (a *app) invite(ctx context.Context, o inviteOptions) error {
	in, err := o.invite(a.now())
	if err != nil {
		return err
	}
	k, key := (*keeper)(nil), feed.LogKey{}
	if o.dryRun {
		key, err = a.operatorKey()
	} else if k, err = a.keep(ctx, serveOptions{signing: true, to: publishing}); err == nil {
		defer k.close()
		key = k.key
	}
	if err != nil {
		return err
	}
	if in.Pin, err = shownPin(key, o.serving.TLS); err != nil {
		return err
	}
	doc := inviteDoc{Space: o.space, Group: o.group, Expires: signing.FormatTime(in.Until), TLSKey: in.Pin.String(), LogKey: logKeyName(key.Public())}
	if k != nil {
		code, err := k.server.Invite(ctx, server.Operator, in)
		if err != nil {
			return err
		}
		doc.Code, doc.ID = code.Text(), code.ID().Hex()[:8]
	}
	return a.show(doc, func(w io.Writer) {
		pairs(w, [2]string{"Code", dash(doc.Code)}, [2]string{"For", orAnyone(doc.Space)}, [2]string{"Until", doc.Expires},
			[2]string{"TLS key", doc.TLSKey}, [2]string{"Log key", doc.LogKey})
		if doc.Code != "" {
			fmt.Fprintf(w, "\nOn the Space's machine: airlock join https://THIS-SERVER %s\nThen here: airlock server enrolments\n", doc.Code)
		}
	})
}

// invite reads what the flags say of an invitation, but for the key.
func (o inviteOptions) invite(now time.Time) (server.Invite, error) {
	lasts, ok := parseLasting(o.lasts)
	if !ok || lasts > maxInvitation {
		return server.Invite{}, usage("--for %.40q: want how long it is good, at most 90 days", "say --for 12h or --for 3d", o.lasts)
	}
	in := server.Invite{Group: o.group, Until: now.Add(lasts)}
	if o.space != "" {
		var err error
		if in.Space, err = trust.ParseSpace(o.space); err != nil {
			return in, usage("--space: %v", "a Space is named like acme/dev-qa", err)
		}
	}
	return in, refused(o.serving, o.serving.TLS.Choice())
}

// logKeyName is how a log key is shown, so that people can compare it wherever they
// see it: the SHA-256 of its 32 bytes. Files for other tools have it in their form.
func logKeyName(public []byte) string { return storage.DigestOf(public).String() }

// operatorKey returns the home's log key.
func (a *app) operatorKey() (feed.LogKey, error) {
	h, err := a.home()
	if err != nil {
		return feed.LogKey{}, err
	}
	return h.LogKey()
}

func orAnyone(space string) string {
	if space == "" {
		return "whoever has it"
	}
	return space
}

func (a *app) enrolmentsCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "enrolments",
		Short: "List the invitations that are open, and who asks for admission",
		Example: `  airlock server enrolments
  airlock server enrolments --store /srv/airlock`,
		Args: exactly(0, "no arguments"),
		RunE: func(cmd *cobra.Command, _ []string) error { return a.listEnrolments(cmd.Context()) },
	}
}

// enrolmentDoc is an invitation and what became of it.
type enrolmentDoc struct {
	ID      string `json:"id"`
	State   string `json:"state"` // "open", "pending", "admitted" or "rejected"
	Space   string `json:"space,omitempty"`
	Lineage string `json:"lineage,omitempty"`
	Group   string `json:"group,omitempty"`
	Address string `json:"address,omitempty"`
	Asked   string `json:"asked,omitempty"`
	Expires string `json:"expires"`
	LogKey  string `json:"logKey,omitempty"` // thumbprint of the operator's, with confirm
}

func describeEnrolment(e *server.Enrolment) enrolmentDoc {
	d := enrolmentDoc{ID: e.ID.Hex()[:8], State: e.State(), Group: e.Invite.Group, Expires: signing.FormatTime(e.Invite.Until)}
	if e.Invite.Space != (trust.Space{}) {
		d.Space = e.Invite.Space.String()
	}
	if e.History != nil {
		d.Space, d.Lineage = e.History.Space().String(), e.History.Lineage().String()
		d.Address, d.Asked = e.Address, signing.FormatTime(e.Asked)
	}
	return d
}

func (a *app) listEnrolments(ctx context.Context) error {
	k, err := a.keep(ctx, serveOptions{to: reading})
	if err != nil {
		return err
	}
	defer k.close()
	all, err := k.server.Enrolments(ctx, server.Operator)
	if err != nil {
		return err
	}
	docs := []enrolmentDoc{}
	for _, e := range all {
		docs = append(docs, describeEnrolment(e))
	}
	a.noteFound(k, len(docs), "invitation", "invitations")
	return a.show(docs, func(w io.Writer) {
		var rows [][]string
		for _, d := range docs {
			rows = append(rows, []string{d.ID, d.State, dash(d.Space), dash(d.Lineage), dash(d.Address), d.Expires})
		}
		columns(w, []string{"INVITATION", "STATE", "SPACE", "LINEAGE", "FROM", "UNTIL"}, rows)
	})
}

type confirmOptions struct {
	thumbprint     string
	reject, dryRun bool
}

func (a *app) confirmCommand() *cobra.Command {
	var o confirmOptions
	c := &cobra.Command{
		Use:   "confirm ORGANISATION/SPACE",
		Short: "Admit a Space that asked with an invitation, or reject it",
		Long: `Admit a Space that asked for admission with an invitation. Its lineage is shown and
asked for: type the one that its people told you over another channel. With
--reject it stays out, and the code is used up.`,
		Example: `  airlock server confirm acme/dev-qa
  airlock server confirm acme/dev-qa --thumbprint sha256:9f86d081…
  airlock server confirm acme/dev-qa --reject`,
		Args: exactly(1, "<organisation>/<space>"),
		RunE: func(cmd *cobra.Command, args []string) error { return a.confirm(cmd.Context(), args[0], o) },
	}
	f := c.Flags()
	f.StringVar(&o.thumbprint, "thumbprint", "", "the lineage as its people told you, instead of asking")
	f.BoolVar(&o.reject, "reject", false, "do not admit it")
	f.BoolVar(&o.dryRun, "dry-run", false, "show who asks and change nothing")
	return c
}

func (a *app) confirm(ctx context.Context, name string, o confirmOptions) error {
	space, err := trust.ParseSpace(name)
	if err != nil {
		return usage("%v", "airlock server enrolments shows who asks", err)
	}
	k, err := a.keep(ctx, serveOptions{to: changingUnless(o.dryRun)})
	if err != nil {
		return err
	}
	defer k.close()
	e, err := k.asking(ctx, space, o.thumbprint)
	if err != nil {
		return err
	}
	verb, to := "would admit", " to "+k.store.Name
	switch {
	case o.reject && o.dryRun:
		verb, to = "would reject", ""
	case o.reject:
		verb, to = "rejected", ""
	case !o.dryRun:
		verb = "admitted"
		if err := a.confirmLineage(e.History, o.thumbprint); err != nil {
			return err
		}
	}
	doc := describeEnrolment(e)
	key, err := a.operatorKey()
	switch {
	case err == nil:
		doc.LogKey = logKeyName(key.Public()) // which the Space's people see
	case !errors.Is(err, fs.ErrNotExist): // who administers need not have it
		return err
	}
	if !o.dryRun {
		if err := k.server.Decide(ctx, server.Operator, e.ID, !o.reject); err != nil {
			return err
		}
		doc.State = map[bool]string{true: "rejected", false: feedhttp.Admitted}[o.reject]
	}
	a.note("%s %s%s", verb, doc.Space, to)
	return a.show(doc, func(w io.Writer) {
		pairs(w, [2]string{"Space", doc.Space}, [2]string{"Lineage", doc.Lineage}, [2]string{"Log key", dash(doc.LogKey)},
			[2]string{"From", doc.Address}, [2]string{"Asked", doc.Asked}, [2]string{"State", doc.State})
	})
}

// asking returns the request of a Space that waits; of several, who claim one
// name, that with the lineage.
func (k *keeper) asking(ctx context.Context, space trust.Space, lineage string) (*server.Enrolment, error) {
	all, err := k.server.Enrolments(ctx, server.Operator)
	if err != nil {
		return nil, err
	}
	all = slices.DeleteFunc(all, func(e *server.Enrolment) bool { return e.History == nil || e.History.Space() != space })
	if len(all) > 1 {
		all = slices.DeleteFunc(all, func(e *server.Enrolment) bool { return e.History.Lineage().String() != lineage })
		if len(all) != 1 {
			return nil, usage("several ask as %s", "say which: --thumbprint sha256:…; airlock server enrolments shows their lineages", space)
		}
	}
	if len(all) == 0 {
		return nil, &failure{code: exitFailed, what: fmt.Sprintf("nobody asks as %s in %s", space, k.store.Name), hint: "airlock server enrolments shows who asks"}
	}
	return all[0], nil
}
