package feed_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"

	"golang.org/x/sync/errgroup"

	"airlock/feed"
	"airlock/storage"
)

// TestTurns: who comes while work is under way gets what was read after it came,
// together with all others who did. Who leaves waits no longer, and keeps nobody
// from it.
func TestTurns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		turns, held := feed.NewTurns[int, int](), make(chan struct{})
		now, worked := 0, 0
		work := func(ctx context.Context, callers int) (int, error) {
			seen := now
			<-held
			worked += callers
			return seen, ctx.Err()
		}
		var got [5]int
		var leaves []context.CancelFunc
		var waiting errgroup.Group
		for i := range got {
			ctx, leave := context.WithCancel(t.Context())
			leaves = append(leaves, leave)
			now = i
			waiting.Go(func() (err error) {
				got[i], err = turns.Do(ctx, func(n *int) bool { *n++; return true }, work)
				if (i == 0 || i == 3) != errors.Is(err, context.Canceled) {
					t.Errorf("caller %d: %v", i, err)
				}
				return nil
			})
			synctest.Wait()
		}
		leaves[0]() // its work is under way
		leaves[3]() // waits
		synctest.Wait()
		close(held)
		_ = waiting.Wait()
		synctest.Wait()
		for i, want := range []int{0, 4, 4, 0, 4} {
			if got[i] != want {
				t.Errorf("caller %d got what was there at %d, want %d", i, got[i], want)
			}
		}
		if worked != len(got) {
			t.Errorf("the work was done for %d callers, want %d", worked, len(got))
		}
	})
}

// TestTurnsAway: who waits behind one that the store did not answer is told with it, and
// whoever comes afterwards asks anew. Any other failure is of that one alone.
func TestTurnsAway(t *testing.T) {
	for why, tried := range map[error]int{storage.ErrAway: 1, storage.ErrNoSpace: 2} {
		synctest.Test(t, func(t *testing.T) {
			turns, held, worked := feed.NewTurns[int, int](), make(chan struct{}), 0
			ask := func() error {
				_, err := turns.Do(t.Context(), func(*int) bool { return true }, func(context.Context, int) (int, error) {
					worked++
					<-held
					return 0, why
				})
				return err
			}
			var waiting errgroup.Group
			for range 3 {
				waiting.Go(func() error {
					if err := ask(); !errors.Is(err, why) {
						t.Errorf("got %v, want %v", err, why)
					}
					return nil
				})
				synctest.Wait()
			}
			close(held)
			_ = waiting.Wait()
			if worked != tried {
				t.Errorf("%v: tried %d times, want %d", why, worked, tried)
			}
			if _ = ask(); worked != tried+1 {
				t.Errorf("%v: who comes afterwards does not ask", why)
			}
		})
	}
}

// TestTurnsFull: what has no room in a turn takes one of its own.
func TestTurnsFull(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		turns := feed.NewTurns[[]int, int]()
		var sizes []int
		var waiting errgroup.Group
		held := make(chan struct{})
		for range 6 {
			waiting.Go(func() error {
				_, err := turns.Do(t.Context(), func(job *[]int) bool {
					if len(*job) == 2 {
						return false
					}
					*job = append(*job, 1)
					return true
				}, func(_ context.Context, job []int) (int, error) {
					<-held
					sizes = append(sizes, len(job))
					return 0, nil
				})
				return err
			})
			synctest.Wait()
		}
		close(held)
		if err := waiting.Wait(); err != nil {
			t.Fatal(err)
		}
		total := 0
		for _, n := range sizes {
			if total += n; n < 1 || n > 2 {
				t.Errorf("a turn of %d, want 1 or 2", n)
			}
		}
		if total != 6 {
			t.Errorf("turns of %v, want 6 together", sizes)
		}
	})
}
