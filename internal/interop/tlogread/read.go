package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"filippo.io/torchwood"
	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

type options struct {
	url, vkey, origin string
	since             []byte // an older signed checkpoint, or nil
	proofs            int64
	client            *http.Client
}

// report counts what was verified.
type report struct {
	origin                      string
	root                        tlog.Hash
	size, entries, bytes, since int64
	proofs                      int64
}

// read verifies the whole log. Its error names the first thing that is wrong.
func read(ctx context.Context, o options) (report, error) {
	policy, err := policyOf(o)
	if err != nil {
		return report{}, err
	}
	fetcher, err := torchwood.NewTileFetcher(o.url, torchwood.WithHTTPClient(o.client), torchwood.WithConcurrencyLimit(4))
	if err != nil {
		return report{}, err
	}
	signed, err := fetcher.ReadEndpoint(ctx, "checkpoint")
	if err != nil {
		return report{}, err
	}
	checkpoint, _, err := torchwood.VerifyCheckpoint(signed, policy)
	if err != nil {
		return report{}, fmt.Errorf("checkpoint: %w", err)
	}
	r := report{origin: checkpoint.Origin, size: checkpoint.N, root: checkpoint.Hash}
	if o.since != nil {
		if r.since, err = grewFrom(ctx, o.since, policy, checkpoint.Tree, fetcher); err != nil {
			return r, err
		}
	}
	client, err := torchwood.NewClient(fetcher, torchwood.WithTimeout(time.Minute))
	if err != nil {
		return r, err
	}
	if err := r.readEntries(ctx, client, checkpoint.Tree); err != nil {
		return r, err
	}
	return r, r.prove(ctx, client, checkpoint.Tree, o.proofs)
}

// policyOf wants the one signature by the log's key, and the log's origin.
func policyOf(o options) (torchwood.Policy, error) {
	verifier, err := note.NewVerifier(o.vkey)
	if err != nil {
		return nil, fmt.Errorf("verifier key: %w", err)
	}
	origin := o.origin
	if origin == "" {
		origin = verifier.Name()
	}
	return torchwood.ThresholdPolicy(2, torchwood.OriginPolicy(origin), torchwood.SingleVerifierPolicy(verifier)), nil
}

// grewFrom verifies that tree holds all of the older checkpoint's entries.
func grewFrom(ctx context.Context, signed []byte, policy torchwood.Policy, tree tlog.Tree, tiles torchwood.TileReader) (int64, error) {
	older, _, err := torchwood.VerifyCheckpoint(signed, policy)
	if err != nil {
		return 0, fmt.Errorf("older checkpoint: %w", err)
	}
	if older.N > tree.N {
		return 0, fmt.Errorf("the log went back from size %d to %d", older.N, tree.N)
	}
	if older.N == 0 {
		return 0, nil
	}
	proof, err := tlog.ProveTree(tree.N, older.N, torchwood.TileHashReaderWithContext(ctx, tree, tiles))
	if err != nil {
		return 0, fmt.Errorf("consistency with size %d: %w", older.N, err)
	}
	if err := tlog.CheckTree(proof, tree.N, tree.Hash, older.N, older.Hash); err != nil {
		return 0, fmt.Errorf("consistency with size %d: %w", older.N, err)
	}
	return older.N, nil
}

// readEntries reads all entries; the client checks each against the tree.
func (r *report) readEntries(ctx context.Context, client *torchwood.Client, tree tlog.Tree) error {
	for i, entry := range client.AllEntries(ctx, tree, 0) {
		if i != r.entries {
			return fmt.Errorf("entry %d came where %d was due", i, r.entries)
		}
		r.entries++
		r.bytes += int64(len(entry))
	}
	if err := client.Err(); err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	if r.entries != tree.N {
		return fmt.Errorf("%d entries came, the checkpoint speaks of %d", r.entries, tree.N)
	}
	return nil
}

// prove asks for entries spread evenly over the log, the last one included,
// and verifies each one's inclusion proof.
func (r *report) prove(ctx context.Context, client *torchwood.Client, tree tlog.Tree, count int64) error {
	if tree.N == 0 || count <= 0 {
		return nil
	}
	step := max(1, tree.N/count)
	for i := tree.N - 1; i >= 0 && r.proofs < count; i -= step {
		entry, proof, err := client.Entry(ctx, tree, i)
		if err != nil {
			return err
		}
		if err := tlog.CheckRecord(proof, tree.N, tree.Hash, i, tlog.RecordHash(entry)); err != nil {
			return fmt.Errorf("entry %d: %w", i, err)
		}
		r.proofs++
	}
	if r.proofs == 0 {
		return errors.New("no entry was proven")
	}
	return nil
}
