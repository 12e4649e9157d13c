package feed

import (
	"errors"
	"fmt"
	"path"
	"strings"

	specs "github.com/opencontainers/image-spec/specs-go"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"airlock/signing"
	"airlock/storage"
	"airlock/trust"
)

// Bounds of a package.
const (
	MaxManifest = 1 << 20 // bytes
	MaxLayers   = 2000    // files
	MaxPayload  = 1 << 40 // bytes of one file
)

// Layer is one payload file of a package.
type Layer struct {
	storage.Ref
	Path      string // slash-separated, relative, unique without case
	MediaType string
}

// Manifest lists what a package holds. Its bytes are an OCI image manifest
// (image specification v1.1, "Guidelines for Artifact Usage") in canonical
// JSON: artifactType "application/vnd.airlock.<kind>.v1", the empty config,
// one layer per file with its path in org.opencontainers.image.title, and the
// package's title and version as annotations. The package's identity is the
// SHA-256 of these bytes.
type Manifest struct {
	Kind, Title, Version string
	Layers               []Layer
}

// wireManifest has the members that are used, in the order of RFC 8785.
type wireManifest struct {
	Annotations   map[string]string `json:"annotations"`
	ArtifactType  string            `json:"artifactType"`
	Config        wireDescriptor    `json:"config"`
	Layers        []wireDescriptor  `json:"layers"`
	MediaType     string            `json:"mediaType"`
	SchemaVersion int               `json:"schemaVersion"`
}

type wireDescriptor struct {
	Annotations map[string]string `json:"annotations,omitempty"`
	Data        []byte            `json:"data,omitempty"`
	Digest      storage.Digest    `json:"digest"`
	MediaType   string            `json:"mediaType"`
	Size        int64             `json:"size"`
}

const (
	artifactPrefix = "application/vnd.airlock."
	artifactSuffix = ".v1"
)

// EmptyConfig is the content of the empty descriptor (image specification
// v1.1): the config of every manifest. It is never stored.
var EmptyConfig = []byte("{}")

func emptyConfig() wireDescriptor {
	ref := storage.RefOf(EmptyConfig)
	return wireDescriptor{Data: EmptyConfig, Digest: ref.Digest, MediaType: ocispec.MediaTypeEmptyJSON, Size: ref.Size}
}

// ArtifactType is the kind as a media type.
func (m Manifest) ArtifactType() string { return artifactPrefix + m.Kind + artifactSuffix }

// Format checks m and returns its bytes.
func (m Manifest) Format() ([]byte, error) {
	if err := m.check(); err != nil {
		return nil, err
	}
	w := wireManifest{
		Annotations:   map[string]string{ocispec.AnnotationTitle: m.Title, ocispec.AnnotationVersion: m.Version},
		ArtifactType:  m.ArtifactType(),
		Config:        emptyConfig(),
		MediaType:     ocispec.MediaTypeImageManifest,
		SchemaVersion: specs.Versioned{SchemaVersion: 2}.SchemaVersion,
	}
	for _, l := range m.Layers {
		w.Layers = append(w.Layers, wireDescriptor{
			Annotations: map[string]string{ocispec.AnnotationTitle: l.Path},
			Digest:      l.Digest, MediaType: l.MediaType, Size: l.Size,
		})
	}
	out, err := signing.MarshalCanonical(w)
	if err == nil && len(out) > MaxManifest {
		return nil, fmt.Errorf("manifest of %q: %d bytes, at most %d are allowed", m.Title, len(out), MaxManifest)
	}
	return out, err
}

// ParseManifest reads the bytes that Format writes.
func ParseManifest(b []byte) (Manifest, error) {
	if len(b) > MaxManifest {
		return Manifest{}, fmt.Errorf("manifest: %d bytes, at most %d are allowed", len(b), MaxManifest)
	}
	var w wireManifest
	if err := signing.UnmarshalCanonical(b, &w); err != nil {
		return Manifest{}, fmt.Errorf("manifest: %w", err)
	}
	kind, okPrefix := strings.CutPrefix(w.ArtifactType, artifactPrefix)
	kind, okSuffix := strings.CutSuffix(kind, artifactSuffix)
	if !okPrefix || !okSuffix || w.MediaType != ocispec.MediaTypeImageManifest || w.SchemaVersion != 2 {
		return Manifest{}, fmt.Errorf("manifest: mediaType %.80q and artifactType %.80q are not those of a package", w.MediaType, w.ArtifactType)
	}
	if c := emptyConfig(); w.Config.Digest != c.Digest || w.Config.Size != c.Size || string(w.Config.Data) != string(c.Data) || w.Config.MediaType != c.MediaType || len(w.Config.Annotations) > 0 {
		return Manifest{}, errors.New("manifest: config is not the empty descriptor")
	}
	m := Manifest{Kind: kind, Title: w.Annotations[ocispec.AnnotationTitle], Version: w.Annotations[ocispec.AnnotationVersion]}
	if len(w.Annotations) != 2 {
		return Manifest{}, errors.New("manifest: annotations other than title and version")
	}
	for i, l := range w.Layers {
		if len(l.Annotations) != 1 || len(l.Data) > 0 {
			return Manifest{}, fmt.Errorf("manifest: layers[%d]: want the title annotation alone and no data", i)
		}
		m.Layers = append(m.Layers, Layer{storage.Ref{Digest: l.Digest, Size: l.Size}, l.Annotations[ocispec.AnnotationTitle], l.MediaType})
	}
	return m, m.check()
}

func (m Manifest) check() error {
	if err := CheckName(m.Kind); err != nil {
		return fmt.Errorf("manifest: kind: %w", err)
	}
	if err := CheckTitle(m.Title); err != nil {
		return fmt.Errorf("manifest: %w", err)
	}
	if err := CheckVersion(m.Version); err != nil {
		return fmt.Errorf("manifest: %w", err)
	}
	if len(m.Layers) == 0 || len(m.Layers) > MaxLayers {
		return fmt.Errorf("manifest of %q: %d files, want 1 to %d", m.Title, len(m.Layers), MaxLayers)
	}
	files, folders := map[string]bool{}, map[string]bool{}
	for i, l := range m.Layers {
		if err := CheckPath(l.Path); err != nil {
			return fmt.Errorf("manifest of %q: layers[%d]: %w", m.Title, i, err)
		}
		if l.Digest.IsZero() || l.Size < 0 || l.Size > MaxPayload || l.MediaType == "" || len(l.MediaType) > 200 {
			return fmt.Errorf("manifest of %q: layers[%d]: want a digest, a size up to %d and a media type", m.Title, i, int64(MaxPayload))
		}
		folded := foldPath(l.Path)
		if files[folded] {
			return fmt.Errorf("manifest of %q: layers[%d]: path %q is used twice", m.Title, i, l.Path)
		}
		files[folded] = true
		for dir := path.Dir(folded); dir != "."; dir = path.Dir(dir) {
			folders[dir] = true
		}
	}
	for i, l := range m.Layers {
		if folders[foldPath(l.Path)] {
			return fmt.Errorf("manifest of %q: layers[%d]: path %q is a file and a folder", m.Title, i, l.Path)
		}
	}
	return nil
}

// foldPath makes paths equal that name one file on Windows or macOS, where
// case does not tell files apart. Upper case comes first: it joins letters that
// lower case keeps apart, such as the long s and s.
func foldPath(p string) string { return strings.ToLower(strings.ToUpper(p)) }

// maxPathPart bounds one part of a path in bytes: no file system takes more.
const maxPathPart = 255

// CheckPath checks a path inside a package: relative, slash-separated, clean,
// printable UTF-8, at most 512 bytes, and free of what some system reads as
// something else (device names, "\", ":", trailing dots and spaces).
func CheckPath(p string) error {
	fail := func(why string) error { return fmt.Errorf("path %.140q: %s", p, why) }
	if p == "" || signing.CheckText(p, 512) != nil {
		return fail("want 1 to 512 bytes of printable UTF-8")
	}
	if path.IsAbs(p) || path.Clean(p) != p || p == "." || p == ".." || strings.HasPrefix(p, "../") {
		return fail("is absolute, empty, or leaves its folder")
	}
	if strings.ContainsAny(p, `\:*?"<>|`) {
		return fail("has characters that cannot be in file names everywhere")
	}
	for part := range strings.SplitSeq(p, "/") {
		if len(part) > maxPathPart {
			return fail("has a part of more than 255 bytes")
		}
		if trust.IsDeviceName(part) || strings.HasSuffix(part, ".") || strings.HasSuffix(part, " ") {
			return fail("has a part that Windows reads as something else")
		}
		if strings.HasPrefix(part, ".airlock") {
			return fail("begins a part with .airlock, which is kept for Airlock")
		}
	}
	return nil
}
