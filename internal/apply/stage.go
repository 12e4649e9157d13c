package apply

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"strings"
	"sync"

	"golang.org/x/sync/errgroup"

	"airlock/feed"
	"airlock/storage"
)

// stageWorkers is how many files are read, checked and written at once. Each
// holds one buffer, so memory does not grow with the payload.
const stageWorkers = 8

// stager prepares syncs of feeds: it writes new files to the stage, each where
// it will lie from the folder on, and looks what is in the way.
type stager struct {
	dir    *Dir
	disk   *disk // the folder
	out    *disk // files in the stage
	folder string
	index  *dirIndex
	parts  []*part
	// owned holds the files that the plans may replace or remove, by path.
	owned map[string]storage.Ref

	staged sync.Map // folder in the stage → func() error that makes it once
	above  sync.Map // folder → func() (bool, error): whether it is there

	mu       sync.Mutex
	moves    []moveDoc
	removals []fileDoc
	dates    map[string]int64 // of files that are as they should be, by path; see File
	occupied []*OccupiedError
	unsynced []string // files that settle has to make durable
}

// begin makes the folders of the stage.
func (s *stager) begin() error {
	if err := s.disk.mkdir(stageFolder); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	for _, folder := range []string{s.folder, s.files()} {
		if err := s.disk.mkdir(folder); err != nil {
			return err
		}
	}
	root, err := s.disk.root.OpenRoot(s.files())
	if err != nil {
		return err
	}
	s.out = &disk{root: root, step: s.disk.step}
	return nil
}

func (s *stager) close() {
	if s.out != nil {
		_ = s.out.root.Close()
	}
}

// files is the folder of the stage that mirrors the folder pulled into.
func (s *stager) files() string { return s.folder + "/files" }

// stageJob is a file to be staged.
type stageJob struct {
	pkg   *feed.Package
	layer int
}

// fetch stages the packages that the plans add or change.
func (s *stager) fetch(ctx context.Context) error {
	jobs := make(chan stageJob, stageWorkers)
	g, ctx := errgroup.WithContext(ctx)
	for range stageWorkers {
		g.Go(func() error {
			for j := range jobs {
				if err := s.file(ctx, j.pkg, j.layer); err != nil {
					return err
				}
			}
			return nil
		})
	}
	g.Go(func() error {
		defer close(jobs)
		for _, p := range s.parts {
			if err := s.receive(ctx, p, jobs); err != nil {
				return err
			}
		}
		return nil
	})
	return g.Wait()
}

// file stages one file of a package, unless it is there already.
func (s *stager) file(ctx context.Context, p *feed.Package, i int) error {
	layer := p.Manifest.Layers[i]
	name := filePath(p.Row.Ref, layer.Path)
	found, err := s.look(name, layer.Ref)
	if err != nil || found.occupied {
		return err
	}
	if found.done {
		s.setDate(name, found.date)
		return nil
	}
	if err := s.makeFolder(parent(name)); err != nil {
		return fmt.Errorf("%s: %s: %w", p.Row.Ref, layer.Path, err)
	}
	synced, date, err := s.write(ctx, p, i, name)
	if err != nil {
		return fmt.Errorf("%s: %s: %w", p.Row.Ref, layer.Path, err)
	}
	s.setDate(name, date)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.moves = append(s.moves, moveDoc{Digest: layer.Digest, Over: found.over, Path: name, Size: layer.Size})
	if !synced {
		s.unsynced = append(s.unsynced, s.files()+"/"+name)
	}
	return nil
}

// setDate notes the date of a file that lies, or will lie, where it should.
func (s *stager) setDate(name string, date int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.dates[name] = date
}

// write writes a file to the stage and returns its date. Large ones are synced
// at once.
func (s *stager) write(ctx context.Context, p *feed.Package, i int, name string) (synced bool, date int64, err error) {
	f, err := s.out.create(name)
	if err != nil {
		return false, 0, err
	}
	err = fill(ctx, f, p, i)
	if err == nil && f.back.Large() {
		synced, err = true, f.sync()
	}
	if err == nil {
		date, err = f.date()
	}
	if closing := f.Close(); err == nil {
		err = closing
	}
	return synced, date, err
}

// fill writes a file's bytes to f: by a delta, where that gives them.
func fill(ctx context.Context, f *newFile, p *feed.Package, i int) error {
	if body := p.OpenDelta(ctx, i); body != nil {
		if copyAll(f, body) == nil {
			return nil
		}
		if err := errors.Join(ctx.Err(), f.again()); err != nil {
			return err
		}
	}
	body, err := p.Open(ctx, i)
	if err != nil {
		return err
	}
	return copyAll(f, body)
}

func copyAll(w io.Writer, body io.ReadCloser) error {
	defer body.Close()
	buf := buffers.Get().(*[]byte)
	defer buffers.Put(buf)
	_, err := io.CopyBuffer(w, body, *buf)
	return err
}

// makeFolder makes a folder in the stage, and those above it.
func (s *stager) makeFolder(name string) error {
	if name == "." {
		return nil
	}
	make, _ := s.staged.LoadOrStore(name, sync.OnceValue(func() error {
		if err := s.makeFolder(parent(name)); err != nil {
			return err
		}
		err := s.out.mkdir(name)
		if !errors.Is(err, fs.ErrExist) {
			return err
		}
		// A system that ignores case: fine, if it is a folder.
		if info, statErr := s.out.lstat(name); statErr == nil && info != nil && info.IsDir() {
			return nil
		}
		return err
	}))
	return make.(func() error)()
}

// settle makes the stage durable, with further files in it.
func (s *stager) settle(more ...string) error {
	folders := []string{ownFolder, stageFolder, s.folder, s.files()}
	s.staged.Range(func(name, _ any) bool {
		folders = append(folders, s.files()+"/"+name.(string))
		return true
	})
	return s.disk.settle(append(s.unsynced, more...), folders)
}

// inTheWay returns what was found in the way, and puts the lists of the
// journal into an order that does not depend on the workers. What one feed has
// no more stays where another has it now.
func (s *stager) inTheWay() error {
	s.removals = slices.DeleteFunc(s.removals, func(r fileDoc) bool {
		_, stays := s.dates[r.Path]
		return stays
	})
	slices.SortFunc(s.moves, func(a, b moveDoc) int { return strings.Compare(a.Path, b.Path) })
	slices.SortFunc(s.removals, func(a, b fileDoc) int { return strings.Compare(a.Path, b.Path) })
	if len(s.occupied) == 0 {
		return nil
	}
	first := slices.MinFunc(s.occupied, func(a, b *OccupiedError) int { return strings.Compare(a.Path, b.Path) })
	first.More = len(s.occupied) - 1
	return first
}
