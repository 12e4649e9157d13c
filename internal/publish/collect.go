// Package publish is what a publishing Space does: it collects files into
// packages, signs statements about them and commits them to a feed.
package publish

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"airlock/feed"
	"airlock/feed/kind"
	"airlock/storage"
)

// Options say what files are, where they do not say so themselves.
type Options struct {
	Kind, Name, Title, Version string
	// KeepGoing leaves out what is refused instead of publishing nothing.
	KeepGoing bool
	// UnscopedOnly refuses documents with a variable that has a scope (A26).
	UnscopedOnly bool
	// Progress, where set, is told how many bytes of large files were read.
	Progress func(done, total int64)
}

// Package is a package that is ready to be signed.
type Package struct {
	Ref      feed.Ref
	Title    string
	Manifest []byte
	Digest   storage.Digest // of Manifest
	Contents []feed.Content // the payload files
	Source   string         // the file that it was made from
	Urgent   bool           // subscribers are asked to take it at once
}

// Collected is what Collect found.
type Collected struct {
	Packages []Package
	// Skipped holds files in folders that are no documents of a known kind.
	Skipped []string
	// Refused holds why files were left out, with KeepGoing.
	Refused []error
}

// Collect reads files and folders. A file that is named itself must be a
// package; in folders, what is of no known kind is skipped and listed.
// Symbolic links in folders are not followed.
func Collect(ctx context.Context, paths []string, o Options) (Collected, error) {
	var out Collected
	var files []candidate
	for _, p := range paths {
		found, err := walk(p)
		if err != nil {
			return out, err
		}
		files = append(files, found...)
	}
	if (o.Name != "" || o.Title != "") && len(files) > 1 {
		return out, &UsageError{"a name or title was given for more than one file"}
	}
	attached := map[string]bool{}
	var refused []refusal
	for _, f := range files {
		if err := ctx.Err(); err != nil {
			return out, err
		}
		p, attachments, err := read(f.path, o)
		switch {
		case errors.Is(err, ErrNoKind) && !f.named:
			out.Skipped = append(out.Skipped, f.path)
		case err != nil:
			refused = append(refused, refusal{f.path, err})
		default:
			out.Packages = append(out.Packages, p)
		}
		for _, a := range attachments {
			attached[a] = true
		}
	}
	// What belongs to a package of the same folder is not skipped, and is no
	// package of its own, good or bad.
	out.Skipped = slices.DeleteFunc(out.Skipped, func(s string) bool { return attached[filepath.Clean(s)] })
	out.Packages = slices.DeleteFunc(out.Packages, func(p Package) bool { return attached[filepath.Clean(p.Source)] })
	refused = slices.DeleteFunc(refused, func(r refusal) bool { return attached[filepath.Clean(r.path)] })
	packages, clashes := distinct(out.Packages)
	out.Packages = packages
	for _, r := range append(refused, clashes...) {
		if !o.KeepGoing {
			return out, r.err
		}
		out.Refused = append(out.Refused, r.err)
	}
	return out, nil
}

// refusal is why a file is not published.
type refusal struct {
	path string
	err  error
}

// UsageError reports options that do not fit together.
type UsageError struct{ What string }

func (e *UsageError) Error() string { return e.What }

type candidate struct {
	path  string
	named bool // by the user, not found in a folder
}

// maxFiles bounds what one command publishes.
const maxFiles = 100_000

// walk finds the files in a folder. Homes and stores of Airlock in it are passed
// over: a home holds private keys.
func walk(root string) ([]candidate, error) {
	info, err := os.Stat(root)
	if err != nil {
		return nil, err
	}
	if !info.IsDir() {
		if !info.Mode().IsRegular() {
			return nil, fmt.Errorf("%s: is no regular file", root)
		}
		return []candidate{{root, true}}, nil
	}
	var out []candidate
	err = filepath.WalkDir(root, func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if hidden := strings.HasPrefix(d.Name(), ".") && p != root; hidden {
			if d.IsDir() {
				return filepath.SkipDir
			}
			return nil
		}
		if d.IsDir() && isAirlocks(p) {
			return filepath.SkipDir
		}
		if d.Type().IsRegular() {
			out = append(out, candidate{p, false})
		}
		if len(out) > maxFiles {
			return fmt.Errorf("%s: more than %d files", root, maxFiles)
		}
		return nil
	})
	return out, err
}

// isAirlocks reports whether a folder is a home or a store.
func isAirlocks(dir string) bool {
	f, err := os.Open(filepath.Join(dir, "format"))
	if err != nil {
		return false
	}
	defer f.Close()
	marker := make([]byte, len("airlock-"))
	_, err = io.ReadFull(f, marker)
	return err == nil && string(marker) == "airlock-"
}

// ErrNoKind reports a file that does not say what it is.
var ErrNoKind = errors.New("it is no document of a known kind")

// ScopedError reports a document with variables that have a scope.
type ScopedError struct{ Err error } // of *kind.Error

func (e *ScopedError) Error() string { return e.Err.Error() }

// Unwrap returns where the scopes are.
func (e *ScopedError) Unwrap() error { return e.Err }

// Hint is what to do next.
func (e *ScopedError) Hint() string {
	return "publish the variables without a scope as a set of their own, or leave out --unscoped-only"
}

// read makes a package of a file.
func read(file string, o Options) (p Package, attachments []string, err error) {
	head, whole, err := readHead(file)
	if err != nil {
		return p, nil, err
	}
	k := o.Kind
	if k == "" {
		var ok bool
		if k, ok = kind.Detect(filepath.Base(file), head); !ok {
			return p, nil, fmt.Errorf("%s: %w", file, ErrNoKind)
		}
	}
	if !whole && k != "file" {
		return p, nil, fmt.Errorf("%s: more than %d bytes, too large for a %s", file, kind.MaxDocument, k)
	}
	doc, err := kind.Inspect(k, file, head)
	if err != nil {
		return p, nil, err
	}
	if o.UnscopedOnly {
		if err := kind.CheckUnscoped(k, file, head); err != nil {
			return p, nil, &ScopedError{err}
		}
	}
	p = Package{Source: file, Title: firstOf(o.Title, doc.Title, filepath.Base(file))}
	if p.Ref, err = refOf(file, k, p.Title, doc, o); err != nil {
		return p, nil, err
	}
	layer, content, err := layerOf(file, filepath.Base(file), k, head, whole, o)
	if err != nil {
		return p, nil, err
	}
	m := feed.Manifest{Kind: k, Title: p.Title, Version: p.Ref.Version, Layers: []feed.Layer{layer}}
	p.Contents = []feed.Content{content}
	for _, a := range doc.Attachments {
		full := filepath.Join(filepath.Dir(file), filepath.FromSlash(a))
		layer, content, err := attachment(full, a, k, doc.Digests[a], o)
		if errors.Is(err, fs.ErrNotExist) {
			return p, nil, fmt.Errorf("%s: names the file %s: %w", file, a, err)
		}
		if err != nil {
			return p, nil, err
		}
		m.Layers = append(m.Layers, layer)
		p.Contents = append(p.Contents, content)
		attachments = append(attachments, filepath.Clean(full))
	}
	if p.Manifest, err = m.Format(); err != nil {
		return p, nil, fmt.Errorf("%s: %w", file, err)
	}
	p.Digest = storage.DigestOf(p.Manifest)
	return p, attachments, nil
}

func firstOf(options ...string) string {
	for _, s := range options {
		if s != "" {
			return s
		}
	}
	return ""
}

func refOf(file, k, title string, doc kind.Document, o Options) (feed.Ref, error) {
	r := feed.Ref{Kind: k, Name: o.Name}
	var err error
	if r.Name == "" {
		if r.Name, err = feed.NameFromTitle(title); err != nil {
			return r, fmt.Errorf("%s: %w; say --name", file, err)
		}
	}
	written := firstOf(o.Version, doc.Version)
	if written == "" {
		return r, &UsageError{fmt.Sprintf("%s: says no version; say --version", file)}
	}
	if o.Version != "" && doc.Version != "" && o.Version != doc.Version {
		return r, &UsageError{fmt.Sprintf("%s: says version %s, --version says %s", file, doc.Version, o.Version)}
	}
	if r.Version, err = feed.ParseVersion(written); err != nil {
		return r, fmt.Errorf("%s: %w", file, err)
	}
	if err := r.Check(); err != nil {
		return r, fmt.Errorf("%s: %w", file, err)
	}
	return r, nil
}

// readHead reads a file up to the size of a document.
func readHead(file string) (head []byte, whole bool, err error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, false, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, false, err
	}
	if info.Size() > kind.MaxDocument {
		head = make([]byte, 64<<10)
		_, err = io.ReadFull(f, head)
		return head, false, err
	}
	head, err = io.ReadAll(io.LimitReader(f, kind.MaxDocument+1))
	if len(head) > kind.MaxDocument {
		return nil, false, fmt.Errorf("%s: grows while it is read", file)
	}
	return head, true, err
}

// layerOf returns a file as a layer. A whole file stays in memory; a large one
// is read once for its digest, and again when it is sent.
func layerOf(file, name, k string, head []byte, whole bool, o Options) (feed.Layer, feed.Content, error) {
	content := feed.Content{}
	if whole {
		content = feed.ContentOf(head)
	} else {
		ref, err := digestFile(file, o.Progress)
		if err != nil {
			return feed.Layer{}, content, err
		}
		content = feed.Content{Ref: ref, Open: func(off int64) (io.ReadCloser, error) {
			f, err := os.Open(file)
			if err != nil {
				return nil, err
			}
			if _, err := f.Seek(off, io.SeekStart); err != nil {
				f.Close()
				return nil, err
			}
			return f, nil
		}}
	}
	return feed.Layer{Ref: content.Ref, Path: path.Clean(filepath.ToSlash(name)), MediaType: kind.MediaType(k, name)}, content, nil
}

// attachment reads a file that a document names, and checks the digest that
// the document states.
func attachment(full, name, k, stated string, o Options) (feed.Layer, feed.Content, error) {
	info, err := os.Lstat(full)
	if err != nil {
		return feed.Layer{}, feed.Content{}, err
	}
	if !info.Mode().IsRegular() {
		return feed.Layer{}, feed.Content{}, fmt.Errorf("%s: is no regular file", full)
	}
	head, whole, err := readHead(full)
	if err != nil {
		return feed.Layer{}, feed.Content{}, err
	}
	layer, content, err := layerOf(full, name, k, head, whole, o)
	if err == nil && stated != "" && content.Digest.Hex() != stated {
		err = fmt.Errorf("%s: has SHA-256 %s, the document states %s", full, content.Digest.Hex(), stated)
	}
	return layer, content, err
}
