package outbox

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"slices"

	"airlock/feed"
	"airlock/internal/apply"
	"airlock/receipts"
	"airlock/storage"
)

// sides of a package, of each of which what was reported last is kept.
var sides = map[receipts.Outcome]byte{receipts.Applied: 'a', receipts.Failed: 'f', receipts.Rejected: 'r'}

// key names a side of a package; what the policy refuses, each entry for itself.
func (f Fact) key(outcome receipts.Outcome) [16]byte {
	var buf [512]byte
	what := append(buf[:0], sides[outcome])
	if outcome == receipts.Rejected {
		what = append(what, f.Row.ID[:]...)
	} else {
		what = append(append(append(what, f.Ref.Kind...), '/'), f.Ref.Name...)
	}
	sum := sha256.Sum256(what)
	return [16]byte(sum[:16])
}

// value stands for what was reported of it: the entry, whether it was a removal,
// and why it failed. Why the policy refuses is left out: such reasons count days
// and name who is missing, and would be new each time.
func (f Fact) value() [16]byte {
	v := [16]byte(f.Row.ID[:16])
	if f.Operation == apply.Remove {
		v[0] ^= 1
	}
	if f.Outcome == receipts.Failed {
		sum := sha256.Sum256(append(v[:], f.Reason...))
		v = [16]byte(sum[:16])
	}
	return v
}

// Reported is what was reported of a feed's packages for one target, so that a
// thing is said once: for each side of a package (applied, failed, rejected) a
// short digest of what was said last.
//
// It is the cell reported/<lineage>/<feed>/<target> of the home's store:
//
//	"airlock-reported 1\n", then by package 16 bytes of its digest and 16 of
//	what was said, sorted
//
// It is kept after the receipts are, so where a process died between the two a
// receipt repeats.
type Reported struct {
	store     *storage.Store
	key, tag  string
	said      []said
	news      map[[16]byte][16]byte
	overtaken map[[16]byte]bool // failures that are over
}

type said struct{ key, value [16]byte }

const (
	reportedHeader = "airlock-reported 1\n"
	maxReported    = 1_500_000
)

// Reported loads what was reported; target tells the targets of a home apart,
// and is empty for what the policy refuses.
func (o *Outbox) Reported(ctx context.Context, s *feed.State, target string) (*Reported, error) {
	r := &Reported{store: o.state, key: fmt.Sprintf("reported/%s/%s/%s", storage.Digest(s.Lineage).Hex(), s.ID.Name, storage.DigestOf([]byte(target)).Hex()[:32]),
		news: map[[16]byte][16]byte{}, overtaken: map[[16]byte]bool{}}
	value, tag, err := o.state.Cells.Load(ctx, r.key)
	if errors.Is(err, fs.ErrNotExist) {
		return r, nil
	}
	if err == nil {
		r.tag = tag
		r.said, err = parseReported(value)
	}
	if err != nil {
		return nil, fmt.Errorf("what was reported of feed %s: %w", s.ID, err)
	}
	return r, nil
}

func parseReported(b []byte) ([]said, error) {
	rest, ok := bytes.CutPrefix(b, []byte(reportedHeader))
	if !ok || len(rest)%32 != 0 || len(rest)/32 > maxReported {
		return nil, &storage.FormatError{Where: "what was reported", Got: fmt.Sprintf("%.20q", b), Want: reportedHeader}
	}
	out := make([]said, len(rest)/32)
	for i := range out {
		out[i] = said{[16]byte(rest[i*32:]), [16]byte(rest[i*32+16:])}
		if i > 0 && bytes.Compare(out[i-1].key[:], out[i].key[:]) >= 0 {
			return nil, fmt.Errorf("what was reported: row %d is out of order", i)
		}
	}
	return out, nil
}

func formatReported(all []said) []byte {
	out := make([]byte, 0, len(reportedHeader)+32*len(all))
	out = append(out, reportedHeader...)
	for _, s := range all {
		out = append(append(out, s.key[:]...), s.value[:]...)
	}
	return out
}

// News returns the facts that were not reported yet. What was done now always
// is news, also where it was done before; what was there already, still fails
// or is still refused is not.
func (r *Reported) News(facts []Fact) []Fact {
	var out []Fact
	for _, f := range facts {
		key, value := f.key(f.Outcome), f.value()
		done := f.Outcome == receipts.Applied && f.Operation != apply.Same
		if have, ok := r.find(key); ok && have == value && !done {
			continue
		}
		r.news[key] = value
		if f.Outcome == receipts.Applied {
			r.overtaken[f.key(receipts.Failed)] = true
		}
		out = append(out, f)
	}
	return out
}

func (r *Reported) find(key [16]byte) ([16]byte, bool) {
	i, ok := slices.BinarySearchFunc(r.said, key, func(s said, k [16]byte) int { return bytes.Compare(s.key[:], k[:]) })
	if !ok {
		return [16]byte{}, false
	}
	return r.said[i].value, true
}

// Keep keeps what News returned as reported. Where another process kept
// something meanwhile, some of it is reported once more.
func (r *Reported) Keep(ctx context.Context) error {
	if len(r.news) == 0 {
		return nil
	}
	all := make([]said, 0, len(r.said)+len(r.news))
	for _, s := range r.said {
		if _, ok := r.news[s.key]; !ok && !r.overtaken[s.key] {
			all = append(all, s)
		}
	}
	for k, v := range r.news {
		all = append(all, said{k, v})
	}
	if len(all) > maxReported {
		all = all[len(all)-len(r.news):] // the oldest are said again one day
	}
	slices.SortFunc(all, func(a, b said) int { return cmp.Compare(string(a.key[:]), string(b.key[:])) })
	tag, err := r.store.Cells.Swap(ctx, r.key, r.tag, formatReported(all))
	if errors.Is(err, storage.ErrConflict) || errors.Is(err, storage.ErrUnclear) {
		return nil
	}
	r.tag, r.said = tag, all
	clear(r.news)
	clear(r.overtaken)
	return err
}
