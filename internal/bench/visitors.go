package main

import (
	"context"
	"io"
	"time"

	"golang.org/x/sync/errgroup"

	"airlock/feed"
	"airlock/feed/feedhttp"
	"airlock/storage"
)

// visitors are Spaces of a population that publish now and then, and others that pull
// what they do.
type visitors struct{ publish, pull []func(context.Context) error }

// guests returns all Spaces but the first: half of them publish, each for another one.
func (p *population) guests(addr string) (*visitors, error) {
	v := &visitors{}
	for i := range guests {
		a, err := p.author(1+i, populationFeeds[0])
		if err != nil {
			return nil, err
		}
		client, err := a.client(addr, nil)
		if err != nil {
			return nil, err
		}
		reader, err := p.client(addr, func(c *feedhttp.ClientConfig) { c.Token = p.tokens[1+guests+i] })
		if err != nil {
			return nil, err
		}
		// Not in a home: its disk is another one than the server's.
		f, err := newFollower(a.own, reader, storage.NewMem(), nil)
		if err != nil {
			return nil, err
		}
		v.publish = append(v.publish, func(ctx context.Context) error { return (&grown{author: a}).publishOne(ctx, client) })
		v.pull = append(v.pull, func(ctx context.Context) error { return pullNew(ctx, f, a.id) })
	}
	return v, nil
}

// pullNew reads what is new in a feed, and the packages of it.
func pullNew(ctx context.Context, f *feed.Follower, id feed.ID) error {
	seen, report, err := f.Sync(ctx, id)
	if err != nil {
		return err
	}
	var fresh []feed.Row
	for row := range seen.Index.Rows(report.From) {
		if row.What == feed.IsPublication {
			fresh = append(fresh, row)
		}
	}
	return f.Fetch(ctx, seen, fresh, func(p *feed.Package) error {
		r, err := p.Open(ctx, 0)
		if err != nil {
			return err
		}
		defer r.Close()
		_, err = io.Copy(io.Discard, r)
		return err
	})
}

// visit has all of them ask again and again for a time. It returns what each
// publication and each pull took, in milliseconds.
func (v *visitors) visit(ctx context.Context, d time.Duration) (published, pulled []float64, err error) {
	took := make([][]float64, len(v.publish)+len(v.pull))
	end := time.Now().Add(d)
	group, ctx := errgroup.WithContext(ctx)
	for i, do := range append(v.publish[:len(v.publish):len(v.publish)], v.pull...) {
		group.Go(func() error {
			for time.Now().Before(end) {
				begin := time.Now()
				if err := do(ctx); err != nil {
					return err
				}
				took[i] = append(took[i], time.Since(begin).Seconds()*1000)
				pause(ctx, guestPause)
			}
			return nil
		})
	}
	err = group.Wait()
	for i, t := range took {
		if i < len(v.publish) {
			published = append(published, t...)
		} else {
			pulled = append(pulled, t...)
		}
	}
	return published, pulled, err
}
