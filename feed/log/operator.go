package log

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"airlock/feed"
	"airlock/storage"
)

// The operator of a store is who holds the log key with which its feeds are
// written. The first who writes there says so, in a file that is written once, so of
// several with keys of their own one is the first:
//
//	"airlock-operator 1\n"
//	"sha256:<64 hex>\n"    SHA-256 of the Ed25519 public key
//
// It is no evidence of anything: whoever reads goes by the key that a feed names, and
// whoever writes by the signature of its cell. It keeps those who mean well from
// beginning feeds that the operator's other servers could not go on with.
const (
	operatorFile   = "operator"
	operatorHeader = "airlock-operator 1\n"
)

// OperatorError reports a store that another operator writes. It is an ErrForeignKey.
type OperatorError struct {
	Store string
	// Key is the thumbprint of the operator's log key, zero where nothing but the
	// signature of Feed tells of it.
	Key  storage.Digest
	Feed feed.ID
	Mine storage.Digest // that of the key here; zero for none
}

func (e *OperatorError) Error() string {
	theirs, mine := fmt.Sprintf("its log key is %s", e.Key), "this home has none"
	if e.Key == (storage.Digest{}) {
		theirs = fmt.Sprintf("its feed %s is signed with another log key", e.Feed)
	}
	if e.Mine != (storage.Digest{}) {
		mine = fmt.Sprintf("that of this home is %s", e.Mine)
	}
	return fmt.Sprintf("%s is another operator's store: %s, and %s", e.Store, theirs, mine)
}

func (e *OperatorError) Unwrap() error { return ErrForeignKey }

func formatOperator(key storage.Digest) []byte {
	return []byte(operatorHeader + key.String() + "\n")
}

func parseOperator(b []byte) (storage.Digest, error) {
	text, ok := strings.CutPrefix(string(b), operatorHeader)
	key, err := storage.ParseDigest(strings.TrimSuffix(text, "\n"))
	if !ok || err != nil || key == (storage.Digest{}) || string(formatOperator(key)) != string(b) {
		return storage.Digest{}, &storage.FormatError{Where: "operator of the store", Got: fmt.Sprintf("%.100q", b), Want: operatorHeader}
	}
	return key, nil
}

// mine is the thumbprint of the key here, zero for none.
func (l *Logs) mine() storage.Digest {
	if l.config.Key.IsZero() {
		return storage.Digest{}
	}
	return storage.DigestOf(l.config.Key.Public())
}

// CheckOperator returns an *OperatorError where the store is written with another log
// key than the one here. What it mirrors of other stores makes nobody its operator.
func (l *Logs) CheckOperator(ctx context.Context) error {
	value, err := l.config.Store.Files.Get(ctx, operatorFile)
	if errors.Is(err, fs.ErrNotExist) {
		return l.checkWritten(ctx)
	}
	if err != nil {
		return err
	}
	key, err := parseOperator(value)
	if err != nil {
		return fmt.Errorf("%s: %w", l.config.Store.Name, err)
	}
	if mine := l.mine(); key != mine {
		return &OperatorError{Store: l.config.Store.Name, Key: key, Mine: mine}
	}
	return nil
}

// checkWritten is CheckOperator for a store without a record: by the signatures of
// the feeds that were written there, of which one by the key here is enough.
func (l *Logs) checkWritten(ctx context.Context) error {
	ids, err := l.List(ctx)
	if err != nil {
		return err
	}
	var foreign error
	for _, id := range ids {
		value, _, err := l.config.Store.Cells.Load(ctx, l.Feed(id).cellKey())
		if errors.Is(err, fs.ErrNotExist) || err == nil && mirrored(value) {
			continue
		}
		if err != nil {
			return err
		}
		public := []byte{} // which no signature is by
		if !l.config.Key.IsZero() {
			public = l.config.Key.Public()
		}
		if _, err = parseCell(value, public); err == nil {
			return nil
		}
		if !errors.Is(err, ErrForeignKey) {
			return fmt.Errorf("feed %s: %w", id, err)
		}
		foreign = &OperatorError{Store: l.config.Store.Name, Feed: id, Mine: l.mine()}
	}
	return foreign
}

// Claim makes who holds the key here the operator of the store, where it has none;
// an *OperatorError where another one is. Whoever begins a feed does so first.
func (l *Logs) Claim(ctx context.Context) error {
	if l.claimed.Load() {
		return nil
	}
	if err := l.CheckOperator(ctx); err != nil {
		return err
	}
	err := l.config.Store.Files.Create(ctx, operatorFile, formatOperator(l.mine()))
	if errors.Is(err, storage.ErrExists) {
		err = l.CheckOperator(ctx) // another one was faster
	}
	l.claimed.Store(err == nil)
	return err
}
