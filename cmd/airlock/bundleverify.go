package main

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"airlock/bundle"
	"airlock/feed"
	"airlock/internal/apply"
	"airlock/storage"
)

func (a *app) bundleVerifyCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "verify STICK…",
		Short: "Check a bundle: every block, who made it for whom, and all that it carries",
		Long: `Read every byte of a bundle's volumes and hold it against what its maker signed,
then verify its feeds and everything that they carry. Volumes may lie in several
folders. Nothing is taken in, and nothing is written.

The exit code is 14 where a volume, or what the bundle builds on, is missing, 15
for damage that airlock bundle repair mends, and 10 for any other damage.`,
		Example: `  airlock bundle verify /mnt/stick
  airlock bundle verify /mnt/first /mnt/second`,
		Args:              atLeast(1, "a folder or volumes"),
		ValidArgsFunction: completeVolumes,
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.bundleVerify(cmd.Context(), args)
		},
	}
}

// completeVolumes offers files and folders.
func completeVolumes(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
	return nil, cobra.ShellCompDirectiveDefault
}

func (a *app) bundleVerify(ctx context.Context, paths []string) error {
	c, err := a.openChecked(ctx, paths, nil)
	if err != nil {
		return err
	}
	defer c.Close()
	return c.end(c.all(ctx, func(*checkedFeed, *feed.Package) error { return nil }))
}

// bundleCheck verifies a bundle as it would be taken in here, and changes
// nothing.
type bundleCheck struct {
	*verification
	*bundle.Bundle
	health *bundle.Health
	signer *signerDoc // nil where it was not who the bundle says
	feeds  []*checkedFeed
	late   int   // feeds of which all was accepted here before
	behind error // an *earlierError, where entries before the bundle's are missing
	// into is the receiver's folder, nil where it is not known. held opens what it
	// has, and lacks says why a package could not be read without it.
	into  *apply.Dir
	held  func(payload storage.Digest) (io.ReaderAt, int64, io.Closer, error)
	lacks map[packageKey]error
}

// checkedFeed is a feed of a bundle, followed as far as the bundle leads.
type checkedFeed struct {
	*opened
	slice bundle.Slice
	seen  int64        // entries that were accepted here before
	there []apply.Item // what the receiver's folder has of it, where that is looked at
}

func (a *app) openChecked(ctx context.Context, paths []string, into *apply.Dir) (*bundleCheck, error) {
	c := &bundleCheck{into: into, lacks: map[packageKey]error{}}
	o := bundle.OpenOptions{Key: a.decryptionKey}
	if into != nil {
		o.Base = func(_ context.Context, payload storage.Digest) (io.ReaderAt, int64, io.Closer, error) {
			return c.held(payload)
		}
	}
	b, err := bundle.Open(ctx, paths, o)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, usage("there is no bundle in %s", "name the folder in which the volumes ("+bundle.Extension+") lie, or the volumes; is the medium mounted?", strings.Join(paths, ", "))
	}
	if err != nil {
		return nil, err
	}
	c.Bundle = b
	c.verification = &verification{app: a, doc: verifyDoc{Target: "bundle " + b.ID().String(), Checks: []checkDoc{}}, found: map[string]bool{}}
	if into != nil {
		var feeds []feed.ID
		for _, s := range b.Document().Feeds {
			feeds = append(feeds, s.Feed)
		}
		c.held, err = into.Holding(ctx, feeds)
	}
	if err != nil {
		return nil, errors.Join(err, b.Close())
	}
	return c, nil
}

// all runs all checks; read is told of each package that is carried. Where
// volumes are not whole the rest is not looked at: it would be refused.
func (c *bundleCheck) all(ctx context.Context, read func(*checkedFeed, *feed.Package) error) error {
	whole, err := c.volumes(ctx)
	if err != nil || !whole {
		return err
	}
	if err := c.destination(); err != nil {
		return err
	}
	for _, s := range c.Document().Feeds {
		f, err := c.follow(ctx, s)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if as[*earlierError](err) {
			c.behind = err
		}
		if err != nil {
			c.bad("statements", err)
			continue
		}
		if f != nil {
			c.feeds = append(c.feeds, f)
		}
	}
	c.authenticity()
	for _, f := range c.feeds {
		if err := c.payloads(ctx, f, read); err != nil {
			return err
		}
	}
	return nil
}

// medium names the folders of the volumes as --from does.
func (c *bundleCheck) medium() string {
	var dirs []string
	for _, path := range c.Set().Volumes {
		if dir := filepath.Dir(path); path != "" && !slices.Contains(dirs, dir) {
			dirs = append(dirs, dir)
		}
	}
	return strings.Join(dirs, ",")
}
