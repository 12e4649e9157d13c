package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"airlock/bundle"
	"airlock/feed"
	"airlock/signing"
	"airlock/storage"
)

// baseDoc is what a bundle rests on: what the receiver said that it holds.
type baseDoc struct {
	Time     string `json:"time"`     // when it said so, by its clock
	Person   string `json:"signedBy"` // whose key signed it
	From     string `json:"from"`     // the path, or "kept here"
	Document string `json:"document"` // SHA-256
}

// keptHere stands for holdings that came in a feed.
const keptHere = "kept here"

// rest finds out what the receiver holds, by its newest signed holdings: those
// that --base names, or that came here in a feed. Without any, and with --full, it
// holds nothing, so a bundle never carries too little.
func (m *maker) rest() (*feed.Account, *baseDoc, error) {
	if m.options.full {
		return nil, nil, nil
	}
	att, document, from, err := m.findBase()
	if err != nil || document == nil {
		return nil, nil, err
	}
	account, v, err := feed.OpenHoldings(m.to, att, document)
	if err != nil {
		code, _ := outcomeOf(err)
		return nil, nil, &failure{code: code, cause: err, what: fmt.Sprintf("the holdings of %s, %s: %s", m.to.Space(), from, oneLine(err.Error())),
			hint: "get them again, signed by whom its identity lists: airlock holdings -o DIR there; if it renewed its certificate since, pull a feed of it first; nothing was written"}
	}
	return account, &baseDoc{account.Time, v.Person(), from, storage.DigestOf(document).String()}, nil
}

func (m *maker) findBase() (att signing.Attestation, document []byte, from string, err error) {
	if m.options.base == "" {
		att, document, err = m.home.Held(m.to.Lineage())
		if errors.Is(err, fs.ErrNotExist) {
			err = nil
		}
		return att, document, keptHere, err
	}
	dir := m.options.base
	if info, err := os.Stat(dir); err == nil && !info.IsDir() {
		dir = filepath.Dir(dir)
	}
	att, document, err = feed.ReadHoldings(os.DirFS(dir), m.to.Space())
	if errors.Is(err, fs.ErrNotExist) {
		err = &failure{code: exitNoBase, cause: err, what: fmt.Sprintf("--base %s: there are no holdings of %s", m.options.base, m.to.Space()),
			hint: "have them written there: airlock holdings -o DIR; a bundle with its receipts is pulled instead, and then needs no --base; --full carries all"}
	}
	return att, document, dir, err
}

// have returns what the receiver holds of a feed. The checkpoint that it saw
// must be one of ours: two histories under one key are a fork.
func (m *maker) have(ctx context.Context, f *feed.Follower, s *feed.State, account *feed.Account) (bundle.Have, error) {
	if account == nil {
		return bundle.Have{}, nil
	}
	theirs, ok := account.Feed(s.Lineage, s.ID)
	if !ok || theirs.Epoch != s.Epoch {
		return bundle.Have{}, nil
	}
	seen, err := f.Compare(ctx, s, []byte(theirs.Note))
	if err != nil {
		return bundle.Have{}, fmt.Errorf("what %s saw: %w", account.Space, err)
	}
	have := bundle.Have{Size: seen.Size, Root: seen.Root, Packages: map[bundle.HeldVersion]bool{}}
	for _, list := range [][]feed.Held{theirs.Live, theirs.Withdrawn} {
		for _, h := range list {
			have.Packages[bundle.HeldVersion{Ref: h.Ref(), Manifest: h.Manifest}] = h.Files
		}
	}
	return have, nil
}
