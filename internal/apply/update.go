package apply

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"strconv"
	"strings"

	"airlock/feed"
	"airlock/signing"
)

// update is what a program is told. Its members are those of the environment,
// see Exec, in canonical JSON; what is empty is left out.
type update struct {
	Dir       string      `json:"dir,omitempty"`
	Feed      string      `json:"feed"`
	File      string      `json:"file,omitempty"`
	Files     []updateDoc `json:"files,omitempty"`
	From      string      `json:"from,omitempty"`
	Index     int64       `json:"index"`
	Kind      string      `json:"kind"`
	Manifest  string      `json:"manifest,omitempty"`
	Name      string      `json:"name"`
	Op        Op          `json:"op"`
	Statement string      `json:"statement"`
	Version   string      `json:"version"`
}

// updateDoc is a file of the package; Path is its place in Dir.
type updateDoc struct {
	Digest    string `json:"digest"`
	MediaType string `json:"mediaType"`
	Path      string `json:"path"`
	Size      int64  `json:"size"`
}

func (u *updater) update(a Action) *update {
	job := &update{
		Feed: u.id.String(), From: a.From, Index: a.Row.Index, Kind: a.Ref.Kind, Manifest: a.Row.Manifest.String(),
		Name: a.Ref.Name, Op: a.Op, Statement: a.Row.ID.String(), Version: a.Ref.Version,
	}
	if a.Op == Remove { // the row may be one that does not count and says nothing
		job.Manifest = u.record.items[nameOf(a.Ref)].Manifest.String()
	}
	return job
}

// locate says where the files of the package are.
func (j *update) locate(folder string, layers []feed.Layer) {
	j.Dir, j.File = folder, filepath.Join(folder, filepath.FromSlash(layers[0].Path))
	for _, l := range layers {
		j.Files = append(j.Files, updateDoc{Digest: l.Digest.String(), MediaType: l.MediaType, Path: l.Path, Size: l.Size})
	}
}

// environ returns the program's environment.
func (j *update) environ(base []string) []string {
	var env []string
	for _, v := range base {
		if !strings.HasPrefix(strings.ToUpper(v), "AIRLOCK_") || strings.HasPrefix(v, "AIRLOCK_HOME=") {
			env = append(env, v)
		}
	}
	for _, v := range [][2]string{
		{"OP", string(j.Op)}, {"FEED", j.Feed}, {"KIND", j.Kind}, {"NAME", j.Name}, {"VERSION", j.Version}, {"FROM", j.From},
		{"INDEX", strconv.FormatInt(j.Index, 10)}, {"STATEMENT", j.Statement}, {"MANIFEST", j.Manifest}, {"DIR", j.Dir}, {"FILE", j.File},
	} {
		env = append(env, "AIRLOCK_UPDATE_"+v[0]+"="+v[1])
	}
	return env
}

// line returns the update as one line of JSON.
func (j *update) line() ([]byte, error) {
	b, err := signing.MarshalCanonical(j)
	return append(b, '\n'), err
}

// unpack writes a package's files to a new folder, which the caller removes,
// and checks them on the way: the program is not started before all are good.
func (u *updater) unpack(ctx context.Context, p *feed.Package) (string, error) {
	if err := checkPackage(p); err != nil {
		return "", err
	}
	folder, err := os.MkdirTemp(u.Temp, "airlock-")
	if err != nil {
		return "", noteFull(err)
	}
	root, err := os.OpenRoot(folder)
	if err != nil {
		return folder, err
	}
	defer root.Close()
	for i, l := range p.Manifest.Layers {
		if err := unpackFile(ctx, root, p, i); err != nil {
			return folder, fmt.Errorf("%s: %s: %w", p.Row.Ref, l.Path, noteFull(err))
		}
	}
	return folder, nil
}

func unpackFile(ctx context.Context, root *os.Root, p *feed.Package, i int) error {
	name := p.Manifest.Layers[i].Path
	if err := root.MkdirAll(path.Dir(name), 0o700); err != nil {
		return err
	}
	body, err := p.Open(ctx, i)
	if err != nil {
		return err
	}
	defer body.Close()
	f, err := root.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	buf := buffers.Get().(*[]byte)
	defer buffers.Put(buf)
	_, err = io.CopyBuffer(struct{ io.Writer }{f}, body, *buf)
	return errors.Join(err, f.Close())
}
