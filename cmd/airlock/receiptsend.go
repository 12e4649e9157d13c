package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"net/url"
	"slices"
	"time"

	"github.com/spf13/pflag"

	"airlock/feed"
	"airlock/internal/home"
	"airlock/internal/outbox"
	"airlock/internal/publish"
	"airlock/internal/tsa"
	"airlock/receipts"
	"airlock/signing"
	"airlock/trust"
)

// receiptOptions say what receipts hold beside what happened, by whose clock
// they are stamped, and where they go.
type receiptOptions struct {
	environment, by, to, tsa, tsaCerts string
	targets                            []string
}

// What --receipts says instead of a place.
const (
	receiptsOff   = "off"
	receiptsInbox = "inbox"
)

// check refuses what no receipt may hold, before anything is done that one
// would be about.
func (o *receiptOptions) check() error {
	for name, text := range map[string]string{"environment": o.environment, "by": o.by} {
		if err := signing.CheckText(text, receipts.MaxText); err != nil {
			return usage("--%s %w", "say it shorter, on one line", name, err)
		}
	}
	for _, t := range o.targets {
		if t == "" || signing.CheckText(t, receipts.MaxTarget) != nil {
			return usage("--target %.60q is not printable text of 1 to %d bytes", "say it shorter, on one line", t, receipts.MaxTarget)
		}
	}
	if n := len(o.targetList()); n > receipts.MaxTargets {
		return usage("%d targets, a receipt holds at most %d", "name a group of them instead", n, receipts.MaxTargets)
	}
	if o.tsa == "" {
		return nil
	}
	_, err := o.authorities()
	return err
}

// targetList returns the targets in the order of receipts, each once.
func (o *receiptOptions) targetList() []string {
	return slices.Compact(slices.Sorted(slices.Values(o.targets)))
}

func (o *receiptOptions) flags(f *pflag.FlagSet) {
	f.StringVar(&o.environment, "environment", "", "where it was done, for receipts")
	f.StringSliceVar(&o.targets, "target", nil, "machines or folders it was done on, for receipts")
	f.StringVar(&o.by, "by", "", "who did it, for receipts")
	o.sendFlags(f)
}

func (o *receiptOptions) sendFlags(f *pflag.FlagSet) {
	f.StringVar(&o.to, "receipts", "", "where receipts go: URL, store folder or s3://bucket/prefix (default --server or --store, where one is said), inbox for the answers to what is pushed alone, or off for none")
	f.StringVar(&o.tsa, "tsa", "", "URL of the time authority that stamps receipts (default: one in this home)")
	f.StringVar(&o.tsaCerts, "tsa-certs", "", "file with the certificates by which that authority is believed, in PEM")
}

// destination is where receipts go; said is false where nobody said.
func (a *app) destination(o receiptOptions) (where string, said bool) {
	if o.to != "" {
		return o.to, o.to != receiptsOff && o.to != receiptsInbox
	}
	return "", a.server != "" || a.store != ""
}

// post is the outbox of this home's Space and its way to the feed.
type post struct {
	*app
	home *home.Home
	own  *trust.History
	box  *outbox.Outbox
	said func([]signing.Attestation) // shown what was sent, or has nowhere to go; may be nil
}

// openPost opens the outbox; home.ErrNoSpace where the home has no Space.
func (a *app) openPost(ctx context.Context) (*post, error) {
	h, own, err := a.space()
	if err != nil {
		return nil, err
	}
	box, err := outbox.Open(ctx, h)
	return &post{app: a, home: h, own: own, box: box}, err
}

func (p *post) feed() feed.ID { return feed.ID{Space: p.own.Space(), Name: receipts.Feed} }

// ownFeed says for which feed receipts are made.
func (p *post) ownFeed(ctx context.Context) (outbox.Own, error) {
	own := outbox.Own{Feed: p.feed(), Epoch: 1, Lineage: p.own.Lineage()}
	store, err := p.home.State(ctx)
	if err != nil {
		return own, err
	}
	s, err := feed.LoadState(ctx, store, own.Lineage, own.Feed)
	if errors.Is(err, fs.ErrNotExist) {
		return own, nil
	}
	if err == nil {
		own.Epoch = s.Epoch
	}
	return own, err
}

// errUnasked stands for the passphrase that nobody is asked for.
var errUnasked = errors.New("the keys are encrypted, and this command does not ask for a passphrase")

// unasked is passphrase without a question.
func (a *app) unasked() (string, error) {
	if a.passFile == "" && a.getenv("AIRLOCK_PASSPHRASE") == "" {
		return "", errUnasked
	}
	return a.passphrase()
}

// sign signs what waits, with a key that passphrase opens.
func (p *post) sign(ctx context.Context, o receiptOptions, passphrase func() (string, error)) (*signing.Signer, error) {
	signer, err := p.home.Publisher(passphrase)
	if err != nil {
		return nil, err
	}
	clock, err := p.stamper(o)
	if err != nil {
		return nil, err
	}
	_, err = p.box.Sign(ctx, signer, clock)
	return signer, err
}

// tsaPatience is how long a time authority may take for one token.
const tsaPatience = 30 * time.Second

// stamper is the authority that is asked: the one named, or the home's own.
func (p *post) stamper(o receiptOptions) (tsa.Stamper, error) {
	if o.tsa == "" {
		id, err := p.home.EnsureTimeAuthority(p.own.Space().String(), p.now())
		if err != nil {
			return nil, err
		}
		return tsa.New(id, p.now), nil
	}
	believed, err := o.authorities()
	if err != nil {
		return nil, err
	}
	return &tsa.Client{URL: o.tsa, HTTP: &http.Client{Timeout: tsaPatience}, Authorities: believed, Now: p.now}, nil
}

// authorities reads the certificates by which --tsa is believed.
func (o *receiptOptions) authorities() (*signing.Authorities, error) {
	if u, err := url.Parse(o.tsa); err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return nil, usage("--tsa %.200q is not a URL", "say --tsa http://HOST:PORT", o.tsa)
	}
	if o.tsaCerts == "" {
		return nil, usage("--tsa %s without the certificates by which it is believed", "say --tsa-certs FILE", o.tsa)
	}
	return readAuthorities(o.tsaCerts)
}

// readAuthorities reads the file that --tsa-certs names.
func readAuthorities(path string) (*signing.Authorities, error) {
	text, err := home.ReadFile(path, 256<<10)
	if err != nil {
		return nil, err
	}
	believed, err := signing.ParseAuthorities(text)
	if err != nil {
		return nil, usage("--tsa-certs %s: %v", "name a file with the authority's root in PEM", path, err)
	}
	return believed, nil
}

// send signs what waits and appends it to the receipts feed. It returns how
// many receipts arrived.
func (p *post) send(ctx context.Context, o receiptOptions, passphrase func() (string, error)) (int, error) {
	signer, err := p.sign(ctx, o, passphrase)
	if err != nil {
		return 0, err
	}
	where, said := p.destination(o)
	if !said {
		if p.said != nil {
			err = p.box.Signed(ctx, p.said)
		}
		return 0, cmp.Or(err, errNowhere)
	}
	c, err := p.at(ctx, where, publishing)
	if err != nil {
		return 0, err
	}
	publisher, err := p.publisherOn(ctx, c, p.feed(), p.own, signer)
	if err != nil {
		return 0, errors.Join(err, c.Close())
	}
	to := &receiptsLog{publisher, p, c}
	sent, err := p.box.Send(ctx, to)
	if errors.Is(err, outbox.ErrRenewed) {
		p.note("airlock: warning: %v", err)
	}
	if errors.Is(err, outbox.ErrRenewed) || errors.Is(err, outbox.ErrUnsigned) { // the latter by another process
		if _, err = p.sign(ctx, o, passphrase); err == nil {
			more := 0
			more, err = p.box.Send(ctx, to)
			sent += more
		}
	}
	if sent > 0 {
		err = errors.Join(err, p.noteFollowed(p.feed(), to.Publisher))
	}
	return sent, errors.Join(err, c.Close())
}

var errNowhere = errors.New("nobody said where receipts go")

// receiptsLog is the feed that receipts are appended to.
type receiptsLog struct {
	*publish.Publisher
	post *post
	conn *conn
}

var _ outbox.Log = (*receiptsLog)(nil)

// Sync follows the feed.
func (l *receiptsLog) Sync(ctx context.Context) (*feed.State, error) { return l.Publisher.Sync(ctx) }

// Attestations reads entries again.
func (l *receiptsLog) Attestations(ctx context.Context, s *feed.State, rows []feed.Row, each func(feed.Row, signing.Attestation) error) error {
	f, err := l.post.follower(ctx, l.conn, l.Feed)
	if err != nil {
		return err
	}
	return f.Attestations(ctx, s, rows, each)
}

// Append adds statements, and shows them to who asked for what was sent.
func (l *receiptsLog) Append(ctx context.Context, signed []signing.Attestation) error {
	err := l.Publisher.Append(ctx, signed)
	if err == nil && l.post.said != nil {
		l.post.said(signed)
	}
	return err
}

// sendQuietly sends what waits where that needs no question, and says what
// waits and why; made is how many receipts are new.
func (p *post) sendQuietly(ctx context.Context, o receiptOptions, made int) {
	empty, err := p.box.Empty()
	if _, said := p.destination(o); err != nil || empty || made == 0 && !said {
		return
	}
	sent, err := p.send(ctx, o, p.unasked)
	if sent > 0 {
		p.note("%s sent to %s", count(sent, "receipt", "receipts"), p.feed())
	}
	switch {
	case err == nil:
	case errors.Is(err, errNowhere):
		p.noteNowhere(ctx, o)
	case errors.Is(err, errUnasked):
		p.note("%s for the passphrase: airlock receipt send", p.waiting(ctx))
	default:
		_, hint := outcomeOf(err)
		p.note("airlock: warning: %s: %s (%s)", p.waiting(ctx), oneLine(err.Error()), hint)
	}
}

// noteNowhere says what becomes of receipts where nobody said a place for them.
func (p *post) noteNowhere(ctx context.Context, o receiptOptions) {
	if o.to == receiptsInbox {
		p.note("%s in this home: what is in time goes with the answer to a push, and airlock receipt send --receipts URL sends the rest", p.waiting(ctx))
		return
	}
	p.note("%s in this home: airlock receipt send --receipts URL", p.waiting(ctx))
}

// waiting says how many receipts wait.
func (p *post) waiting(ctx context.Context) string {
	all, err := p.box.Waiting(ctx)
	if err != nil {
		return fmt.Sprintf("receipts wait (%v)", err)
	}
	if len(all) == 1 {
		return "1 receipt waits"
	}
	return fmt.Sprintf("%d receipts wait", len(all))
}
