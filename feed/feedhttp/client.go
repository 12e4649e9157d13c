package feedhttp

import (
	"cmp"
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/klauspost/compress/zstd"

	"airlock/feed"
	"airlock/storage"
	"airlock/trust"
)

// ClientConfig is what a Client works with.
type ClientConfig struct {
	// Base is where the server is, https://feeds.example or
	// http://127.0.0.1:7070, with a path where a proxy adds one.
	Base *url.URL
	// HTTP sends the requests; nil makes one. Its redirect policy is replaced.
	HTTP *http.Client
	// Token is the bearer token, sent to Base and to nobody else.
	Token string
	// Pin is the thumbprint of the key (SHA-256 of its SubjectPublicKeyInfo) that
	// the server at Base must show, and all that its certificate is held against;
	// zero for one that the system's authorities vouch for.
	Pin storage.Digest
	// Certificate returns what the server at Base is shown, and nobody else; nil
	// for nothing. It is asked for each connection.
	Certificate func() (*tls.Certificate, error)
	// Others are further servers of the same store. One is asked until it fails,
	// then the next.
	Others    []Endpoint
	UserAgent string // "airlock" where it is empty
	Retry     Retry
	// Patience is how long the server may take without a byte in either
	// direction; 60 s.
	Patience time.Duration
	// Compress asks for zstd from this machine too, where it costs more than it
	// saves unless the address is the end of a tunnel.
	Compress bool
	// Ahead is how many segments are fetched before they are asked for; 3.
	Ahead int
}

// Endpoint is a server, with what it is known by, and what is shown to it and to
// nobody else; see ClientConfig.
type Endpoint struct {
	Base        *url.URL
	Token       string
	Pin         storage.Digest
	Certificate func() (*tls.Certificate, error)
	// coding is what segments and packs are asked for in: nothing on this
	// machine, where compressing costs more than it saves.
	coding string
}

// Client reads and publishes feeds over HTTP. What it returns has not been
// verified: that is for whoever reads a feed.Source. It may be used by any
// number of goroutines.
type Client struct {
	servers  []Endpoint
	at       atomic.Int64 // which of them is asked
	http     *http.Client
	agent    string
	retry    Retry
	patience time.Duration
	ahead    int
	received atomic.Int64
	helps    helps

	zstdOnce sync.Once
	zstd     *zstd.Decoder
	zstdErr  error

	mu    sync.Mutex // guards what follows
	info  *Info
	heads map[feed.ID]feed.Checkpoint // newest seen, for If-None-Match
}

var (
	_ feed.Source    = (*Client)(nil)
	_ feed.Packs     = (*Client)(nil)
	_ feed.Chunks    = (*Client)(nil)
	_ feed.Deltas    = (*Client)(nil)
	_ feed.Tiles     = (*Client)(nil)
	_ feed.Waiter    = (*Client)(nil)
	_ feed.Publisher = (*Client)(nil)
)

// NewClient returns a client. A Base that is not usable gives *BaseError.
func NewClient(c ClientConfig) (*Client, error) {
	out := &Client{
		agent: cmp.Or(c.UserAgent, "airlock"),
		retry: c.Retry.withDefaults(), patience: cmp.Or(c.Patience, time.Minute), ahead: cmp.Or(c.Ahead, 3),
		heads: map[feed.ID]feed.Checkpoint{},
	}
	for _, e := range append([]Endpoint{{Base: c.Base, Token: c.Token, Pin: c.Pin, Certificate: c.Certificate}}, c.Others...) {
		base, err := checkBase(e.Base)
		if err == nil && e.Token != "" {
			err = CheckToken(e.Token)
		}
		if err != nil {
			return nil, err
		}
		e.Base, e.coding = base, "zstd"
		if isLoopback(base.Hostname()) && !c.Compress {
			e.coding = "identity"
		}
		out.servers = append(out.servers, e)
	}
	var err error
	out.http, err = newHTTP(c.HTTP, out.servers, &out.received)
	return out, err
}

// server is the one that is asked now.
func (c *Client) server() Endpoint { return c.servers[c.at.Load()] }

// leave goes on to the next server, unless somebody else did already.
func (c *Client) leave(at int64) { c.at.CompareAndSwap(at, (at+1)%int64(len(c.servers))) }

// attempt calls try until it succeeds, fails for good, or the bounds of the
// client's Retry are reached; with the next server after one that failed.
func (c *Client) attempt(ctx context.Context, try func() error) error {
	return c.retry.do(ctx, len(c.servers)-1, func() error {
		at := c.at.Load()
		err := try()
		if err == nil {
			return nil
		}
		if mayHelp(err) {
			c.leave(at)
		}
		return fmt.Errorf("%s: %w", c.servers[at].Base.Host, err)
	})
}

// Received returns how many bytes of answers have come from the server, as they
// came over the line and without headers.
func (c *Client) Received() int64 { return c.received.Load() }

// maxInfo and maxFeeds bound the answers about the server, maxQuery the Spaces that
// one request for feeds names, in bytes.
const (
	maxInfo  = 64 << 10
	maxFeeds = 16 << 20
	maxQuery = 900
)

// Info returns what the server says of itself. It is asked once.
func (c *Client) Info(ctx context.Context) (Info, error) {
	c.mu.Lock()
	known := c.info
	c.mu.Unlock()
	if known != nil {
		return *known, nil
	}
	var info Info
	if err := c.getJSON(ctx, infoPath, maxInfo, &info); err != nil {
		return Info{}, err
	}
	if info.Name != "airlock" || info.API != apiVersion {
		return Info{}, fmt.Errorf("%s: %w", c, &BaseError{Base: c.String(), Why: "is not an Airlock server of interface " + apiVersion})
	}
	if len(info.LogKey) != 32 {
		return Info{}, fmt.Errorf("%s: log key of %d bytes, want 32", c, len(info.LogKey))
	}
	c.mu.Lock()
	c.info = &info
	c.mu.Unlock()
	return info, nil
}

// LogKey returns the public key that signs the checkpoints of feeds that are
// opened on the server.
func (c *Client) LogKey(ctx context.Context) ([]byte, error) {
	info, err := c.Info(ctx)
	return info.LogKey, err
}

// Feeds lists the feeds that the server lets this client read: of some Spaces, or
// where none is named of all. A store has the feeds of very many Spaces; who knows
// whose are wanted names them.
func (c *Client) Feeds(ctx context.Context, of ...trust.Space) ([]feed.ID, error) {
	names := make([]string, len(of))
	for i, s := range of {
		names[i] = s.String()
	}
	slices.Sort(names)
	names = slices.Compact(names)
	var out []feed.ID
	for begin := true; begin || len(names) > 0; begin = false {
		some, query := 0, ""
		for ; some < len(names) && len(formatSpaces(names[:some+1])) <= maxQuery; some++ {
			query = formatSpaces(names[:some+1])
		}
		names = names[some:]
		var list feedList
		if err := c.askJSON(ctx, request{method: http.MethodGet, path: "/v1/feeds", query: query, limit: maxFeeds}, &list); err != nil {
			return nil, err
		}
		out = append(out, list.Feeds...)
	}
	return out, nil
}

func (c *Client) getJSON(ctx context.Context, path string, limit int64, v any) error {
	return c.askJSON(ctx, request{method: http.MethodGet, path: path, limit: limit}, v)
}

// askJSON sends a request, and reads the answer into v.
func (c *Client) askJSON(ctx context.Context, rq request, v any) error {
	got, err := c.fetch(ctx, rq)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(got.body, v); err != nil {
		return fmt.Errorf("%s%s: answer: %w", c, rq.path, err)
	}
	return nil
}

// Close lets go of idle connections.
func (c *Client) Close() error {
	c.http.CloseIdleConnections()
	return nil
}

// named puts the server's name before an error; it never holds credentials.
func (c *Client) named(err error) error { return fmt.Errorf("%s: %w", c.server().Base.Host, err) }
