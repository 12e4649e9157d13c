package main

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"airlock/bundle"
	"airlock/feed"
	"airlock/internal/apply"
	"airlock/internal/home"
	"airlock/internal/settings"
	"airlock/signing"
	"airlock/trust"
)

type createOptions struct {
	selection
	to, out, from, base   string
	encryptTo             string
	maxVolume, parity     string
	label, classification string
	expires               string
	scan                  scanOptions
	full, dryRun          bool
}

func (a *app) bundleCreateCommand() *cobra.Command {
	var o createOptions
	c := &cobra.Command{
		Use:   "create FEED… --to SPACE -o DIR",
		Short: "Write what a Space needs of feeds to a medium, cut into volumes",
		Long: `Follow feeds to their newest entries, verify everything, and write what the
receiver needs of them to a folder: all statements from what it has up to the
newest checkpoint, and the packages that are live. The bundle is signed by this
Space and made for that receiver alone, which must be known here: airlock trust
add with its identity file.

--kind, --name and --version-mask leave out payloads; statements travel all the
same, so the receiver sees that there is more.

What the receiver has is what it signed last: the files of airlock holdings -o
in the folder of --base, or what came here in a feed of its own. Without either
the bundle carries all, and says so; with --full it does so in any case, as for a
receiver that lost what it had.

With --encrypt-to the contents are encrypted to the key that the newest identity
known of the receiver lists (age, hybrid post-quantum). It says when that version
was last known to be the newest, and warns where the receiver may have another key
by now: past the max-age of the policy about it, else 90 days, or once its
certificates ended. Who carries the medium still sees for whom it is, of which
feeds, and how much; who repairs it needs no key.

With --scan each package is shown to a program first, as airlock pull --scan does.
What it refuses ends the command (11). What it found clean is carried in the
bundle with the last line that it wrote, so let it say which scanner it is, and how
new. The receiver sees it as this Space's word, and scans by itself if its policy
says so.

A run that was ended goes on where it stopped: say the same command again. Until
all is there, nothing on the medium has a name that looks like a volume.`,
		Example: `  airlock bundle create acme/dev-qa/shared --to acme/production -o /media/stick
  airlock bundle create shared tools --to acme/production -o /media/stick --dry-run
  airlock bundle create shared --to acme/production --base /media/back -o /media/stick
  airlock bundle create shared --to acme/production --full -o /media/stick
  airlock bundle create shared --to acme/production -o volumes --max-volume-size dvd --parity 10%
  airlock bundle create shared --to acme/production --encrypt-to acme/production -o /media/stick
  airlock bundle create shared --to acme/production -o /media/stick --scan ./scan.sh
  airlock bundle create shared --to acme/production -o /media/stick --kind variable-set --label 'weekly' --expires 2027-01-31`,
		Args:              atLeast(1, "at least one feed"),
		ValidArgsFunction: a.completeManyFeeds,
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.bundleCreate(cmd.Context(), args, o)
		},
	}
	f := c.Flags()
	f.StringVar(&o.to, "to", "", "the Space that receives it, such as acme/production")
	f.StringVarP(&o.out, "output", "o", "", "folder to write the volumes to, such as that of the stick")
	f.StringVar(&o.base, "base", "", "folder with what the receiver holds, as airlock holdings -o wrote it (default: as it came here in a feed)")
	f.BoolVar(&o.full, "full", false, "carry all, whatever the receiver is known to hold")
	f.StringVar(&o.encryptTo, "encrypt-to", "", "encrypt the contents to the key of this Space, which is the receiver")
	c.RegisterFlagCompletionFunc("to", a.completeSpaceFlag)
	c.RegisterFlagCompletionFunc("encrypt-to", a.completeSpaceFlag)
	fromFlag(c, &o.from)
	o.selection.flags(f)
	f.StringVar(&o.maxVolume, "max-volume-size", "fat32", "most bytes of a volume: fat32, dvd, bd25, or a number with K, M, G or T")
	f.StringVar(&o.parity, "parity", "0%", "how much of all that is written may be lost or damaged, up to 50%")
	f.StringVar(&o.label, "label", "", "what people shall read on the medium")
	f.StringVar(&o.classification, "classification", "", "classification of the content, for the label")
	f.StringVar(&o.expires, "expires", "", "last day on which it may be taken in, such as 2027-01-31")
	o.scan.flags(f, "that is carried")
	f.BoolVar(&o.dryRun, "dry-run", false, "show what would be written, with all sizes, and write nothing")
	return c
}

// maker makes one bundle.
type maker struct {
	*app
	options createOptions
	home    *home.Home
	own     *trust.History
	to      *trust.History
	sel     apply.Selection
	bundle  bundle.Options
	base    *baseDoc // nil where nothing is known of what the receiver holds
	// keyVersion is that of the identity whose encryption key is used; see age for
	// the others.
	keyVersion int
	keyAsOf    time.Time
	keyProblem string
	quietFor   time.Duration
	scanning   *scanning // nil without --scan
	clean      int       // packages that it found clean
}

func (a *app) bundleCreate(ctx context.Context, names []string, o createOptions) error {
	m := &maker{app: a, options: o}
	if err := m.settings(); err != nil {
		return err
	}
	if err := m.parties(); err != nil {
		return err
	}
	c, err := a.from(ctx, o.from)
	if err != nil {
		return err
	}
	defer c.Close()
	ids, err := a.feedsOf(ctx, c, names)
	if err != nil {
		return err
	}
	if err := m.follow(ctx, c, ids); err != nil {
		return err
	}
	spool, err := os.MkdirTemp("", "airlock-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(spool)
	plan, err := m.plan(ctx, spool)
	if err != nil {
		return err
	}
	doc := m.describe(plan)
	if !o.dryRun {
		err = m.write(ctx, plan, &doc)
	}
	if err = errors.Join(err, plan.Close()); err != nil {
		return err
	}
	if err := a.show(doc, doc.table); err != nil {
		return err
	}
	if !o.dryRun {
		a.note("at %s: airlock pull %s --from %s%s", o.to, ids[0], shellWord(o.out), intoFor(ids[0]))
		return m.company(ctx, doc.Bundle)
	}
	return nil
}

// settings reads what the flags say.
func (m *maker) settings() (err error) {
	o := m.options
	if o.to == "" {
		return usage("--to is missing", "say for whom the bundle is: --to <organisation>/<space>")
	}
	if o.out == "" {
		return usage("--output is missing", "say where the volumes shall be: -o DIR")
	}
	if o.full && o.base != "" {
		return usage("both --base and --full were given", "say --base for what the receiver lacks, or --full for all")
	}
	if isAirlocks(o.out) {
		return usage("-o %s: is a home or a store of airlock", "name the folder of the medium, or a new one", o.out)
	}
	if m.sel, err = o.selection.parse(); err != nil {
		return err
	}
	if m.scanning, err = m.app.scanning(o.scan, 0); err != nil {
		return err
	}
	m.bundle = bundle.Options{Label: o.label, Classification: o.classification, Created: m.now()}
	if m.bundle.MaxVolume, err = volumeSize(o.maxVolume); err != nil {
		return err
	}
	if m.bundle.Parity, err = percent(o.parity); err != nil {
		return err
	}
	if o.expires == "" {
		return nil
	}
	day, err := trust.ParseDate(o.expires)
	if err != nil {
		return usage("--expires: %v", "say a day, such as --expires 2027-01-31", err)
	}
	m.bundle.Expires = day.End().Truncate(time.Second)
	if m.bundle.Expires.Before(m.now()) {
		return usage("--expires %s: is over", "say a day to come", o.expires)
	}
	return nil
}

// volumeSizes are media by name. The bytes leave room for what lies beside the
// volumes.
var volumeSizes = map[string]int64{"fat32": bundle.FAT32, "dvd": 4_690_000_000, "bd25": 25_000_000_000}

// volumeSize reads the size of a medium, in bytes.
func volumeSize(s string) (int64, error) {
	if n, ok := volumeSizes[strings.ToLower(s)]; ok {
		return n, nil
	}
	n, ok := settings.ParseSize(s)
	if !ok || n < 1 {
		return 0, usage("--max-volume-size %.40q: is no size", "say fat32, dvd, bd25, or bytes such as 700M or 4G", s)
	}
	if n == 4<<30 { // a file of just as much does not fit on FAT32
		n = bundle.FAT32
	}
	return n, nil
}

// percent reads a share of 0 to 50 %.
func percent(s string) (int, error) {
	n, err := strconv.Atoi(strings.TrimSuffix(s, "%"))
	if err != nil || n < 0 || n > 50 {
		return 0, usage("--parity %.40q: is no share of 0%% to 50%%", "say such as --parity 10%", s)
	}
	return n, nil
}

// parties looks up who makes the bundle and for whom.
func (m *maker) parties() (err error) {
	if m.home, err = m.app.home(); err != nil {
		return err
	}
	if m.own, err = m.home.Identity(); err != nil {
		return err
	}
	space, err := trust.ParseSpace(m.options.to)
	if err != nil {
		return usage("--to: %v", "a Space is named like acme/production", err)
	}
	view, err := m.view(space, "receipts")
	if err != nil {
		return err
	}
	m.to = view.History()
	m.bundle.Creator = bundle.Party{Lineage: m.own.Lineage(), Space: m.own.Space().String()}
	m.bundle.Audience = bundle.Party{Lineage: m.to.Lineage(), Space: space.String()}
	return m.recipient(view.Policy())
}

// follow follows the feeds that are to be carried. The bundle is signed under
// the first that is our own.
func (m *maker) follow(ctx context.Context, c *conn, ids []feed.ID) error {
	account, base, err := m.rest()
	if err != nil {
		return err
	}
	m.base = base
	m.age()
	for _, id := range ids {
		f, state, _, err := m.sync(ctx, c, id)
		if err != nil {
			return err
		}
		have, err := m.have(ctx, f, state, account)
		if err != nil {
			return err
		}
		m.bundle.Feeds = append(m.bundle.Feeds, bundle.Feed{State: state, Source: c, Have: have})
	}
	m.bundle.Bound = trust.Bound{Epoch: 1, Feed: feed.ID{Space: m.own.Space(), Name: ids[0].Name}.String(), Lineage: m.own.Lineage()}
	for _, f := range m.bundle.Feeds {
		if f.State.Lineage == m.own.Lineage() {
			m.bundle.Bound.Epoch, m.bundle.Bound.Feed = f.State.Epoch, f.State.ID.String()
			break
		}
	}
	return nil
}

// plan reads what is needed to know all sizes.
func (m *maker) plan(ctx context.Context, spool string) (*bundle.Plan, error) {
	m.bundle.Spool = spool
	m.bundle.Carry = func(_ feed.ID, r feed.Row) bool { return m.sel.Match(r.Ref) }
	if m.scanning != nil {
		m.bundle.Scans = m.scans
	}
	return bundle.Prepare(ctx, m.bundle)
}

func (m *maker) write(ctx context.Context, plan *bundle.Plan, doc *createdDoc) error {
	signer, err := m.home.Publisher(m.passphrase)
	if err != nil {
		return err
	}
	if _, err := os.Stat(m.options.out); errors.Is(err, fs.ErrNotExist) {
		m.note("note: %s was not there and is made: a medium that is not mounted looks like this", m.options.out)
	}
	folder, err := bundle.NewFolder(m.options.out)
	if err != nil {
		return err
	}
	bar := m.progress("writing")
	defer bar.end()
	sign := func(ctx context.Context, st signing.Statement) (signing.Attestation, error) {
		return signer.Sign(ctx, st)
	}
	w, err := bundle.Write(ctx, plan, folder, sign, bar.setBytes)
	if err != nil {
		return err
	}
	doc.Bundle, doc.Resumed = w.ID.String(), w.Resumed
	for i, name := range w.Files {
		doc.Volumes[i].File = name
	}
	return nil
}
