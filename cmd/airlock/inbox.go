package main

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"io/fs"
	"log/slog"
	"net"
	"strings"
	"sync"
	"time"

	"airlock/bundle"
	"airlock/feed"
	"airlock/feed/feedhttp"
	"airlock/internal/home"
	"airlock/internal/server"
	"airlock/storage"
	"airlock/trust"
)

// inbox takes what servers push. It verifies it as what comes from any source, and
// puts it into a store of the home, which subscriptions follow (from: inbox): so all
// that they say holds for it, and it is there when their windows open.
type inbox struct {
	*app
	home     *home.Home
	own      trust.Lineage
	mirror   *mirrorStore
	pushed   *bell
	arrivals *arrivals
	sending  receiptOptions
	taking   sync.Mutex // one stream at a time
	handler  *feedhttp.Handler
}

var _ feedhttp.Inbox = (*inbox)(nil)

// openInbox makes ready to take what is pushed. Close the inbox.
func (f *fleet) openInbox(ctx context.Context) (*inbox, error) {
	in := &inbox{app: f.apart("inbox"), home: f.home, pushed: &f.pushed, arrivals: &f.arrivals, sending: f.options.receipts}
	own, err := f.home.Identity()
	if err != nil {
		return nil, err
	}
	in.own = own.Lineage()
	if joined, err := in.joinedServers(); err != nil {
		return nil, err
	} else if len(joined) == 0 {
		return nil, usage("%s joined no server, so nobody may push to it", "airlock join URL CODE, with a code of the operator", f.home.Path())
	}
	if err := f.home.ClearPushed(); err != nil {
		return nil, err
	}
	if in.mirror, err = in.openMirror(ctx, f.home.Inbox(), false); err != nil {
		return nil, err
	}
	in.handler, err = feedhttp.New(feedhttp.Config{Inbox: in, Logger: in.logger(slog.LevelWarn), Version: version, Now: in.now})
	return in, err
}

func (in *inbox) close() error {
	return errors.Join(in.handler.Close(), in.mirror.close())
}

// plainInbox is what --inbox begins with for an address without TLS.
const plainInbox = "http://"

// serve takes what is pushed until ctx ends. The address is one of this machine; on
// loopback it may be without TLS.
func (in *inbox) serve(ctx context.Context, address string) error {
	bare, plain := strings.CutPrefix(address, plainInbox)
	l, err := net.Listen("tcp", bare)
	if err != nil {
		return hinted(err, err.Error(), "is another agent running there? say --inbox ADDRESS:PORT")
	}
	s, scheme := feedhttp.Server(in.handler), "https"
	switch {
	case !plain:
		if _, err := in.home.Certificate(); err != nil {
			return errors.Join(hinted(err, "this home has no key that it could show as an inbox: "+err.Error(), "airlock identity renew --tls makes one"), l.Close())
		}
		s.TLSConfig = &tls.Config{MinVersion: tls.VersionTLS13,
			GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return in.home.Certificate() }}
	case !isLoopback(l.Addr()):
		return errors.Join(usage("--inbox %s is not a loopback address, and what is pushed would be read on the way", "say --inbox ADDRESS:PORT, with TLS, or listen on 127.0.0.1", address), l.Close())
	default:
		scheme = "http"
	}
	in.note("taking in what is pushed to %s://%s", scheme, l.Addr())
	return in.listen(ctx, s, l, in.handler.Drain)
}

// Take implements feedhttp.Inbox.
func (in *inbox) Take(ctx context.Context, c feedhttp.Caller, r io.Reader, asked feedhttp.PushReceipts) (feedhttp.PushAnswer, error) {
	got, err := in.take(ctx, r, asked)
	if err != nil && ctx.Err() == nil {
		in.note("airlock: warning: pushed from %s: %s (%s)", c.Address, oneLine(err.Error()), pushedHint(err))
	}
	return got, refusal(err)
}

// pushedHint says what to do about what was pushed and not taken: nobody here named
// the server, and nobody here can fetch it again.
func pushedHint(err error) string {
	code, hint := outcomeOf(err)
	switch {
	case as[*net.OpError](err), errors.Is(err, io.ErrUnexpectedEOF):
		return "it was cut off: nothing is to be done here, the server sends it again"
	case code == exitBadSignature:
		return "nothing of it was taken: tell the operator of the server, which tries again"
	}
	return hint
}

func (in *inbox) take(ctx context.Context, r io.Reader, asked feedhttp.PushReceipts) (feedhttp.PushAnswer, error) {
	head, err := in.read(r)
	if err != nil {
		return feedhttp.PushAnswer{}, err
	}
	behind, err := in.recall(ctx, asked.Known)
	if behind != nil {
		have, err := in.have(ctx, head.Slice)
		return feedhttp.PushAnswer{Taken: have, Behind: behind}, err
	}
	wait := asked.Wait
	if err != nil {
		wait = 0
		in.notAnswered("receipts are", err)
	}
	taken, came, err := in.takeIn(ctx, head, r)
	got := feedhttp.PushAnswer{Taken: taken}
	if came != nil {
		got.Receipts = in.answer(ctx, came, head.Operator, wait)
	}
	return got, err
}

// takeIn takes in what goes on from what the inbox has, and returns what it has then;
// nothing arrived where it had it all.
func (in *inbox) takeIn(ctx context.Context, head bundle.StreamHead, r io.Reader) (feedhttp.Taken, *arrival, error) {
	in.taking.Lock()
	defer in.taking.Unlock()
	have, err := in.have(ctx, head.Slice)
	if err != nil || !goesOn(head.Slice, have) {
		return have, nil, err
	}
	file, err := in.home.CreatePushed()
	if err != nil {
		return have, nil, err
	}
	spooled := &spool{file}
	defer spooled.Close()
	stream, err := bundle.ReadStream(ctx, r, head, spooled)
	if err != nil {
		return have, nil, err
	}
	came, err := in.mirrored(ctx, stream)
	if err != nil {
		return have, nil, err
	}
	in.pushed.ring()
	have, err = in.have(ctx, head.Slice)
	return have, came, err
}

// read reads the head of a stream, and refuses what is not for this home to take.
func (in *inbox) read(r io.Reader) (bundle.StreamHead, error) {
	servers, err := in.home.Servers()
	if err != nil {
		return bundle.StreamHead{}, err
	}
	var operators [][]byte
	for _, s := range servers {
		operators = append(operators, s.LogKey)
	}
	head, err := bundle.ReadStreamHead(r, operators)
	if err != nil {
		return head, err
	}
	if head.Audience.Lineage != in.own {
		return head, &bundle.AudienceError{For: head.Audience, Ours: in.own}
	}
	_, err = in.view(head.Slice.Feed.Space, head.Slice.Feed.Name)
	return head, err
}

// have returns what the inbox has of a feed, in the epoch of the slice.
func (in *inbox) have(ctx context.Context, s bundle.Slice) (feedhttp.Taken, error) {
	c, err := in.mirror.server.Local().Checkpoint(ctx, s.Feed)
	if errors.Is(err, fs.ErrNotExist) || err == nil && c.Origin != s.Feed.Origin(s.Epoch) {
		return feedhttp.Taken{}, nil
	}
	return feedhttp.Taken{Epoch: s.Epoch, Root: storage.Digest(c.Root), Size: c.Size}, err
}

// goesOn reports whether a slice goes on from what the inbox has.
func goesOn(s bundle.Slice, have feedhttp.Taken) bool { return s.From <= have.Size && have.Size < s.To }

// mirrored follows the feed of a stream and puts what it has into the store; nothing
// arrives there where more was accepted from elsewhere.
func (in *inbox) mirrored(ctx context.Context, s *bundle.Stream) (*arrival, error) {
	slice := s.Head().Slice
	news := in.mirror.behind(pushed{Stream: s})
	f, state, _, err := in.sync(ctx, &conn{place: news, name: "what was pushed", late: true}, slice.Feed)
	if err != nil || state.Edge.Size() > slice.To {
		return nil, err // more is pushed, too
	}
	came := in.arrivals.add(slice, state.Index) // before anybody can see it
	if _, err = in.mirror.server.Mirror(ctx, server.Operator, f, state); err == nil {
		err = in.arrived(ctx, f, state)
	}
	if err != nil {
		in.arrivals.remove(came)
		return nil, err
	}
	return came, nil
}

// pushed is a stream as a place.
type pushed struct {
	*bundle.Stream
	readOnly
}

func (p pushed) Feeds(_ context.Context, of ...trust.Space) ([]feed.ID, error) {
	return ofSpaces([]feed.ID{p.Head().Slice.Feed}, of), nil
}

func (p pushed) Heads(ctx context.Context, known map[feed.ID]int64, _ time.Duration) (map[feed.ID]feed.Checkpoint, error) {
	return headsOf(ctx, p, known)
}

// Tile implements place; behind has the entries before, too.
func (p pushed) Tile(context.Context, feed.ID, int, int64, int) ([]byte, error) {
	return nil, fs.ErrNotExist
}

// refusal makes of what was in the way what the other end is told.
func refusal(err error) error {
	code, _ := outcomeOf(err)
	switch {
	case err == nil, as[*trust.DeniedError](err):
		return err
	case errors.Is(err, bundle.ErrMalformed):
		return &feedhttp.RequestError{Why: oneLine(err.Error())}
	case code == exitUntrusted:
		return &trust.DeniedError{Reason: trust.Untrusted, Rule: "allow", Thing: "inbox", Why: oneLine(err.Error())}
	case code >= exitBadSignature && code != exitNoRoom && code != exitInterrupted:
		return &feedhttp.ConflictError{Why: oneLine(err.Error())}
	}
	return err
}
