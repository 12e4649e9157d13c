package main

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"

	"airlock/feed"
	"airlock/internal/apply"
	"airlock/internal/home"
	"airlock/storage"
)

// maxIndex bounds the index of a folder, in bytes.
const maxIndex = 256 << 20

// folder verifies what was pulled into a folder: every file of the index, and
// that nothing else lies among them.
func (v *verification) folder(ctx context.Context, dir string) error {
	ids, err := feedsIn(dir)
	if err != nil {
		return tampered(err)
	}
	target, err := apply.OpenDir(dir, v.now)
	if err != nil {
		return tampered(err)
	}
	files, packages := 0, 0
	different := 0
	bar := v.progress("reading files")
	defer bar.end()
	reading := readings(bar.reading(0))
	for _, id := range ids {
		items, err := target.Installed(ctx, id)
		if err != nil {
			return tampered(err)
		}
		for _, it := range items {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			packages++
			n, off := v.item(dir, it, reading)
			files += n
			different += off
		}
	}
	bar.end()
	v.ok("files", "%s of %s as the index has them", count(files, "file", "files"), count(packages, "package", "packages"))
	v.note("files", "the index was not signed: airlock verify FEED checks what the feed holds")
	if v.first == nil && different > 0 {
		return exitWith(exitDifferent, count(different, "file is", "files are")+" missing or not of the packages in "+dir,
			"airlock pull FEED --into "+dir+" brings back what is missing; move away what does not belong")
	}
	return nil
}

// feedsIn returns the feeds that a folder holds packages of. package apply
// checks the index itself.
func feedsIn(dir string) ([]feed.ID, error) {
	where := filepath.Join(dir, ".airlock", "index.json")
	b, err := home.ReadFile(where, maxIndex)
	if err != nil {
		return nil, err
	}
	var index struct {
		Feeds []struct {
			Feed feed.ID `json:"feed"`
		} `json:"feeds"`
	}
	if err := json.Unmarshal(b, &index); err != nil {
		return nil, fmt.Errorf("%s: %w", where, err)
	}
	var out []feed.ID
	for _, f := range index.Feeds {
		out = append(out, f.Feed)
	}
	return out, nil
}

// item checks the files of one package. It returns how many are as they
// should be, and how many are missing or do not belong.
func (v *verification) item(dir string, it apply.Item, reading readings) (good, different int) {
	known := map[string]bool{}
	base := path.Join(it.Ref.Kind, it.Ref.Name)
	for _, f := range it.Files {
		name := path.Join(base, f.Path)
		known[name] = true
		got, err := fileRef(filepath.Join(dir, filepath.FromSlash(name)), reading)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			different++
			v.line("BAD", "missing", "%s of %s", name, it.Ref)
			v.found["files"] = true
		case err != nil:
			v.bad("files", fmt.Errorf("%s of %s: %w", name, it.Ref, err))
		case got.Digest != f.Digest:
			changed := &storage.DigestError{Want: f.Digest, Got: got.Digest}
			v.bad("files", hinted(changed, fmt.Sprintf("%s of %s: %v", name, it.Ref, changed),
				"somebody changed it here: airlock pull FEED --into "+dir+" --force puts back what was signed"))
		default:
			good++
		}
	}
	filepath.WalkDir(filepath.Join(dir, filepath.FromSlash(base)), func(p string, d fs.DirEntry, err error) error {
		rel, relErr := filepath.Rel(dir, p)
		if err == nil && relErr == nil && !d.IsDir() && !known[filepath.ToSlash(rel)] {
			different++
			v.line("BAD", "extra", "%s is not of %s", filepath.ToSlash(rel), it.Ref)
			v.found["files"] = true
		}
		return nil
	})
	return good, different
}

// readings tells a bar of what is written to it; nil tells nobody.
type readings func(n int)

func (r readings) Write(p []byte) (int, error) {
	if r != nil {
		r(len(p))
	}
	return len(p), nil
}

// fileRef is the digest and size of a regular file.
func fileRef(name string, reading readings) (storage.Ref, error) {
	info, err := os.Lstat(name)
	if err != nil {
		return storage.Ref{}, err
	}
	if !info.Mode().IsRegular() {
		return storage.Ref{}, &failure{code: exitBadSignature, what: "is no regular file", hint: "move it away and pull again"}
	}
	f, err := os.Open(name)
	if err != nil {
		return storage.Ref{}, err
	}
	defer f.Close()
	h := sha256.New()
	n, err := io.Copy(io.MultiWriter(h, reading), f)
	return storage.Ref{Digest: storage.Digest(h.Sum(nil)), Size: n}, err
}
