package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"airlock/feed/feedhttp"
	"airlock/internal/home"
	"airlock/signing"
	"airlock/trust"
)

// askAgain is how often a join asks whether the administrator has decided.
const askAgain = 2 * time.Second

func (a *app) joinCommand() *cobra.Command {
	var noWait bool
	c := &cobra.Command{
		Use:   "join URL[,URL] CODE",
		Short: "Enrol this Space with a server, by an invitation of its operator",
		Long: `Ask the operator of a server for admission. The operator gave the code (airlock
server invite); it is good once. It names the key that the server must show, so
nobody between can answer in its place, and the request proves that it comes from
who holds this Space's publisher key.

The administrator then compares the lineage, which both sides show, and confirms
it: airlock server confirm. Until then this command waits; with --no-wait it ends,
and the same command later tells how things stand.

From then on this home knows the server: commands without --server use it, over
TLS, with its pinned key and this Space's own certificate. Of several servers of one
store name all, with commas between: one is used until it fails, then the next. The
same command, with the same code, adds one that came later.`,
		Example: `  airlock join https://airlock.acme.example:7070 airlock-1-…
  airlock join https://a.acme.example:7070,https://b.acme.example:7070 airlock-1-…
  airlock join https://airlock.acme.example:7070 airlock-1-… --no-wait`,
		Args: exactly(2, "the URL of a server, or of several, and a code"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.join(cmd.Context(), args[0], args[1], noWait)
		},
	}
	c.Flags().BoolVar(&noWait, "no-wait", false, "do not wait until the administrator has decided")
	return c
}

type joinedDoc struct {
	Server  string `json:"server"`
	Space   string `json:"space"`
	Lineage string `json:"lineage"`
	TLSKey  string `json:"tlsKey"` // thumbprint of the server's
	LogKey  string `json:"logKey"` // thumbprint of its operator's
	State   string `json:"state"`  // "pending" or "admitted"
}

// joining is a request for admission under way.
type joining struct {
	*app
	client *feedhttp.Client
	code   trust.Invitation
	own    *trust.History
	signer *signing.Signer
	logKey []byte
}

func (a *app) join(ctx context.Context, where, text string, noWait bool) error {
	code, err := trust.ParseInvitation(strings.TrimSpace(text))
	if err != nil {
		return usage("%v", "copy the whole code that the operator gave you (airlock server invite)", err)
	}
	h, own, err := a.space()
	if err != nil {
		return err
	}
	if _, err := h.Certificate(); errors.Is(err, fs.ErrNotExist) || as[*home.UnlistedError](err) {
		return hinted(err, "this home has no key to connect with", "airlock identity renew --tls makes one")
	} else if err != nil {
		return err
	}
	j := &joining{app: a, code: code, own: own}
	known, err := j.meet(ctx, where)
	if err != nil {
		return err
	}
	defer j.client.Close()
	doc := joinedDoc{Server: serversOf(known), Space: own.Space().String(), Lineage: own.Lineage().String(),
		TLSKey: code.Pin().String(), LogKey: logKeyName(j.logKey)}
	if j.signer, err = h.Publisher(a.passphrase); err != nil {
		return err
	}
	if doc.State, err = j.ask(ctx); err != nil {
		return err
	}
	for _, s := range slices.Backward(known) { // the one remembered last comes first
		if err := h.Remember(s); err != nil {
			return err
		}
	}
	if doc.State == feedhttp.Pending && !noWait {
		a.note("asked; the administrator confirms it with: airlock server confirm %s\nBoth sides see the lineage %s and the log key %s", doc.Space, doc.Lineage, doc.LogKey)
		if doc.State, err = j.wait(ctx); err != nil {
			return err
		}
	}
	if doc.State == feedhttp.Admitted {
		if err := j.catchUp(ctx); err != nil {
			return err
		}
	}
	return a.showJoined(doc)
}

// catchUp tells the operator of the newest identity: the one that was confirmed is
// that of the first request, and leaves may have been renewed since.
func (j *joining) catchUp(ctx context.Context) error {
	_, newest, err := j.space()
	if err == nil {
		_, err = j.client.Tell(ctx, trust.FormatFile(newest))
	}
	return err
}

// meet asks each of the servers that are named, with commas between, for its log
// key, and opens a client of them all. Every one must answer, and show the key that
// the code names: that one cannot be used is found now, not when another fails.
func (j *joining) meet(ctx context.Context, where string) (known []home.Server, err error) {
	var servers []feedhttp.Endpoint
	for one := range strings.SplitSeq(where, ",") {
		base, err := url.Parse(strings.TrimRight(one, "/"))
		if err != nil || base.Scheme != "https" || base.Host == "" {
			return nil, usage("server %.200q is not an https URL", "say https://HOST:PORT, as the operator told you", one)
		}
		servers = append(servers, feedhttp.Endpoint{Base: base, Pin: j.code.Pin()})
	}
	for _, s := range servers {
		c, err := joinClient(s)
		if err != nil {
			return nil, err
		}
		key, err := c.LogKey(ctx)
		if err = errors.Join(err, c.Close()); err != nil {
			return nil, err
		}
		known = append(known, home.Server{LogKey: key, Pin: s.Pin, URL: s.Base.String()})
	}
	j.logKey = known[0].LogKey
	j.client, err = joinClient(servers...)
	return known, err
}

// joinClient asks without a certificate, which no server knows yet.
func joinClient(servers ...feedhttp.Endpoint) (*feedhttp.Client, error) {
	first := servers[0]
	return feedhttp.NewClient(feedhttp.ClientConfig{Base: first.Base, Pin: first.Pin, Others: servers[1:], UserAgent: "airlock/" + version})
}

// ask sends the request, with a proof of now, and returns how things stand.
func (j *joining) ask(ctx context.Context) (string, error) {
	st, err := trust.NewEnrolment(j.own, j.code, j.logKey, j.now()).Statement(j.own)
	if err != nil {
		return "", err
	}
	proof, err := j.signer.Sign(ctx, st)
	if err != nil {
		return "", err
	}
	got, err := j.client.Join(ctx, feedhttp.JoinRequest{Identity: trust.FormatFile(j.own), Invitation: j.code.Text(), Proof: proof.Bytes()})
	return got.State, err
}

// wait asks until the administrator has decided.
func (j *joining) wait(ctx context.Context) (string, error) {
	tick := time.NewTicker(askAgain)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return "", context.Cause(ctx)
		case <-tick.C:
		}
		if state, err := j.ask(ctx); err != nil || state != feedhttp.Pending {
			return state, err
		}
	}
}

func (a *app) showJoined(doc joinedDoc) error {
	return a.show(doc, func(w io.Writer) {
		pairs(w, [2]string{"Server", doc.Server}, [2]string{"Space", doc.Space}, [2]string{"Lineage", doc.Lineage},
			[2]string{"TLS key", doc.TLSKey}, [2]string{"Log key", doc.LogKey}, [2]string{"State", doc.State})
		if doc.State == feedhttp.Pending {
			fmt.Fprintf(w, "\nThe administrator compares lineage and log key with you, and confirms:\nairlock server confirm %s\n", doc.Space)
		}
	})
}

// joined returns what this home knows of the server at a URL that it joined, by
// scheme and host; false where it joined none there.
func (a *app) joined(base *url.URL) (home.Server, bool, error) {
	all, err := a.joinedServers()
	for _, s := range all {
		if u, err := url.Parse(s.URL); err == nil && originOf(u) == originOf(base) {
			return s, true, nil
		}
	}
	return home.Server{}, false, err
}

// operators returns the servers that this home joined by their operators, that of
// the one joined last at first.
func (a *app) operators() (all [][]home.Server, err error) {
	joined, err := a.joinedServers()
	for _, s := range joined {
		of := slices.IndexFunc(all, func(o []home.Server) bool { return bytes.Equal(o[0].LogKey, s.LogKey) })
		if of < 0 {
			of, all = len(all), append(all, nil)
		}
		all[of] = append(all[of], s)
	}
	return all, err
}

// serversOf names servers as --server does.
func serversOf(all []home.Server) string {
	var urls []string
	for _, s := range all {
		urls = append(urls, s.URL)
	}
	return strings.Join(urls, ",")
}

// joinedServers returns the servers that this home joined, the last at first. It
// makes no home.
func (a *app) joinedServers() ([]home.Server, error) {
	if !a.hasHome() {
		return nil, nil
	}
	h, err := a.home()
	if err != nil {
		return nil, err
	}
	list, err := h.Servers()
	if err != nil {
		return nil, hinted(err, err.Error(), "move the file away; airlock join makes it anew")
	}
	return list, nil
}
