package home

import (
	"crypto/ecdsa"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strconv"
	"strings"

	"airlock/signing"
	"airlock/storage"
	"airlock/trust"
)

// Ask returns the passphrase of the Space's keys. It is called only where a key
// file needs one, once for each.
type Ask func() (string, error)

// A publisher key is named after the identity version that lists it first, a
// root key after its place among the roots. So a command that was cut off finds
// the key that it made, and no name is used twice.
func publisherFile(version int) string { return numbered(publisherPrefix, version) }
func rootFile(number int) string       { return numbered("root-", number) }

func numbered(prefix string, n int) string { return prefix + strconv.Itoa(n) + keySuffix }

const (
	publisherPrefix = "publisher-"
	keySuffix       = ".key"
)

// UnlistedError reports a home none of whose publisher keys the Space's
// identity lists.
type UnlistedError struct {
	Path    string // the newest key file
	Version int    // of the identity
}

func (e *UnlistedError) Error() string {
	return fmt.Sprintf("%s: identity version %d lists no leaf for this key", e.Path, e.Version)
}

// Hint says what to do.
func (e *UnlistedError) Hint() string {
	return "airlock identity renew --drop THUMBPRINT puts a new key in the place of one that is lost (airlock identity show lists them), or restore keys from the backup"
}

// held is a private key of this home with the leaf that the identity lists for it.
type held struct {
	file       string // its name in keys/
	key        *ecdsa.PrivateKey
	passphrase *signing.Passphrase // nil where the file is plain
	leaf       trust.Leaf
}

// ErrNoKey reports a home without a publisher's key, such as a copy to look with.
var ErrNoKey = errors.New("this home cannot sign")

// publisher returns the newest publisher key that the identity lists. ErrNoKey,
// and fs.ErrNotExist, where there is no publisher key, *UnlistedError where none is
// listed.
func (h *Home) publisher(id *trust.Identity, ask Ask) (held, error) {
	files, err := h.publisherFiles()
	if err != nil {
		return held{}, err
	}
	for _, file := range files {
		key, passphrase, err := signingKeys.read(h.file("keys", file), ask)
		if err != nil {
			return held{}, err
		}
		thumbprint, err := signing.PublicThumbprint(&key.PublicKey)
		if err != nil {
			return held{}, err
		}
		if leaf, ok := id.Leaf(thumbprint); ok && slices.Contains(leaf.Roles, trust.Publisher) {
			return held{file, key, passphrase, leaf}, nil
		}
	}
	return held{}, &UnlistedError{Path: h.file("keys", files[0]), Version: id.Version}
}

// publisherFiles returns the names of the publisher keys, the newest first.
func (h *Home) publisherFiles() ([]string, error) {
	entries, err := os.ReadDir(h.file("keys"))
	if errors.Is(err, fs.ErrNotExist) {
		err = fmt.Errorf("%w: %w", ErrNoKey, err)
	}
	if err != nil {
		return nil, err
	}
	numbers := map[string]int{}
	var files []string
	for _, e := range entries {
		middle, isKey := strings.CutSuffix(strings.TrimPrefix(e.Name(), publisherPrefix), keySuffix)
		if n, err := strconv.Atoi(middle); isKey && err == nil && e.Name() == publisherFile(n) {
			files, numbers[e.Name()] = append(files, e.Name()), n
		}
	}
	if len(files) == 0 {
		return nil, fmt.Errorf("%w: %w", ErrNoKey, &fs.PathError{Op: "open", Path: h.file("keys", publisherFile(1)), Err: fs.ErrNotExist})
	}
	slices.SortFunc(files, func(a, b string) int { return numbers[b] - numbers[a] })
	return files, nil
}

// Publisher returns the signer of the publisher leaf.
func (h *Home) Publisher(ask Ask) (*signing.Signer, error) {
	history, err := h.Identity()
	if err != nil {
		return nil, err
	}
	p, err := h.publisher(history.Current(), ask)
	if err != nil {
		return nil, err
	}
	return signing.NewSigner(p.key, p.leaf.Certificate)
}

// PublisherLeaf returns the leaf whose key Publisher signs with.
func (h *Home) PublisherLeaf(ask Ask) (trust.Leaf, error) {
	history, err := h.Identity()
	if err != nil {
		return trust.Leaf{}, err
	}
	p, err := h.publisher(history.Current(), ask)
	return p.leaf, err
}

// keyKind is how keys of one kind are made and kept in files.
type keyKind[K any] struct {
	generate func() (K, error)
	create   func(path string, key K, p *signing.Passphrase) error
	open     func(path string, passphrase func() (string, error)) (K, error)
}

var signingKeys = keyKind[*ecdsa.PrivateKey]{signing.GenerateKey, signing.WriteKeyFile, signing.ReadKeyFile}

// read reads a key file, and says with which passphrase: nil where it is plain.
func (k keyKind[K]) read(path string, ask Ask) (K, *signing.Passphrase, error) {
	var used *signing.Passphrase
	key, err := k.open(path, func() (string, error) {
		text, err := ask()
		used = &signing.Passphrase{Text: text}
		return text, err
	})
	return key, used, err
}

// ensure makes a key file, protected as another one is, or returns the key that
// a command left there that was cut off before any identity named it.
func (k keyKind[K]) ensure(path string, like *signing.Passphrase, ask Ask) (K, error) {
	key, used, err := k.read(path, ask)
	if errors.Is(err, fs.ErrNotExist) {
		if key, err = k.generate(); err == nil {
			err = k.create(path, key, like)
		}
		return key, err
	}
	// Whoever can write here and does not know the passphrase could have put
	// down a key of their own, to have it listed.
	if err == nil && used == nil && like != nil {
		err = fmt.Errorf("%s: is there already, and is not encrypted as the other keys are; move it away", path)
	}
	return key, err
}

// readListed reads a key file and wants the key with that thumbprint in it.
func readListed(path string, want storage.Digest, ask Ask) (*ecdsa.PrivateKey, *signing.Passphrase, error) {
	key, passphrase, err := signingKeys.read(path, ask)
	if err != nil {
		return nil, nil, err
	}
	got, err := signing.PublicThumbprint(&key.PublicKey)
	if err == nil && got != want {
		err = fmt.Errorf("%s: holds key %s, not %s, which the identity names", path, got, want)
	}
	return key, passphrase, err
}
