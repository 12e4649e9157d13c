package server

import (
	"fmt"
	"net/netip"
	"net/url"
	"slices"
	"strings"

	"airlock/feed"
	"airlock/feed/feedhttp"
	"airlock/receipts"
	"airlock/signing"
	"airlock/trust"
)

// The pushes of a store are listed in one cell, push/list: canonical JSON, at most
// maxPushList bytes.
//
//	{"format":"airlock-push-list 1",
//	 "pushes":[{"added":1767225600,"feeds":["acme/*/shared"],"id":"07k3m2qxwz5a","said":1,"space":"acme/production","url":"https://inbox.acme.example:7443"}]}
//
// They are sorted by Space and URL, of which each pair is there once; said counts
// how often it was added.
type pushList struct {
	Format string       `json:"format"`
	Pushes []pushRecord `json:"pushes"`
}

type pushRecord struct {
	Added int64          `json:"added"`
	Feeds []feed.Pattern `json:"feeds"`
	ID    string         `json:"id"`
	Said  int            `json:"said"`
	Space string         `json:"space"`
	URL   string         `json:"url"`
}

// patterns select the feeds that are pushed: those that are named, and the receipts
// feed of the Space, since an inbox gives receipts only while it knows which it gave.
func (p pushRecord) patterns() []feed.Pattern {
	return append(slices.Clone(p.Feeds), feed.Pattern(p.Space+"/"+receipts.Feed))
}

// pushCursor is how a push stands, in the cell push/<id>: canonical JSON, at most
// maxPushCursor bytes. Each server that
// pushes writes the number of its term into it, before anything else: so one that was
// taken for gone and is still at work writes none after that.
//
//	{"format":"airlock-push 1","problem":"…",
//	 "receipts":{"feed":"acme/dev-qa/shared","outcomes":{"applied":2,"rejected":1},"time":1767225600},
//	 "said":1,"since":1767225600,"state":"retrying",
//	 "taken":{"acme/dev-qa/shared":{"epoch":1,"root":"sha256:…","size":12}},"term":3,"tried":2}
type pushCursor struct {
	Format   string                     `json:"format"`
	Problem  string                     `json:"problem,omitempty"`
	Receipts *PushReceipts              `json:"receipts,omitempty"`
	Said     int                        `json:"said"`            // of the record that it belongs to
	Since    int64                      `json:"since,omitempty"` // none: nothing was tried yet
	State    string                     `json:"state,omitempty"` // Retrying or Failed; none for Pushed
	Taken    map[feed.ID]feedhttp.Taken `json:"taken,omitempty"`
	Term     int64                      `json:"term"`
	Tried    int                        `json:"tried,omitempty"`
}

const (
	pushListKey    = "push/list"
	pushListFormat = "airlock-push-list 1"
	pushFormat     = "airlock-push 1"

	maxPushList   = 1 << 20
	maxPushCursor = 4 << 20
	maxPushFeeds  = 16384 // of one push
	maxPushURL    = 1000  // bytes
	maxProblem    = 1000  // bytes
)

func pushKey(id string) string { return "push/" + id }

func parsePushList(raw []byte) (*pushList, error) {
	if raw == nil {
		return &pushList{pushListFormat, []pushRecord{}}, nil
	}
	l := &pushList{}
	err := checkFormat(pushListKey, raw, pushListFormat)
	if err == nil {
		err = parseDocument(raw, maxPushList, l, &l.Format, pushListFormat)
	}
	for i, p := range l.Pushes {
		if err == nil {
			err = p.check()
		}
		if err == nil && i > 0 && l.Pushes[i-1].compare(p) >= 0 {
			err = fmt.Errorf("pushes[%d]: is not after the one before", i)
		}
	}
	if err != nil {
		return nil, fmt.Errorf("store: %s: %w", pushListKey, err)
	}
	return l, nil
}

func (l *pushList) format() ([]byte, error) {
	raw, err := signing.MarshalCanonical(l)
	if err == nil && len(raw) > maxPushList {
		err = &feedhttp.RequestError{Why: fmt.Sprintf("push: the list would have %d bytes, at most %d are allowed", len(raw), maxPushList)}
	}
	return raw, err
}

func (p pushRecord) compare(other pushRecord) int {
	return strings.Compare(p.Space+" "+p.URL, other.Space+" "+other.URL)
}

func (p pushRecord) check() error {
	if len(p.ID) != tokenIDSize || strings.Trim(p.ID, tokenAlphabet) != "" || p.Said < 1 || p.Added < 0 || p.Added > maxSeconds {
		return fmt.Errorf("push %.40q: want an id of %d letters and digits, when and how often it was added", p.ID, tokenIDSize)
	}
	if _, err := trust.ParseSpace(p.Space); err != nil {
		return err
	}
	if len(p.Feeds) < 1 || len(p.Feeds) > maxScope || !slices.IsSorted(p.Feeds) || len(slices.Compact(slices.Clone(p.Feeds))) < len(p.Feeds) {
		return fmt.Errorf("%d feeds, want 1 to %d, sorted and each once", len(p.Feeds), maxScope)
	}
	return CheckPushURL(p.URL)
}

// CheckPushURL checks the URL of an inbox: https, or http to a loopback address by its
// number. A name could come to mean another machine, and what is pushed would be read
// on the way.
func CheckPushURL(text string) error {
	u, err := url.Parse(text)
	if err != nil || len(text) > maxPushURL || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		return fmt.Errorf("url %.200q: want https://HOST:PORT", text)
	}
	a, err := netip.ParseAddr(u.Hostname())
	if u.Scheme != "https" && (u.Scheme != "http" || err != nil || !a.Unmap().IsLoopback()) {
		return fmt.Errorf("url %.200q: want https, or http to a loopback address of this machine", text)
	}
	return nil
}

func parsePushCursor(id string, raw []byte) (*pushCursor, error) {
	c := &pushCursor{}
	err := checkFormat(pushKey(id), raw, pushFormat)
	if err == nil {
		err = parseDocument(raw, maxPushCursor, c, &c.Format, pushFormat)
	}
	if err == nil {
		err = c.check()
	}
	if err != nil {
		return nil, fmt.Errorf("store: %s: %w", pushKey(id), err)
	}
	return c, nil
}

func (c *pushCursor) check() error {
	if c.State != "" && c.State != Retrying && c.State != Failed || (c.State == "") != (c.Problem == "") || c.Term < 0 || c.Tried < 0 || c.Since < 0 || c.Since > maxSeconds {
		return fmt.Errorf("state %.40q with problem %.40q, term %d, %d attempts since %d", c.State, c.Problem, c.Term, c.Tried, c.Since)
	}
	if err := signing.CheckText(c.Problem, maxProblem); err != nil {
		return fmt.Errorf("problem: %w", err)
	}
	if len(c.Taken) > maxPushFeeds {
		return fmt.Errorf("%d feeds, at most %d are pushed", len(c.Taken), maxPushFeeds)
	}
	for id, t := range c.Taken {
		if t.Size < 0 {
			return fmt.Errorf("feed %s: %d entries", id, t.Size)
		}
	}
	if c.Receipts != nil {
		return c.Receipts.check()
	}
	return nil
}

// state is how the push stands.
func (c *pushCursor) state() string {
	switch {
	case c.State != "":
		return c.State
	case c.Since == 0:
		return Untried
	}
	return Pushed
}

func (c *pushCursor) format() ([]byte, error) {
	if err := c.check(); err != nil {
		return nil, err
	}
	raw, err := signing.MarshalCanonical(c)
	if err == nil && len(raw) > maxPushCursor {
		err = fmt.Errorf("%d bytes, at most %d are allowed", len(raw), maxPushCursor)
	}
	return raw, err
}
