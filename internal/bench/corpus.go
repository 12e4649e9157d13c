package main

import (
	"archive/tar"
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"strings"

	"airlock/internal/bench/peers"
)

// toolchains are the Go releases between which deltas are measured.
const (
	goBefore = "go1.25.0"
	goOld    = "go1.26.6"
	goNew    = "go1.26.7"
)

// toolchain writes a Go release as a tar, from its module in the module cache,
// which is downloaded where it is not there.
func toolchain(ctx context.Context, version, name string) error {
	_, out, err := peers.Run(ctx, "go", "mod", "download", "-json", "golang.org/toolchain@v0.0.1-"+version+".linux-amd64")
	if err != nil {
		return err
	}
	var module struct{ Dir string }
	if err := json.Unmarshal(out, &module); err != nil {
		return fmt.Errorf("module of %s: %w", version, err)
	}
	return writeTar(name, func(t *tar.Writer) error { return addFiles(t, os.DirFS(module.Dir)) })
}

// addFiles adds the files of a tree without their dates, which say when a module
// was unpacked.
func addFiles(t *tar.Writer, tree fs.FS) error {
	return fs.WalkDir(tree, ".", func(name string, e fs.DirEntry, err error) error {
		if err != nil || !e.Type().IsRegular() {
			return err
		}
		content, err := fs.ReadFile(tree, name)
		if err != nil {
			return err
		}
		return addFile(t, name, content)
	})
}

func addFile(t *tar.Writer, name string, content []byte) error {
	if err := t.WriteHeader(&tar.Header{Name: name, Mode: 0o644, Size: int64(len(content))}); err != nil {
		return err
	}
	_, err := t.Write(content)
	return err
}

// writeTar makes a tar, durable, so that no write of ours is left over when the
// clock starts.
func writeTar(name string, fill func(*tar.Writer) error) (err error) {
	f, err := os.Create(name)
	if err != nil {
		return err
	}
	defer func() {
		if closed := f.Close(); err == nil {
			err = closed
		}
	}()
	buffered := bufio.NewWriterSize(f, 1<<20)
	t := tar.NewWriter(buffered)
	if err := fill(t); err != nil {
		return err
	}
	if err := t.Close(); err != nil {
		return err
	}
	if err := buffered.Flush(); err != nil {
		return err
	}
	return f.Sync()
}

// Files of a made tree have 1 to maxTreeFile bytes, 16 KiB on average, like the
// sources of Go; of an edited tree every editedFile-th has a line more and a
// word that is another.
const (
	maxTreeFile = 32 << 10
	editedFile  = 100
)

const tarBlock = 512

// tree writes a tar of that many bytes or a little more, of files of text.
func tree(name string, bytes int64, edited bool) error {
	rng := rand.New(rand.NewChaCha8([32]byte{1}))
	words := make([]string, 5000)
	for i := range words {
		words[i] = word(rng)
	}
	return writeTar(name, func(t *tar.Writer) error {
		for i, done := 0, int64(0); done < bytes; i++ {
			text := treeFile(rng, words)
			if edited && i%editedFile == editedFile/2 {
				text = edit(text)
			}
			done += tarBlock + (int64(len(text))+tarBlock-1)/tarBlock*tarBlock
			if err := addFile(t, fmt.Sprintf("tree/%03d/%05d.txt", i/1000, i), []byte(text)); err != nil {
				return err
			}
		}
		return nil
	})
}

func word(rng *rand.Rand) string {
	b := make([]byte, 2+rng.IntN(9))
	for i := range b {
		b[i] = byte('a' + rng.IntN(26))
	}
	return string(b)
}

func treeFile(rng *rand.Rand, words []string) string {
	size := 1 + rng.IntN(maxTreeFile)
	var b strings.Builder
	b.Grow(size + 16)
	for b.Len() < size {
		b.WriteString(words[rng.IntN(len(words))])
		if rng.IntN(8) == 0 {
			b.WriteByte('\n')
		} else {
			b.WriteByte(' ')
		}
	}
	return b.String()
}

// edit puts a line into the middle of a text and changes one near its end.
func edit(text string) string {
	middle, end := len(text)/2, len(text)*9/10
	return text[:middle] + "\na line that was not there before\n" + text[middle:end] + "changed" + text[min(end+7, len(text)):]
}
