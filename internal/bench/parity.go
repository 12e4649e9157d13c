package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"

	"airlock/internal/bench/peers"
)

// Of ten volumes nine hold data and one parity: 10 % of what is written.
const (
	dataVolumes = 9
	parityShare = "10%"
)

// protection measures the making of parity, and what it brings back.
type protection struct {
	*bench
	file                              string
	protected, created, fixed, mended side
	percent                           int // of recovery data that the peer makes
}

func measureParity(ctx context.Context, b *bench) []row {
	rows := []row{{name: "parity", title: "Parity for " + bytesText(b.parity) + " in ten volumes, and one of them lost"}}
	dir, err := b.folder()
	if err != nil {
		return failed(rows, err)
	}
	defer os.RemoveAll(dir)
	p := &protection{bench: b, file: filepath.Join(dir, "big.bin"),
		protected: side{name: "par2 create, sync"}, created: side{name: "airlock bundle create --parity " + parityShare},
		fixed: side{name: "par2 repair, sync"}, mended: side{name: "airlock bundle repair"}}
	if err := peers.RandomFile(p.file, b.parity); err != nil {
		return failed(rows, err)
	}
	for i := range b.rounds {
		b.say("parity: round %d", i+1)
		if err := p.round(ctx); err != nil {
			return failed(rows, err)
		}
	}
	rows[0].lines = []line{
		{what: "create", unit: "s", peer: &p.protected, ours: p.created, target: atMost(0.2)},
		{what: "repair", unit: "s", peer: &p.fixed, ours: p.mended, target: atMost(0.2)},
	}
	rows[0].note("The peer protects the same nine volumes of data with as many percent of them as bring back one, %d, and otherwise as it does by itself. Airlock's clock has the whole of creating the bundle in it, of which parity is a part; its repair verifies all volumes first.", p.percent)
	return rows
}

func (p *protection) round(ctx context.Context) error {
	dir, err := p.folder()
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	s, err := newSite(ctx, p.airlock, filepath.Join(dir, "site"))
	if err != nil {
		return err
	}
	if err := s.behindAGap(ctx); err != nil {
		return err
	}
	store := filepath.Join(dir, "store")
	if _, err := s.publishToStore(ctx, p.file, store); err != nil {
		return err
	}
	// A tenth more than the data needs leaves room for what lies around it.
	volume := strconv.FormatInt(p.sizes.parity/dataVolumes*11/10+1<<20, 10)
	err = p.clock(ctx, &p.created, func() (peers.Cost, error) {
		return s.createBundle(ctx, "--store", store, "--parity", parityShare, "--max-volume-size", volume)
	})
	if err != nil {
		return err
	}
	return p.lose(ctx, s, filepath.Join(dir, "par2"))
}

// lose has the peer protect the same volumes, and both bring back one that is
// gone.
func (p *protection) lose(ctx context.Context, s *site, beside string) error {
	volumes, err := filepath.Glob(s.path("stick", "*.airlock"))
	if err != nil {
		return err
	}
	if len(volumes) != dataVolumes+1 {
		return fmt.Errorf("%d volumes, want %d", len(volumes), dataVolumes+1)
	}
	if err := os.Mkdir(beside, 0o755); err != nil {
		return err
	}
	var files []string
	for _, v := range volumes[:dataVolumes] {
		if _, err := peers.CopySync(ctx, v, beside); err != nil {
			return err
		}
		files = append(files, filepath.Join(beside, filepath.Base(v)))
	}
	if p.percent, err = share(files, dataVolumes/2); err != nil {
		return err
	}
	ours, theirs := volumes[dataVolumes/2], files[dataVolumes/2]
	if err := p.clock(ctx, &p.protected, func() (peers.Cost, error) { return peers.Par2Create(ctx, beside, p.percent, files) }); err != nil {
		return err
	}
	if err := p.restored(ctx, theirs, ours, &p.fixed, func() (peers.Cost, error) { return peers.Par2Repair(ctx, beside) }); err != nil {
		return err
	}
	return p.restored(ctx, ours, theirs, &p.mended, func() (peers.Cost, error) {
		cost, _, err := peers.Run(ctx, p.airlock, "--home", s.path("inner"), "bundle", "repair", s.path("stick"))
		return cost, err
	})
}

// share is how many percent of files one of them is, rounded up to what is sure
// to bring it back.
func share(files []string, one int) (int, error) {
	var all, part int64
	for i, f := range files {
		info, err := os.Stat(f)
		if err != nil {
			return 0, err
		}
		if all += info.Size(); i == one {
			part = info.Size()
		}
	}
	return int(100*part/all) + 2, nil
}

// restored removes a file and measures what brings it back, the same as another.
func (p *protection) restored(ctx context.Context, file, same string, to *side, bring func() (peers.Cost, error)) error {
	if err := os.Remove(file); err != nil {
		return err
	}
	if err := p.clock(ctx, to, bring); err != nil {
		return err
	}
	return sameFile(same, file)
}
