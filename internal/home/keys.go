package home

import (
	"crypto/ecdsa"
	"errors"
	"fmt"
	"io/fs"
	"iter"
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

// The key of a leaf is named after the identity version that lists it first, a
// root key after its place among the roots. So a command that was cut off finds
// the key that it made, and no name is used twice.
func publisherFile(version int) string { return numbered(publisherPrefix, version) }
func tlsFile(version int) string       { return numbered(tlsPrefix, version) }
func rootFile(number int) string       { return numbered("root-", number) }

func numbered(prefix string, n int) string { return prefix + strconv.Itoa(n) + keySuffix }

const (
	publisherPrefix = "publisher-"
	tlsPrefix       = "tls-"
	keySuffix       = ".key"
)

// UnlistedError reports a home none of whose keys of a role the Space's identity
// lists.
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
	p, err := first(h.leafKeys(id, publisherPrefix, trust.Publisher, ask))
	if errors.Is(err, fs.ErrNotExist) {
		err = fmt.Errorf("%w: %w", ErrNoKey, err)
	}
	return p, err
}

// first returns what comes first of what leafKeys yields.
func first(keys iter.Seq2[held, error]) (held, error) {
	for key, err := range keys {
		return key, err
	}
	return held{}, fs.ErrNotExist
}

// leafKeys yields the keys of this home, by how their files' names begin, that the
// identity lists for a role, the newest first. It ends with the first error:
// fs.ErrNotExist where there is no such file, *UnlistedError where none is listed.
func (h *Home) leafKeys(id *trust.Identity, prefix string, role trust.Role, ask Ask) iter.Seq2[held, error] {
	return func(yield func(held, error) bool) {
		files, err := h.keyFiles(prefix)
		if err != nil {
			yield(held{}, err)
			return
		}
		listed := false
		for _, file := range files {
			k, ok, err := h.leafKey(id, file, ask)
			if err == nil && (!ok || !k.leaf.Has(role)) {
				continue
			}
			if listed = true; !yield(k, err) || err != nil {
				return
			}
		}
		if !listed {
			yield(held{}, &UnlistedError{Path: h.file("keys", files[0]), Version: id.Version})
		}
	}
}

// leafKey reads a key file, and says whether the identity lists a leaf for it.
func (h *Home) leafKey(id *trust.Identity, file string, ask Ask) (k held, ok bool, err error) {
	k.file = file
	if k.key, k.passphrase, err = signingKeys.read(h.file("keys", file), ask); err != nil {
		return k, false, err
	}
	thumbprint, err := signing.PublicThumbprint(&k.key.PublicKey)
	if err != nil {
		return k, false, err
	}
	k.leaf, ok = id.Leaf(thumbprint)
	return k, ok, nil
}

// keyFiles returns the names of the key files that begin so, the newest first.
func (h *Home) keyFiles(prefix string) ([]string, error) {
	entries, err := os.ReadDir(h.file("keys"))
	if err != nil {
		return nil, err
	}
	numbers := map[string]int{}
	var files []string
	for _, e := range entries {
		middle, isKey := strings.CutSuffix(strings.TrimPrefix(e.Name(), prefix), keySuffix)
		if n, err := strconv.Atoi(middle); isKey && err == nil && e.Name() == numbered(prefix, n) {
			files, numbers[e.Name()] = append(files, e.Name()), n
		}
	}
	if len(files) == 0 {
		return nil, &fs.PathError{Op: "open", Path: h.file("keys", numbered(prefix, 1)), Err: fs.ErrNotExist}
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
