package bundle

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"airlock/feed"
	"airlock/feed/feedtest"
	"airlock/storage"
	"airlock/storage/storetest"
	"airlock/trust"
)

// memory is a Spool in memory.
type memory struct{ bytes.Buffer }

func (m *memory) ReadAt(p []byte, off int64) (int, error) {
	return bytes.NewReader(m.Bytes()).ReadAt(p, off)
}

// streamed writes a stream from an entry of the site's feed on.
func (s *site) streamed(from int64, base *storage.Digest) []byte {
	s.t.Helper()
	head, err := s.source().Checkpoint(s.t.Context(), s.ID)
	check(s.t, err)
	h := NewStreamHead(Party{s.receiver.Lineage(), s.receiver.Name.String()},
		Slice{Base: base, Epoch: 1, Feed: s.ID, From: from, Lineage: s.Space.Lineage(), Note: string(head.Note), To: head.Size})
	var out bytes.Buffer
	check(s.t, WriteStream(s.t.Context(), &out, h, s.Key, s.source()))
	return out.Bytes()
}

func (s *site) readStream(raw []byte) (*Stream, error) {
	r := bytes.NewReader(raw)
	h, err := ReadStreamHead(r, [][]byte{feedtest.Key(7).Public(), s.Key.Public()})
	if err != nil {
		return nil, err
	}
	return ReadStream(s.t.Context(), r, h, &memory{})
}

// What a receiver takes from a stream is what it would take from the store.
func TestStream(t *testing.T) {
	s := newSite(t)
	text := storetest.Text(3, 3<<20)
	s.publishLarge("file/big@1", text)
	want, err := s.take(s.source())
	check(t, err)
	x, err := s.readStream(s.streamed(0, nil))
	check(t, err)
	got, err := s.take(x)
	check(t, err)
	if got != want {
		t.Errorf("from the stream:\n%s\nfrom the store:\n%s", got, want)
	}
	if _, err := x.Chunks(t.Context(), s.ID, storage.DigestOf(text)); err != nil {
		t.Errorf("a large payload does not travel in frames: %v", err)
	}
	if x.Head().Audience.Space != "acme/production" {
		t.Errorf("for %s", x.Head().Audience.Space)
	}
}

// Streams that go on from each other give what the store has, however the entries
// are parted.
func TestStreamsInTurn(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		s := newSite(t)
		f := s.Follower(nil)
		var base *storage.Digest
		from, n := int64(0), 0
		for range rapid.IntRange(1, 3).Draw(rt, "streams") {
			x, err := s.readStream(s.streamed(from, base))
			check(t, err)
			f.Source = x
			state, _, err := f.Sync(t.Context(), s.ID)
			check(t, err)
			for row := range state.Index.Rows(from) {
				if !state.Index.Live(row) {
					continue
				}
				err := f.Fetch(t.Context(), state, []feed.Row{row}, func(p *feed.Package) error {
					_, err := feedtest.ReadAll(t.Context(), p, 0)
					return err
				})
				if err != nil {
					rt.Fatalf("%s: %v", row.Ref, err)
				}
			}
			from = state.Edge.Size()
			root := storage.Digest(state.Edge.Root())
			base = &root
			var more []feedtest.Signed
			for range rapid.SampledFrom([]int{0, 1, 2, 100, 250}).Draw(rt, "entries") {
				n++
				more = append(more, s.Author.Publish(fmt.Sprintf("file/more@%d", n), feedtest.Text("a.txt", fmt.Sprint(n))))
			}
			if len(more) > 0 {
				s.Append(more...)
			}
		}
	})
}

// What was withdrawn and is gone from the store is left out, and nothing else.
func TestStreamLeavesOut(t *testing.T) {
	s := newSite(t)
	state := s.state()
	gone, _ := state.Index.State(feed.Ref{Kind: "file", Name: "gone", Version: "1"})
	src := &lackingSource{s.source(), gone.Manifest}
	head, err := src.Checkpoint(t.Context(), s.ID)
	check(t, err)
	h := NewStreamHead(Party{s.receiver.Lineage(), s.receiver.Name.String()}, Slice{Epoch: 1, Feed: s.ID, Lineage: s.Space.Lineage(), Note: string(head.Note), To: head.Size})
	var out bytes.Buffer
	check(t, WriteStream(t.Context(), &out, h, s.Key, src))
	x, err := s.readStream(out.Bytes())
	check(t, err)
	want, err := s.take(s.source())
	check(t, err)
	if got, err := s.take(x); err != nil || got != want {
		t.Errorf("%v: took\n%s\nwant\n%s", err, got, want)
	}
}

// Any byte that is changed, or left out at the end, is seen, or changes nothing of
// what is taken: one in five, or with -every each.
func TestStreamEveryByte(t *testing.T) {
	s := newSite(t)
	s.World = feedtest.New(t, storage.NewMem())
	s.Publish("file/motd@1", feedtest.Text("motd.txt", "hello"))
	want, err := s.take(s.source())
	check(t, err)
	raw := s.streamed(0, nil)
	for i := range raw {
		if !*every && i%5 != 0 {
			continue
		}
		for _, changed := range [][]byte{raw[:i], flipped(raw, i)} {
			x, err := s.readStream(changed)
			if err != nil {
				if !errors.Is(err, ErrMalformed) && !errors.Is(err, trust.ErrUntrusted) {
					t.Fatalf("byte %d: %v", i, err)
				}
				continue
			}
			if len(changed) < len(raw) {
				t.Fatalf("cut off at %d: taken", i)
			}
			if got, err := s.take(x); err == nil && got != want {
				t.Fatalf("byte %d: the receiver took something else", i)
			}
		}
	}
}

func flipped(raw []byte, i int) []byte {
	out := bytes.Clone(raw)
	out[i] ^= 1 << (i % 8)
	return out
}

// exampleStream is a stream of one part.
func exampleStream() (head StreamHead, raw []byte) {
	doc := exampleDocument()
	head = NewStreamHead(doc.Audience, doc.Feeds[0])
	raw, err := head.format(feedtest.Key(1))
	if err != nil {
		panic(err)
	}
	body := []byte("statements")
	raw = Part{Kind: Statements, Count: 1, Size: int64(len(body)), Of: storage.DigestOf(body)}.appendTo(raw)
	return head, append(append(raw, body...), make([]byte, partRecord)...)
}

func TestStreamExample(t *testing.T) {
	_, raw := exampleStream()
	path := filepath.Join("testdata", "stream")
	if *update {
		check(t, os.WriteFile(path, raw, 0o666))
	}
	if !bytes.Equal(readAll(t, path), raw) {
		t.Errorf("%s is another one", path)
	}
	r := bytes.NewReader(raw)
	h, err := ReadStreamHead(r, [][]byte{feedtest.Key(1).Public()})
	check(t, err)
	x, err := ReadStream(t.Context(), r, h, &memory{})
	check(t, err)
	if len(x.list) != 1 {
		t.Errorf("%d parts", len(x.list))
	}
}

// A stream that breaks a rule is refused, and the error says which.
func TestStreamRefused(t *testing.T) {
	head, good := exampleStream()
	begin := len(good) - partRecord - len("statements") - partRecord
	of := func(change func(*StreamHead)) []byte {
		h := head
		change(&h)
		// As an operator would who writes what he likes.
		raw := []byte(strings.Replace(string(good[len(streamHeader)+4:begin-64]), `"kind":"Stream"`, fmt.Sprintf(`"kind":%q`, h.Kind), 1))
		raw = bytes.Replace(raw, []byte(`"space":"acme/production"`), fmt.Appendf(nil, `"space":%q`, h.Audience.Space), 1)
		raw = bytes.Replace(raw, []byte(`"to":1`), fmt.Appendf(nil, `"to":%d`, h.Slice.To), 1)
		out := binary.BigEndian.AppendUint32([]byte(streamHeader), uint32(len(raw)))
		out = append(out, raw...)
		return append(append(out, feedtest.Key(1).SignCell(out)...), good[begin:]...)
	}
	with := func(parts ...Part) []byte {
		out := bytes.Clone(good[:begin])
		for _, p := range parts {
			out = append(p.appendTo(out), make([]byte, p.Size)...)
		}
		return append(out, make([]byte, partRecord)...)
	}
	zeros := func(n int64) storage.Digest { return storage.DigestOf(make([]byte, n)) }
	statements := Part{Kind: Statements, Count: 1, Size: 9, Of: zeros(9)}
	odd := bytes.Clone(good)
	odd[begin+1] = 1
	for name, c := range map[string]struct {
		raw  []byte
		want string
	}{
		"another header":         {append([]byte("airlock-stream 2\n"), good[len(streamHeader):]...), "want \"airlock-stream 1"},
		"a head of any size":     {append([]byte(streamHeader), 0xff, 0xff, 0xff, 0xff), "at most 1048576"},
		"another kind":           {of(func(h *StreamHead) { h.Kind = "Bundle" }), "want airlock.example/v1 Stream"},
		"no receiver":            {of(func(h *StreamHead) { h.Audience.Space = "x" }), "want <organisation>/<space>"},
		"another size":           {of(func(h *StreamHead) { h.Slice.To = 2 }), "the checkpoint is of"},
		"no end":                 {good[:len(good)-partRecord], "ends in the middle"},
		"after the end":          {append(bytes.Clone(good), 0), "goes on after its end"},
		"statements twice":       {with(statements, statements), "statements from 0 on, want 1"},
		"no statements":          {with(), "statements up to 0"},
		"of a volume":            {with(statements, Part{Kind: HeldPackage, Of: storage.Digest{1}}), "which no stream carries"},
		"of no kind":             {with(statements, Part{Kind: 99, Size: 1}), "which no stream carries"},
		"another feed":           {with(statements, Part{Kind: Object, Feed: 1, Size: 1, Of: zeros(1)}), "feed 1 of 1"},
		"an object of any size":  {append(Part{Kind: Object, Size: feed.MaxPayload + 1}.appendTo(bytes.Clone(good[:begin])), 0), "want 1 to"},
		"bytes of another":       {with(Part{Kind: Statements, Count: 1, Size: 9, Of: storage.Digest{1}}), "not sha256:01"},
		"a byte that says zero":  {odd, "byte 1 is not zero"},
		"an index that is short": {Part{Kind: Chunks, Size: 9, Of: storage.Digest{1}}.appendTo(bytes.Clone(good[:begin])), "ends in the middle"},
	} {
		r := bytes.NewReader(c.raw)
		h, err := ReadStreamHead(r, [][]byte{feedtest.Key(1).Public()})
		if err == nil {
			_, err = ReadStream(t.Context(), r, h, &memory{})
		}
		if !errors.Is(err, ErrMalformed) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
	_, err := ReadStreamHead(bytes.NewReader(good), [][]byte{feedtest.Key(2).Public()})
	if denied, ok := errors.AsType[*trust.DeniedError](err); !ok || denied.Rule != RuleOperator {
		t.Errorf("of an operator who is not known: %v", err)
	}
}

// What is read of a stream comes out again as the same bytes.
func FuzzStream(f *testing.F) {
	head, good := exampleStream()
	begin := len(good) - partRecord - len("statements") - partRecord
	f.Add(good[begin:])
	f.Add(good)
	f.Add(make([]byte, partRecord))
	f.Fuzz(func(t *testing.T, b []byte) {
		if h, err := ReadStreamHead(bytes.NewReader(b), [][]byte{feedtest.Key(1).Public()}); err == nil {
			if raw, err := h.format(feedtest.Key(1)); err != nil || !bytes.HasPrefix(b, raw) {
				t.Fatalf("%q became %q, %v", b, raw, err)
			}
		}
		spool := &memory{}
		x, err := ReadStream(t.Context(), bytes.NewReader(b), head, spool)
		if err != nil {
			return
		}
		var again []byte
		for i, p := range x.list {
			body, err := x.open(i)
			check(t, err)
			raw, err := io.ReadAll(body)
			check(t, err)
			again = append(p.appendTo(again), raw...)
		}
		if again = append(again, make([]byte, partRecord)...); !bytes.Equal(again, b) {
			t.Fatalf("%q became %q", b, again)
		}
	})
}

// lackingSource is a source without one object.
type lackingSource struct {
	feed.Source
	lacks storage.Digest
}

func (s *lackingSource) Object(ctx context.Context, id feed.ID, d storage.Digest, off int64) (io.ReadCloser, error) {
	if d == s.lacks {
		return nil, fs.ErrNotExist
	}
	return s.Source.Object(ctx, id, d, off)
}
