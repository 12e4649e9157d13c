package feedhttp

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"

	"airlock/feed"
	"airlock/signing"
	"airlock/storage"
)

const (
	// maxInlineTotal bounds the objects that a client puts inside one batch, in
	// bytes; the others are uploaded before.
	maxInlineTotal = 48 << 20
	// maxManifestsTotal bounds the manifests that go with the question what is
	// missing; those left out are missing objects themselves.
	maxManifestsTotal = 16 << 20
	maxAccepted       = 4 << 20 // bytes of the answer to a batch
	// maxRounds bounds how often objects that a server misses are uploaded.
	maxRounds = 3
)

// Publish commits a batch in one request where its objects are small. Large
// ones are uploaded before, as far as the server does not have them.
//
// Where an answer gets lost the batch is sent again, which is harmless.
func (c *Client) Publish(ctx context.Context, b feed.Batch) (feed.Accepted, error) {
	if n := len(b.Statements); n < 1 || n > MaxStatements {
		return feed.Accepted{}, fmt.Errorf("feed %s: %d statements in a batch, want 1 to %d", b.Feed, n, MaxStatements)
	}
	room := int64(MaxBatch) - int64(len(appendStatements(nil, b.Epoch, b.Statements)))
	if room < 0 {
		return feed.Accepted{}, fmt.Errorf("feed %s: %w", b.Feed, &LimitError{"batch", MaxBatch})
	}
	inline, large := divide(b.Objects, min(room, maxInlineTotal))
	if len(large) > 0 {
		if err := c.uploadMissing(ctx, b, large); err != nil {
			return feed.Accepted{}, err
		}
	}
	for round := 1; ; round++ {
		accepted, err := c.commit(ctx, b, inline)
		missing, ok := errors.AsType[*feed.MissingError](err)
		if !ok || round == maxRounds {
			return accepted, err
		}
		// The server lost what it had, or never had what we left out.
		have := pick(b.Objects, missing.Objects)
		if len(have) < len(missing.Objects) {
			return feed.Accepted{}, err
		}
		if err := c.uploadMissing(ctx, b, have); err != nil {
			return feed.Accepted{}, err
		}
	}
}

// divide tells the objects that go inside a batch from those that do not. room
// is what there is for them, in bytes.
func divide(objects []feed.Content, room int64) (inline, large []feed.Content) {
	total := int64(0)
	seen := map[storage.Digest]bool{}
	for _, o := range objects {
		if seen[o.Digest] {
			continue
		}
		seen[o.Digest] = true
		if o.Size <= MaxInline && total+o.Size+int64(inlineHeader) <= room {
			total += o.Size + int64(inlineHeader)
			inline = append(inline, o)
		} else {
			large = append(large, o)
		}
	}
	return inline, large
}

// pick returns the objects that refs name.
func pick(objects []feed.Content, refs []storage.Ref) []feed.Content {
	wanted := map[storage.Digest]bool{}
	for _, r := range refs {
		wanted[r.Digest] = true
	}
	var out []feed.Content
	for _, o := range objects {
		if wanted[o.Digest] {
			out = append(out, o)
			delete(wanted, o.Digest)
		}
	}
	return out
}

func (c *Client) commit(ctx context.Context, b feed.Batch, inline []feed.Content) (feed.Accepted, error) {
	return c.sendBatch(ctx, b, batchRequest(b, "/entries", inline, maxAccepted))
}

func (c *Client) sendBatch(ctx context.Context, b feed.Batch, rq request) (feed.Accepted, error) {
	got, err := c.fetch(ctx, rq)
	if err != nil {
		return feed.Accepted{}, err
	}
	accepted, err := parseAccepted(got.body, len(b.Statements))
	if err != nil {
		return feed.Accepted{}, c.named(fmt.Errorf("feed %s: %w", b.Feed, err))
	}
	c.keep(b.Feed, accepted.Checkpoint) // so that the next server, too, shows what was published
	return accepted, nil
}

// uploadMissing uploads those objects that the server says it does not have. One
// that does not expect them is asked again: it started since it said so, or is
// another one than it was.
func (c *Client) uploadMissing(ctx context.Context, b feed.Batch, objects []feed.Content) error {
	for round := 1; ; round++ {
		err := c.uploadExpected(ctx, b, objects)
		if !errors.Is(err, fs.ErrNotExist) || round == maxRounds {
			return err
		}
	}
}

func (c *Client) uploadExpected(ctx context.Context, b feed.Batch, objects []feed.Content) error {
	manifests, _ := divide(pick(b.Objects, subjects(b.Statements)), maxManifestsTotal)
	got, err := c.fetch(ctx, batchRequest(b, "/uploads", manifests, maxDocument))
	if err != nil {
		return err
	}
	var list missingList
	if err := json.Unmarshal(got.body, &list); err != nil {
		return c.named(fmt.Errorf("feed %s: answer: %w", b.Feed, err))
	}
	if err := checkRefs(list.Missing); err != nil {
		return c.named(fmt.Errorf("feed %s: answer: %w", b.Feed, err))
	}
	for _, o := range pick(objects, list.Missing) {
		if err := c.upload(ctx, b.Feed, o); err != nil {
			return err
		}
	}
	return nil
}

// subjects returns what the statements speak of: manifests among other things.
func subjects(statements []signing.Attestation) []storage.Ref {
	var out []storage.Ref
	for _, a := range statements {
		if st, err := signing.ParseStatement(a.Payload()); err == nil {
			out = append(out, storage.Ref{Digest: st.Subject})
		}
	}
	return out
}

// batchRequest is a request with a batch. Objects are read as they are sent,
// so memory does not hold them.
func batchRequest(b feed.Batch, path string, inline []feed.Content, limit int64) request {
	head := appendStatements(nil, b.Epoch, b.Statements)
	length := int64(len(head))
	for _, o := range inline {
		length += int64(inlineHeader) + o.Size
	}
	return request{
		method: http.MethodPost, path: feedPath(b.Feed) + path,
		header: [][2]string{{"Content-Type", BatchMediaType}},
		body:   func() (io.ReadCloser, error) { return &batchBody{now: head, objects: inline}, nil },
		length: length, limit: limit,
	}
}

// batchBody reads a batch: what is in memory now, then the rest of the object
// that is open, then the next object.
type batchBody struct {
	now     []byte
	open    io.ReadCloser
	ref     storage.Ref // of open
	left    int64       // of open, in bytes
	objects []feed.Content
}

func (b *batchBody) Read(p []byte) (n int, err error) {
	for n < len(p) {
		switch {
		case len(b.now) > 0:
			k := copy(p[n:], b.now)
			b.now = b.now[k:]
			n += k
		case b.open != nil:
			k, err := b.readObject(p[n:])
			if n += k; err != nil {
				return n, err
			}
		case len(b.objects) > 0:
			if err := b.next(); err != nil {
				return n, err
			}
		case n > 0:
			return n, nil
		default:
			return 0, io.EOF
		}
	}
	return n, nil
}

func (b *batchBody) readObject(p []byte) (int, error) {
	n, err := b.open.Read(p[:min(int64(len(p)), b.left)])
	b.left -= int64(n)
	switch {
	case b.left == 0:
		err = b.open.Close()
		b.open = nil
	case errors.Is(err, io.EOF):
		return n, &storage.SizeError{Digest: b.ref.Digest, Want: b.ref.Size, Got: b.ref.Size - b.left}
	}
	return n, err
}

func (b *batchBody) next() error {
	o := b.objects[0]
	b.objects = b.objects[1:]
	b.now = appendInlineHeader(nil, o.Ref)
	if o.Size == 0 {
		return nil
	}
	r, err := o.Open(0)
	if err != nil {
		return fmt.Errorf("object %s: %w", o.Digest, err)
	}
	b.open, b.ref, b.left = r, o.Ref, o.Size
	return nil
}

func (b *batchBody) Close() error {
	if b.open == nil {
		return nil
	}
	return b.open.Close()
}
