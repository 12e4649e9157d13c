package feed

import "context"

// GoOn is what a newcomer tries before it reads the whole feed.
func GoOn(ctx context.Context, f *Follower, id ID) error {
	got, err := f.Source.Checkpoint(ctx, id)
	if err != nil {
		return err
	}
	_, err = f.goOn(ctx, id, got)
	return err
}

// ErrNoSnapshot reports that nothing was offered.
var ErrNoSnapshot = errNoSnapshot
