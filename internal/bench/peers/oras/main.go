// Command oras pushes every file of a folder to a registry as an OCI artifact
// of its own, or pulls them all back into files, with oras-go and a number of
// workers. It is the peer that publishing and pulling are measured against,
// and a module of its own so that Airlock does not depend on it.
//
//	oras push -registry HOST:PORT -dir DIR [-j 8]
//	oras pull -registry HOST:PORT -dir DIR -out DIR [-j 8]
//
// Both take the list of artifacts from -dir; pull writes into -out. It prints
// one JSON object: items, bytes, wall_s.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"sync/atomic"
	"time"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"golang.org/x/sync/errgroup"
	oras "oras.land/oras-go/v2"
	"oras.land/oras-go/v2/content/file"
	"oras.land/oras-go/v2/content/memory"
	"oras.land/oras-go/v2/registry/remote"
)

const (
	artifactType = "application/vnd.airlock.step-template.v1"
	mediaType    = "application/json"
	version      = "1.0.0"
	limit        = 10 * time.Minute // of the whole run
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	if err := run(ctx, os.Args[1:]); err != nil {
		fmt.Fprintf(os.Stderr, "oras: %v\n", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	if len(args) == 0 {
		return errors.New("want push or pull")
	}
	flags := flag.NewFlagSet("oras", flag.ContinueOnError)
	registry := flags.String("registry", "", "`host:port` of a registry that speaks plain HTTP")
	dir := flags.String("dir", "", "`folder` of the files")
	out := flags.String("out", "", "`folder` that pull writes into")
	workers := flags.Int("j", 8, "workers")
	if err := flags.Parse(args[1:]); err != nil {
		return err
	}
	entries, err := os.ReadDir(*dir)
	if err != nil {
		return err
	}
	var names []string
	for _, e := range entries {
		if e.Type().IsRegular() {
			names = append(names, e.Name())
		}
	}
	var bytes atomic.Int64
	each := func(ctx context.Context, i int, name string) error {
		repo, err := repository(*registry, i)
		if err != nil {
			return err
		}
		var n int64
		switch args[0] {
		case "push":
			n, err = push(ctx, repo, filepath.Join(*dir, name), name)
		case "pull":
			n, err = pull(ctx, repo, filepath.Join(*out, fmt.Sprintf("%04d", i)), name)
		default:
			err = fmt.Errorf("unknown command %q", args[0])
		}
		bytes.Add(n)
		return err
	}

	start := time.Now()
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(*workers)
	for i, name := range names {
		group.Go(func() error { return each(ctx, i, name) })
	}
	if err := group.Wait(); err != nil {
		return err
	}
	return json.NewEncoder(os.Stdout).Encode(map[string]any{
		"items": len(names), "bytes": bytes.Load(), "wall_s": time.Since(start).Seconds(),
	})
}

// repository is the i-th artifact's: titles are no repository names.
func repository(registry string, i int) (*remote.Repository, error) {
	repo, err := remote.NewRepository(fmt.Sprintf("%s/step-templates/t%04d", registry, i))
	if err != nil {
		return nil, err
	}
	repo.PlainHTTP = true
	return repo, nil
}

// push packs one file as an OCI artifact and copies it to the registry.
func push(ctx context.Context, repo *remote.Repository, path, title string) (int64, error) {
	payload, err := os.ReadFile(path)
	if err != nil {
		return 0, err
	}
	store := memory.New()
	layer, err := oras.PushBytes(ctx, store, mediaType, payload)
	if err != nil {
		return 0, err
	}
	layer.Annotations = map[string]string{ocispec.AnnotationTitle: title}
	manifest, err := oras.PackManifest(ctx, store, oras.PackManifestVersion1_1, artifactType,
		oras.PackManifestOptions{Layers: []ocispec.Descriptor{layer}})
	if err != nil {
		return 0, err
	}
	if err := store.Tag(ctx, manifest, version); err != nil {
		return 0, err
	}
	_, err = oras.Copy(ctx, store, version, repo, version, oras.DefaultCopyOptions)
	return int64(len(payload)), err
}

// pull copies one artifact from the registry into a folder.
func pull(ctx context.Context, repo *remote.Repository, dir, title string) (int64, error) {
	store, err := file.New(dir)
	if err != nil {
		return 0, err
	}
	defer store.Close()
	if _, err := oras.Copy(ctx, repo, version, store, version, oras.DefaultCopyOptions); err != nil {
		return 0, err
	}
	info, err := os.Stat(filepath.Join(dir, title))
	if err != nil {
		return 0, err
	}
	return info.Size(), nil
}
