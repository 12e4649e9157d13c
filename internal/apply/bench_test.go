package apply

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"airlock/feed"
)

// BenchmarkDir applies 600 packages of one file of 10 KB, as one sync, to a
// folder that is new each time. "fetch" is what it takes to get and check the
// same packages without writing them.
func BenchmarkDir(b *testing.B) {
	s := newShelf(b, "acme/dev/shared")
	for i := range 600 {
		s.publish(fmt.Sprintf("step-template/template-%d@1", i), files{"step-template.json": strings.Repeat(fmt.Sprintf("%09d\n", i), 1000)})
	}
	plan := Plan(s.id, Choose(s.state(), anyone(), Selection{}, testNow), nil, Consent{})
	b.Run("apply", func(b *testing.B) {
		base, n := b.TempDir(), 0
		for b.Loop() {
			n++
			d := openDir(b, filepath.Join(base, fmt.Sprint(n)))
			ok(b, d.Apply(b.Context(), s.sync(plan))[0].Err)
		}
	})
	b.Run("fetch", func(b *testing.B) {
		for b.Loop() {
			err := s.fetch(b.Context(), rowsToFetch(plan), func(p *feed.Package) error {
				body, err := p.Open(context.Background(), 0)
				if err == nil {
					_, err = refOf(body)
				}
				return err
			})
			if err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("again", func(b *testing.B) {
		d := openDir(b, b.TempDir())
		s.mustPull(d, false)
		for b.Loop() {
			s.mustPull(d, false)
		}
	})
}
