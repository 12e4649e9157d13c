package feedhttp

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"sync"
	"sync/atomic"
	"time"

	"github.com/klauspost/compress/zstd"

	"airlock/feed"
)

// ClientConfig is what a Client works with.
type ClientConfig struct {
	// Base is where the server is, https://feeds.example or
	// http://127.0.0.1:7070, with a path where a proxy adds one.
	Base *url.URL
	// HTTP sends the requests; nil makes one. Its redirect policy is replaced.
	HTTP *http.Client
	// Token is the bearer token, sent to Base and to nobody else.
	Token     string
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

// Client reads and publishes feeds over HTTP. What it returns has not been
// verified: that is for whoever reads a feed.Source. It may be used by any
// number of goroutines.
type Client struct {
	base     *url.URL
	http     *http.Client
	agent    string
	retry    Retry
	patience time.Duration
	ahead    int
	// coding is what segments and packs are asked for in: nothing on this
	// machine, where compressing costs more than it saves.
	coding   string
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
	base, err := checkBase(c.Base)
	if err != nil {
		return nil, err
	}
	if c.Token != "" {
		if err := CheckToken(c.Token); err != nil {
			return nil, err
		}
	}
	out := &Client{
		base: base, agent: cmp.Or(c.UserAgent, "airlock"),
		retry: c.Retry.withDefaults(), patience: cmp.Or(c.Patience, time.Minute), ahead: cmp.Or(c.Ahead, 3),
		coding: "zstd", heads: map[feed.ID]feed.Checkpoint{},
	}
	out.http = newHTTP(c.HTTP, base, c.Token, &out.received)
	if isLoopback(base.Hostname()) && !c.Compress {
		out.coding = "identity"
	}
	return out, nil
}

// Received returns how many bytes of answers have come from the server, as they
// came over the line and without headers.
func (c *Client) Received() int64 { return c.received.Load() }

// maxInfo and maxFeeds bound the answers about the server, in bytes.
const (
	maxInfo  = 64 << 10
	maxFeeds = 16 << 20
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
		return Info{}, fmt.Errorf("%s: %w", c.base.Redacted(), &BaseError{Base: c.base.Redacted(), Why: "is not an Airlock server of interface " + apiVersion})
	}
	if len(info.LogKey) != 32 {
		return Info{}, fmt.Errorf("%s: log key of %d bytes, want 32", c.base.Redacted(), len(info.LogKey))
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

// Feeds lists the feeds that the server lets this client read.
func (c *Client) Feeds(ctx context.Context) ([]feed.ID, error) {
	var list feedList
	err := c.getJSON(ctx, "/v1/feeds", maxFeeds, &list)
	return list.Feeds, err
}

func (c *Client) getJSON(ctx context.Context, path string, limit int64, v any) error {
	got, err := c.fetch(ctx, request{method: http.MethodGet, path: path, limit: limit})
	if err != nil {
		return err
	}
	if err := json.Unmarshal(got.body, v); err != nil {
		return fmt.Errorf("%s%s: answer: %w", c.base.Redacted(), path, err)
	}
	return nil
}

// Close lets go of idle connections.
func (c *Client) Close() error {
	c.http.CloseIdleConnections()
	return nil
}

// named puts the server's name before an error; it never holds credentials.
func (c *Client) named(err error) error { return fmt.Errorf("%s: %w", c.base.Host, err) }
