// Package ocilayout writes packages as an OCI image layout (image
// specification v1.1, image-layout.md): a folder that skopeo, oras and others
// read, with the bytes of manifests and files as they were signed.
package ocilayout

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/opencontainers/go-digest"
	specs "github.com/opencontainers/image-spec/specs-go"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"airlock/feed"
	"airlock/storage"
)

// Writer writes a layout. The folder gets its name in Close; until there the
// layout is in a hidden folder beside it.
type Writer struct {
	to, dir string
	index   ocispec.Index
}

// Create begins the layout that shall be folder to, which must be empty or not
// exist: fs.ErrExist otherwise.
func Create(to string) (*Writer, error) {
	there, err := os.ReadDir(to)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	if len(there) > 0 {
		return nil, fmt.Errorf("%s is not empty: %w", to, fs.ErrExist)
	}
	if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp(filepath.Dir(to), ".airlock-*")
	if err != nil {
		return nil, err
	}
	w := &Writer{to: to, dir: dir, index: ocispec.Index{Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: ocispec.MediaTypeImageIndex, Manifests: []ocispec.Descriptor{}}}
	if err := errors.Join(os.Chmod(dir, 0o755), os.MkdirAll(filepath.Join(dir, ocispec.ImageBlobsDir, "sha256"), 0o755)); err != nil {
		return nil, errors.Join(err, w.Discard())
	}
	return w, nil
}

// Add writes a package under a name by which it is found in the layout.
func (w *Writer) Add(ctx context.Context, name string, p *feed.Package) error {
	manifest, err := p.Manifest.Format()
	if err != nil {
		return err
	}
	for i, l := range p.Manifest.Layers {
		if err := w.layer(ctx, p, i); err != nil {
			return fmt.Errorf("%s: %s: %w", p.Row.Ref, l.Path, err)
		}
	}
	if err := w.blob(storage.RefOf(feed.EmptyConfig).Digest, feed.EmptyConfig); err != nil {
		return err
	}
	if err := w.blob(p.Row.Manifest, manifest); err != nil {
		return err
	}
	w.index.Manifests = append(w.index.Manifests, ocispec.Descriptor{
		MediaType: ocispec.MediaTypeImageManifest, ArtifactType: p.Manifest.ArtifactType(),
		Digest: digest.Digest(p.Row.Manifest.String()), Size: p.Row.ManifestSize,
		Annotations: map[string]string{ocispec.AnnotationRefName: name, ocispec.AnnotationTitle: p.Manifest.Title},
	})
	return nil
}

func (w *Writer) layer(ctx context.Context, p *feed.Package, i int) error {
	path := w.blobPath(p.Manifest.Layers[i].Digest)
	if _, err := os.Stat(path); err == nil {
		return nil // another package has the same file
	}
	r, err := p.Open(ctx, i)
	if err != nil {
		return err
	}
	defer r.Close()
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	_, err = io.Copy(f, r)
	return errors.Join(err, f.Sync(), f.Close())
}

func (w *Writer) blob(d storage.Digest, b []byte) error { return os.WriteFile(w.blobPath(d), b, 0o644) }

func (w *Writer) blobPath(d storage.Digest) string {
	return filepath.Join(w.dir, ocispec.ImageBlobsDir, "sha256", d.Hex())
}

// Close ends the layout and gives the folder its name.
func (w *Writer) Close() error {
	err := errors.Join(
		w.document(ocispec.ImageLayoutFile, ocispec.ImageLayout{Version: ocispec.ImageLayoutVersion}),
		w.document(ocispec.ImageIndexFile, w.index))
	if err == nil {
		err = os.Remove(w.to) // an empty folder; os.Rename would not replace it everywhere
	}
	if err == nil || errors.Is(err, fs.ErrNotExist) {
		err = os.Rename(w.dir, w.to)
	}
	if err != nil {
		return errors.Join(err, w.Discard())
	}
	return nil
}

// Discard removes what was written before Close; after it does nothing.
func (w *Writer) Discard() error { return os.RemoveAll(w.dir) }

func (w *Writer) document(name string, doc any) error {
	b, err := json.Marshal(doc)
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(w.dir, name), b, 0o644)
}
