// Package outbox makes the receipts of a home and keeps them until they are in
// its receipts feed.
//
// A receipt is made in three steps, and a process may die between any two:
//
//  1. Record numbers receipts and writes their statements to a file of the home,
//     durable. Creating that file, which is named by the first number, is what
//     gives the numbers out: it is created once, so no number is used twice.
//     From then on the receipts are never lost. A lock goes with it, for a file
//     that was sent is gone, and who read the book before that could create it
//     again.
//  2. Sign signs what is not signed, with a time stamp over each signature.
//  3. Send appends them to the feed and then removes the file. A receipt that
//     was appended and not removed is appended again, which changes nothing.
//
// Ids of statements do not depend on signatures, so each receipt names the one
// before although nothing is signed yet: a key that asks for a passphrase may
// wait for a person.
//
// # State
//
// The cell receipts in the home's store holds the book, in canonical JSON: the
// format, the instance, the last number given out with its statement's id, and
// how much of the home's own receipts feed is known to be in order. A home that
// was put back from a backup would give numbers out again. So before receipts
// are sent, or handed to who brings them there, the feed is read: where it holds receipts of this instance that the
// book does not know, the instance is renewed and what waits is numbered anew.
//
// # File
//
//	"airlock-outbox 1\n", then for each receipt one line: the statement, or the
//	attestation in its stored form once it is signed
package outbox

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"

	"airlock/internal/home"
	"airlock/receipts"
	"airlock/signing"
	"airlock/storage"
)

// Outbox is the receipts of a home that holds a Space. Several processes may
// work on it.
type Outbox struct {
	home  *home.Home
	state *storage.Store // the home's
}

// Open returns the outbox of a home.
func Open(ctx context.Context, h *home.Home) (*Outbox, error) {
	state, err := h.State(ctx)
	if err != nil {
		return nil, err
	}
	return &Outbox{home: h, state: state}, nil
}

const (
	bookKey    = "receipts"
	bookFormat = "airlock-receipts 1"
)

// book is the value of the cell.
type book struct {
	Format   string      `json:"format"`
	Instance string      `json:"instance"`
	Known    int64       `json:"known"`          // entries of the own feed that are in order
	Last     *signing.ID `json:"last,omitempty"` // statement of the last receipt
	Number   int64       `json:"number"`         // of the last receipt, 0 for none

	tag string
}

// next makes r the receipt after the last.
func (b *book) next(r *receipts.Receipt) (signing.Statement, error) {
	r.Instance, r.Number, r.Previous = b.Instance, b.Number+1, b.Last
	st, err := r.Statement()
	if err != nil {
		return st, err
	}
	id, err := st.ID()
	b.Number, b.Last = r.Number, &id
	return st, err
}

// load reads the book, and brings it up to what lies in files: numbers whose
// file was written are given out, also where the book does not say so yet.
func (o *Outbox) load(ctx context.Context) (*book, error) {
	release, err := o.home.LockReceipts(ctx)
	if err != nil {
		return nil, err
	}
	defer release()
	return o.loadLocked(ctx)
}

func (o *Outbox) loadLocked(ctx context.Context) (b *book, err error) {
	err = race(func() error {
		b, err = o.loadOnce(ctx)
		return err
	})
	return b, err
}

// maxRaces bounds how often others may be faster.
const maxRaces = 100

// race does something again where another process was faster.
func race(do func() error) error {
	for range maxRaces {
		if err := do(); !errors.Is(err, storage.ErrConflict) && !errors.Is(err, fs.ErrExist) {
			return err
		}
	}
	return storage.ErrConflict
}

func (o *Outbox) loadOnce(ctx context.Context) (*book, error) {
	value, tag, err := o.state.Cells.Load(ctx, bookKey)
	b := &book{}
	switch {
	case errors.Is(err, fs.ErrNotExist):
		if b, err = newBook(); err != nil {
			return nil, err
		}
		if err := o.save(ctx, b); err != nil {
			return nil, err
		}
	case err != nil:
		return nil, err
	default:
		if err := signing.UnmarshalCanonical(value, b); err != nil {
			return nil, fmt.Errorf("book of receipts: %w", err)
		}
		if b.Format != bookFormat || !receipts.IsInstance(b.Instance) || (b.Number == 0) != (b.Last == nil) || b.Number < 0 || b.Known < 0 {
			return nil, &storage.FormatError{Where: "book of receipts", Got: fmt.Sprintf("%.40q", b.Format), Want: bookFormat}
		}
		b.tag = tag
	}
	return b, o.catchUp(ctx, b)
}

func newBook() (*book, error) {
	var instance [16]byte
	_, err := rand.Read(instance[:])
	return &book{Format: bookFormat, Instance: hex.EncodeToString(instance[:])}, err
}

// save swaps the book; storage.ErrConflict where another process was faster.
func (o *Outbox) save(ctx context.Context, b *book) error {
	value, err := signing.MarshalCanonical(b)
	if err != nil {
		return err
	}
	tag, err := o.state.Cells.Swap(ctx, bookKey, b.tag, value)
	if err != nil {
		return fmt.Errorf("book of receipts: %w", err)
	}
	b.tag = tag
	return nil
}

// catchUp takes numbers into the book that are given out by a file, and numbers
// what an earlier instance left.
func (o *Outbox) catchUp(ctx context.Context, b *book) error {
	files, err := o.home.Receipts()
	if err != nil {
		return err
	}
	before := b.Number
	for _, first := range files[b.Instance] {
		if first != b.Number+1 {
			continue
		}
		lines, err := o.read(b.Instance, first)
		if err != nil {
			return err
		}
		id := lines[len(lines)-1].id
		b.Number, b.Last = first+int64(len(lines))-1, &id
	}
	if b.Number > before {
		if err := o.save(ctx, b); err != nil {
			return err
		}
	}
	for instance, numbers := range files {
		if instance != b.Instance && receipts.IsInstance(instance) {
			if err := o.takeOver(ctx, b, instance, numbers); err != nil {
				return err
			}
		}
	}
	return nil
}

// takeOver numbers the waiting receipts of another instance anew. Where it is
// cut off, a receipt repeats under two numbers.
func (o *Outbox) takeOver(ctx context.Context, b *book, instance string, numbers []int64) error {
	for _, first := range numbers {
		lines, err := o.read(instance, first)
		if err != nil {
			return err
		}
		all := make([]receipts.Receipt, len(lines))
		for i, l := range lines {
			all[i] = l.receipt
		}
		if err := o.add(ctx, b, all); err != nil {
			return err
		}
		if err := o.home.RemoveReceipts(instance, first); err != nil {
			return err
		}
	}
	return nil
}

// fileSize bounds the receipts of a file: it is read and signed as a whole.
const fileSize = 1000

// Record makes receipts durable, in their order. Instance, number and previous
// are filled in here.
func (o *Outbox) Record(ctx context.Context, all []receipts.Receipt) error {
	for len(all) > 0 {
		n := min(len(all), fileSize)
		if err := o.record(ctx, all[:n]); err != nil {
			return fmt.Errorf("receipts: %w", err)
		}
		all = all[n:]
	}
	return nil
}

func (o *Outbox) record(ctx context.Context, all []receipts.Receipt) error {
	release, err := o.home.LockReceipts(ctx)
	if err != nil {
		return err
	}
	defer release()
	b, err := o.loadLocked(ctx)
	if err != nil {
		return err
	}
	return o.add(ctx, b, all)
}

// add writes receipts to a file and takes their numbers into the book. The file
// is the word; a book that another process wrote meanwhile catches up with it.
func (o *Outbox) add(ctx context.Context, b *book, all []receipts.Receipt) error {
	first, out := b.Number+1, bytes.NewBufferString(fileHeader)
	for i := range all {
		st, err := b.next(&all[i])
		if err != nil {
			return err
		}
		raw, err := st.Format()
		if err != nil {
			return err
		}
		out.Write(append(raw, '\n'))
	}
	if err := o.home.AddReceipts(b.Instance, first, out.Bytes()); err != nil {
		return err
	}
	if err := o.save(ctx, b); err != nil && !errors.Is(err, storage.ErrConflict) && !errors.Is(err, storage.ErrUnclear) {
		return err
	}
	return nil
}
