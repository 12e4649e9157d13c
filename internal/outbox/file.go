package outbox

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"

	"airlock/receipts"
	"airlock/signing"
)

const fileHeader = "airlock-outbox 1\n"

// line is a receipt of a file.
type line struct {
	id        signing.ID
	statement signing.Statement
	receipt   receipts.Receipt
	signed    *signing.Attestation // nil until it is signed
}

// parseFile reads a file; each number follows the one before, and each receipt
// the receipt before. The caller has bounded b.
func parseFile(b []byte) ([]line, error) {
	rest, ok := bytes.CutPrefix(b, []byte(fileHeader))
	if !ok || len(rest) == 0 || rest[len(rest)-1] != '\n' {
		return nil, fmt.Errorf("want %q and whole lines", fileHeader)
	}
	var out []line
	for text := range bytes.SplitSeq(rest[:len(rest)-1], []byte("\n")) {
		l, err := parseLine(text)
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", len(out)+2, err)
		}
		if len(out) > 0 {
			before := out[len(out)-1]
			if l.receipt.Number != before.receipt.Number+1 || l.receipt.Instance != before.receipt.Instance || *l.receipt.Previous != before.id {
				return nil, fmt.Errorf("line %d: receipt %d does not follow the one before", len(out)+2, l.receipt.Number)
			}
		}
		out = append(out, l)
	}
	return out, nil
}

func parseLine(text []byte) (line, error) {
	var l line
	raw := text
	if bytes.HasPrefix(text, []byte(`{"dsseEnvelope"`)) {
		att, err := signing.ParseAttestation(bytes.Clone(text))
		if err != nil {
			return l, err
		}
		l.signed, raw = &att, att.Payload()
	}
	var err error
	if l.statement, err = signing.ParseStatement(raw); err != nil {
		return l, err
	}
	if l.receipt, err = receipts.Parse(l.statement); err != nil {
		return l, err
	}
	l.id, err = l.statement.ID()
	return l, err
}

// formatFile writes what parseFile reads.
func formatFile(lines []line) ([]byte, error) {
	out := bytes.NewBufferString(fileHeader)
	for _, l := range lines {
		raw, err := l.statement.Format()
		if l.signed != nil {
			raw, err = l.signed.Bytes(), nil
		}
		if err != nil {
			return nil, err
		}
		out.Write(append(bytes.Clone(raw), '\n'))
	}
	return out.Bytes(), nil
}

// read reads a file of the home.
func (o *Outbox) read(instance string, first int64) ([]line, error) {
	b, err := o.home.ReadReceipts(instance, first)
	if err != nil {
		return nil, err
	}
	lines, err := parseFile(b)
	if err == nil && (lines[0].receipt.Number != first || lines[0].receipt.Instance != instance) {
		err = fmt.Errorf("holds receipt %d of instance %s", lines[0].receipt.Number, lines[0].receipt.Instance)
	}
	if err != nil {
		return nil, fmt.Errorf("waiting receipts %s/%016d: %w", instance, first, err)
	}
	return lines, nil
}

// Waiting is a receipt that is not in the feed yet.
type Waiting struct {
	receipts.Receipt
	ID     signing.ID
	Signed bool
}

// Waiting returns the receipts that wait, in the order of their numbers.
func (o *Outbox) Waiting(ctx context.Context) ([]Waiting, error) {
	var out []Waiting
	err := o.each(ctx, func(_ *book, _ int64, lines []line) error {
		for _, l := range lines {
			out = append(out, Waiting{l.receipt, l.id, l.signed != nil})
		}
		return nil
	})
	return out, err
}

// Signed shows the receipts that wait and are signed, in the order of their numbers.
func (o *Outbox) Signed(ctx context.Context, show func([]signing.Attestation)) error {
	return o.each(ctx, func(_ *book, _ int64, lines []line) error {
		var signed []signing.Attestation
		for _, l := range lines {
			if l.signed != nil {
				signed = append(signed, *l.signed)
			}
		}
		show(signed)
		return nil
	})
}

// Empty reports whether no receipt waits, without reading any.
func (o *Outbox) Empty() (bool, error) {
	files, err := o.home.Receipts()
	return len(files) == 0, err
}

// each hands out the files that wait, in order. A file that another process
// has sent meanwhile is passed over.
func (o *Outbox) each(ctx context.Context, do func(b *book, first int64, lines []line) error) error {
	// Listed before the book is read, which takes in what lies in files: no file
	// is removed whose numbers the book does not know.
	files, err := o.home.Receipts()
	if err != nil || len(files) == 0 {
		return err
	}
	b, err := o.load(ctx)
	if err != nil {
		return err
	}
	for _, first := range slices.Clone(files[b.Instance]) {
		lines, err := o.read(b.Instance, first)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err == nil {
			err = do(b, first, lines)
		}
		if err != nil {
			return err
		}
	}
	return nil
}
