package bundle

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"

	"airlock/signing"
	"airlock/storage"
)

// Sign signs a statement as the bundle's creator.
type Sign func(ctx context.Context, st signing.Statement) (signing.Attestation, error)

// Written says what was written, and where.
type Written struct {
	ID       ID
	Document *Document
	Files    []string // of the volumes, in order
	Resumed  int      // volumes that an earlier run had finished
}

// Write writes a plan's volumes to a folder, and what lies beside them. A run
// that was ended goes on where it stopped, if the plan is the same. Until all
// is there and durable, nothing has a name that looks like a volume. progress,
// where set, is told the bytes of the volumes that are done, of how many.
//
// A folder with too little room gives storage.ErrNoSpace before anything is
// written.
func Write(ctx context.Context, p *Plan, to Folder, sign Sign, progress func(done, total int64)) (*Written, error) {
	if progress == nil {
		progress = func(int64, int64) {}
	}
	w := &writer{ctx: ctx, plan: p, layout: p.layout, folder: to, sign: sign, progress: progress, total: p.Bytes(), key: p.key()}
	if err := w.begin(); err != nil {
		return nil, err
	}
	if m, err := w.finished(); m != nil || err != nil {
		if err != nil {
			return nil, err
		}
		return w.tidy(m)
	}
	if err := w.data(); err != nil {
		return nil, err
	}
	if err := w.parity(); err != nil {
		return nil, err
	}
	return w.finish()
}

type writer struct {
	ctx      context.Context // of the one Write
	plan     *Plan
	layout   *layout
	folder   Folder
	sign     Sign
	progress func(done, total int64)
	total    int64
	done     int64

	key    storage.Digest
	state  writeState
	blocks []storage.Digest
	first  int // volume that is written first; those before are there
	pieces [2][]byte
}

// data writes the areas of the volumes with data.
func (w *writer) data() error {
	w.blocks = make([]storage.Digest, 0, w.layout.blocks())
	if err := w.resume(); err != nil {
		return err
	}
	if w.first >= w.layout.dataVolumes() {
		return nil
	}
	run := &runWriter{w: w, at: int64(w.first) * w.layout.doc.Volumes.Area}
	if err := run.open(w.first); err != nil {
		return err
	}
	for i := range w.plan.Parts {
		if err := w.part(run, i); err != nil {
			return errors.Join(fmt.Errorf("part %d, %s: %w", i, w.plan.Parts[i].Kind, err), run.abort())
		}
	}
	return run.close()
}

// part writes what of a part lies behind what was resumed.
func (w *writer) part(run *runWriter, i int) error {
	end := w.layout.total
	if i+1 < len(w.plan.Parts) {
		end = w.layout.starts[i+1]
	}
	if end <= run.at {
		return w.ctx.Err()
	}
	stored := w.layout.stored(i)
	if stored == 0 {
		return nil
	}
	body, err := w.content(i)
	if err != nil {
		return err
	}
	defer body.Close()
	for s := range w.layout.slices(i) {
		if s.at < run.at {
			if _, err := io.CopyN(io.Discard, body, s.size); err != nil {
				return cutOff(err)
			}
			continue
		}
		if _, err := run.Write(tarHeader(partName(i, s.number), s.size, w.modified())); err != nil {
			return err
		}
		if n, err := w.copyAhead(run, body, s.size); err != nil {
			return fmt.Errorf("after %d of %d bytes: %w", n, s.size, cutOff(err))
		}
		if _, err := run.Write(make([]byte, padded(s.size)-s.size)); err != nil {
			return err
		}
	}
	var more [1]byte
	if n, err := io.ReadFull(body, more[:]); n > 0 || !errors.Is(err, io.EOF) {
		return errors.Join(fmt.Errorf("is not the %d bytes that were planned", stored), err)
	}
	return nil
}

// pieceBytes is how much is read at once of what goes to the medium.
const pieceBytes = 1 << 20

type piece struct {
	data []byte
	err  error // behind data
}

// copyAhead copies size bytes. While one piece is hashed and written another
// goroutine reads and checks the next; it ends before copyAhead returns.
func (w *writer) copyAhead(to io.Writer, from io.Reader, size int64) (written int64, err error) {
	full, free := make(chan piece), make(chan []byte, len(w.pieces))
	for i := range w.pieces {
		if w.pieces[i] == nil {
			w.pieces[i] = make([]byte, pieceBytes)
		}
		free <- w.pieces[i]
	}
	go func() {
		defer close(full)
		for left := size; left > 0; {
			buf, ok := <-free
			if !ok {
				return
			}
			n, err := io.ReadFull(from, buf[:min(int64(len(buf)), left)])
			full <- piece{buf[:n], err}
			if err != nil {
				return
			}
			left -= int64(n)
		}
	}()
	for p := range full {
		if err != nil {
			continue // the reader is told by free
		}
		n := 0
		n, err = to.Write(p.data)
		written += int64(n)
		if err == nil {
			err = p.err
		}
		if err != nil {
			close(free)
			continue
		}
		free <- p.data[:cap(p.data)]
	}
	return written, err
}

func cutOff(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

// content opens a part: checked against what was planned, then encrypted.
func (w *writer) content(i int) (io.ReadCloser, error) {
	body, err := w.plan.open(w.ctx, i)
	if err != nil {
		return nil, err
	}
	if e := w.plan.Document.Encryption; e != nil {
		return e.encrypt(body)
	}
	return body, nil
}

// open opens what a part holds, checked against what was planned.
func (p *Plan) open(ctx context.Context, i int) (io.ReadCloser, error) {
	part := p.Parts[i]
	body, err := p.content[i](ctx)
	if err == nil && part.Kind != Chunks && part.Kind != Delta {
		body = storage.Checked(ctx, body, storage.Ref{Digest: part.Of, Size: part.Size})
	}
	return body, err
}

// runWriter writes the run of parts: it hashes the blocks, and goes from one
// volume to the next.
type runWriter struct {
	w      *writer
	at     int64 // in the run
	file   File
	volume int
	hash   blockHash
}

// blockHash hashes block by block.
type blockHash struct {
	size int64
	left int64 // of the block
	sum  interface {
		io.Writer
		Sum([]byte) []byte
		Reset()
	}
	blocks *[]storage.Digest
}

func newBlockHash(size int64, blocks *[]storage.Digest) blockHash {
	return blockHash{size: size, left: size, sum: sha256.New(), blocks: blocks}
}

func (h *blockHash) write(p []byte) {
	for len(p) > 0 {
		n := min(h.left, int64(len(p)))
		_, _ = h.sum.Write(p[:n]) // a hash cannot fail
		p = p[n:]
		if h.left -= n; h.left == 0 {
			h.end()
		}
	}
}

// end ends a block that was begun.
func (h *blockHash) end() {
	if h.left < h.size {
		*h.blocks = append(*h.blocks, storage.Digest(h.sum.Sum(nil)))
		h.sum.Reset()
		h.left = h.size
	}
}

// open begins a volume, with room for its frame.
func (r *runWriter) open(volume int) error {
	f, err := r.w.folder.Create(r.w.temporary(volume))
	if err != nil {
		return err
	}
	r.file, r.volume = f, volume
	r.hash = newBlockHash(r.w.layout.doc.Block, &r.w.blocks)
	return writeZeros(f, r.w.layout.frame)
}

func (r *runWriter) Write(p []byte) (int, error) {
	written := 0
	for len(p) > 0 {
		if err := r.w.ctx.Err(); err != nil {
			return written, err
		}
		area := r.w.layout.doc.Volumes.Area
		if r.at > 0 && r.at%area == 0 && r.at/area > int64(r.volume) {
			if err := r.next(); err != nil {
				return written, err
			}
		}
		n := int(min(int64(len(p)), area-r.at%area))
		r.hash.write(p[:n])
		if _, err := r.file.Write(p[:n]); err != nil {
			return written, err
		}
		r.at += int64(n)
		r.w.step(int64(n))
		written, p = written+n, p[n:]
	}
	return written, nil
}

func (r *runWriter) next() error {
	if err := r.end(); err != nil {
		return err
	}
	return r.open(r.volume + 1)
}

// end makes a volume's area durable, and notes that it is there.
func (r *runWriter) end() error {
	r.hash.end()
	err := writeZeros(r.file, r.w.layout.frame+tarEnd)
	if err == nil {
		err = r.file.Sync()
	}
	err = errors.Join(err, r.file.Close())
	r.file = nil
	if err != nil {
		return err
	}
	from, to := r.w.layout.blocksOf(r.volume)
	return r.w.note(r.volume, r.w.blocks[from:to])
}

// close ends the last volume.
func (r *runWriter) close() error {
	if r.at != r.w.layout.total {
		return errors.Join(fmt.Errorf("parts end at byte %d, planned was %d", r.at, r.w.layout.total), r.abort())
	}
	return r.end()
}

func (r *runWriter) abort() error {
	if r.file == nil {
		return nil
	}
	return r.file.Close()
}

// step reports progress.
func (w *writer) step(n int64) {
	w.done += n
	w.progress(w.done, w.total)
}

// writeZeros writes n zeros.
func writeZeros(f io.Writer, n int64) error {
	_, err := io.CopyN(f, zeros{}, n)
	return err
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}

// begin checks the room, and reads what an earlier run left.
func (w *writer) begin() error {
	err := w.load()
	if errors.Is(err, fs.ErrNotExist) {
		w.state = writeState{Created: w.plan.Document.Created, Key: w.key}
		err = nil
	}
	if err != nil {
		return err
	}
	w.plan.Document.Created = w.state.Created
	free, known := w.folder.Free()
	if need := w.plan.room() - w.there(); known && free < need {
		return fmt.Errorf("%w: the bundle and what lies beside it take up to %d bytes, %d are free", storage.ErrNoSpace, need, free)
	}
	return w.save()
}
