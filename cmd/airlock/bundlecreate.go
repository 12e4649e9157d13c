package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"airlock/bundle"
	"airlock/feed"
	"airlock/internal/apply"
	"airlock/internal/home"
	"airlock/signing"
	"airlock/trust"
)

type createOptions struct {
	selection
	to, out, from, base   string
	maxVolume, parity     string
	label, classification string
	expires               string
	dryRun                bool
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
the bundle carries all, and says so.

A run that was ended goes on where it stopped: say the same command again. Until
all is there, nothing on the medium has a name that looks like a volume.`,
		Example: `  airlock bundle create acme/dev-qa/shared --to acme/production -o /media/stick
  airlock bundle create shared tools --to acme/production -o /media/stick --dry-run
  airlock bundle create shared --to acme/production --base /media/stick -o /media/stick
  airlock bundle create shared --to acme/production -o volumes --max-volume-size dvd --parity 10%
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
	fromFlag(c, &o.from)
	o.selection.flags(f)
	f.StringVar(&o.maxVolume, "max-volume-size", "fat32", "most bytes of a volume: fat32, dvd, bd25, or a number with K, M, G or T")
	f.StringVar(&o.parity, "parity", "0%", "how much of all that is written may be lost or damaged, up to 50%")
	f.StringVar(&o.label, "label", "", "what people shall read on the medium")
	f.StringVar(&o.classification, "classification", "", "classification of the content, for the label")
	f.StringVar(&o.expires, "expires", "", "last day on which it may be taken in, such as 2027-01-31")
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
		a.note("at %s: airlock pull %s --from %s --into FOLDER", o.to, ids[0], o.out)
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
	if isAirlocks(o.out) {
		return usage("-o %s: is a home or a store of airlock", "name the folder of the medium, or a new one", o.out)
	}
	if m.sel, err = o.selection.parse(); err != nil {
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
	number := strings.TrimRight(strings.ToUpper(s), "KMGTIB")
	shift, ok := map[string]int{"": 0, "K": 10, "M": 20, "G": 30, "T": 40}[strings.TrimSuffix(strings.TrimSuffix(strings.ToUpper(s[len(number):]), "B"), "I")]
	n, err := strconv.ParseInt(number, 10, 64)
	if !ok || err != nil || n < 1 || n > 1<<62>>shift {
		return 0, usage("--max-volume-size %.40q: is no size", "say fat32, dvd, bd25, or bytes such as 700M or 4G", s)
	}
	n <<= shift
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
	return nil
}

// follow follows the feeds that are to be carried. The bundle is signed under
// the first that is our own.
func (m *maker) follow(ctx context.Context, c *conn, ids []feed.ID) error {
	account, base, err := m.rest()
	if err != nil {
		return err
	}
	m.base = base
	for _, id := range ids {
		if slices.ContainsFunc(m.bundle.Feeds, func(f bundle.Feed) bool { return f.State.ID == id }) {
			return usage("feed %s was named twice", "name it once", id)
		}
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
	return bundle.Prepare(ctx, m.bundle)
}

func (m *maker) write(ctx context.Context, plan *bundle.Plan, doc *createdDoc) error {
	signer, err := m.home.Publisher(m.passphrase)
	if err != nil {
		return err
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

// createdDoc is what bundle create shows.
type createdDoc struct {
	Bundle       string      `json:"bundle,omitempty"` // SHA-256 of its document
	For          string      `json:"for"`
	Lineage      string      `json:"lineage"` // of the receiver
	Expires      string      `json:"expires,omitempty"`
	Base         *baseDoc    `json:"base,omitempty"` // absent where the receiver counts as new
	Feeds        []sliceDoc  `json:"feeds"`
	LeftOut      int         `json:"leftOut"` // live packages that the filters left out
	Volumes      []volumeDoc `json:"volumes"`
	Bytes        int64       `json:"bytes"`
	SurvivesLoss bool        `json:"survivesLoss"`      // of any one volume
	Resumed      int         `json:"resumed,omitempty"` // volumes of an earlier run
	DryRun       bool        `json:"dryRun,omitempty"`
	out          string
}

type sliceDoc struct {
	Feed     string   `json:"feed"`
	From     int64    `json:"from"` // entries that the receiver has
	To       int64    `json:"to"`
	Packages []string `json:"packages"` // whose payloads travel
}

type volumeDoc struct {
	File string `json:"file,omitempty"`
	Size int64  `json:"size"` // bytes
}

func (m *maker) describe(plan *bundle.Plan) createdDoc {
	d := createdDoc{For: m.bundle.Audience.Space, Lineage: m.bundle.Audience.Lineage.String(), Expires: plan.Document.Expires, Base: m.base, LeftOut: plan.LeftOut,
		Bytes: plan.Bytes(), SurvivesLoss: plan.SurvivesLoss(), DryRun: m.options.dryRun, out: m.options.out}
	for i, s := range plan.Document.Feeds {
		doc := sliceDoc{Feed: s.Feed.String(), From: s.From, To: s.To, Packages: []string{}}
		for _, r := range plan.Packages[i] {
			doc.Packages = append(doc.Packages, r.Ref.String())
		}
		d.Feeds = append(d.Feeds, doc)
	}
	for _, n := range plan.Sizes() {
		d.Volumes = append(d.Volumes, volumeDoc{Size: n})
	}
	return d
}

func (d createdDoc) table(w io.Writer) {
	fmt.Fprintf(w, "for %s, lineage %s\n", d.For, d.Lineage)
	if d.Base == nil {
		fmt.Fprintf(w, "in full: nothing is known here of what %s holds\n", d.For)
	} else {
		fmt.Fprintf(w, "on the base of what it held at %s, signed by %s (%s)\n", d.Base.Time, d.Base.Person, d.Base.From)
	}
	for _, s := range d.Feeds {
		fmt.Fprintf(w, "%s: entries %d to %d, %s\n", s.Feed, s.From, s.To, count(len(s.Packages), "package", "packages"))
		for _, p := range s.Packages {
			if d.DryRun {
				fmt.Fprintf(w, "  + %s\n", p)
			}
		}
	}
	if d.LeftOut > 0 {
		fmt.Fprintf(w, "%s left out: --kind, --name or --version-mask\n", count(d.LeftOut, "live package", "live packages"))
	}
	if d.SurvivesLoss {
		fmt.Fprintln(w, "any one volume may be lost")
	}
	volumes := count(len(d.Volumes), "volume", "volumes") + ", " + size(d.Bytes)
	if d.DryRun {
		fmt.Fprintf(w, "%s\nnothing was written: --dry-run\n", volumes)
		return
	}
	for _, v := range d.Volumes {
		fmt.Fprintf(w, "  %s  %s\n", v.File, size(v.Size))
	}
	fmt.Fprintf(w, "wrote bundle %s to %s: %s\n", d.Bundle, d.out, volumes)
}
