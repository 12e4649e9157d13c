package server

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"time"

	"airlock/feed"
	"airlock/feed/feedhttp"
	"airlock/signing"
	"airlock/trust"
)

// Push is what is to be pushed to the inbox of a Space, and how that stands.
type Push struct {
	ID    string
	Space trust.Space
	// URL is where the inbox is: https, or http on the servers' own machine.
	URL string
	// Feeds are the patterns of the feeds; the Space's audience bounds them.
	Feeds []feed.Pattern
	Added time.Time // whole seconds, UTC

	State    string // one of those below
	Problem  string // why it is not Pushed
	Since    time.Time
	Attempts int                        // since then
	Taken    map[feed.ID]feedhttp.Taken // what the inbox has, by its own word
}

// The states of a Push.
const (
	Pushed   = "pushed"   // all that was tried came in
	Retrying = "retrying" // the last attempt failed, and another follows
	Failed   = "failed"   // given up
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

// pushCursor is how a push stands, in the cell push/<id>: canonical JSON, at most
// maxPushCursor bytes. Only who holds the lease writes it, with its term; see lease.
//
//	{"format":"airlock-push 1","problem":"…","said":1,"since":1767225600,"state":"retrying",
//	 "taken":{"acme/dev-qa/shared":{"epoch":1,"root":"sha256:…","size":12}},"term":3,"tried":2}
type pushCursor struct {
	Format  string                     `json:"format"`
	Problem string                     `json:"problem,omitempty"`
	Said    int                        `json:"said"` // of the record that it belongs to
	Since   int64                      `json:"since,omitempty"`
	State   string                     `json:"state,omitempty"` // Retrying or Failed
	Taken   map[feed.ID]feedhttp.Taken `json:"taken,omitempty"`
	Term    int64                      `json:"term"`
	Tried   int                        `json:"tried,omitempty"`
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
	return checkPushURL(p.URL)
}

// checkPushURL wants https, or http to a loopback address by its number: a name
// could come to mean another machine, and what is pushed would be read on the way.
func checkPushURL(text string) error {
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
	return nil
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

// AddPush has feeds pushed to a Space, which must be admitted. Where its URL is
// there already the feeds are those given now, and what was given up is tried
// again. Administrators may.
func (s *Server) AddPush(ctx context.Context, c feedhttp.Caller, p Push) (Push, error) {
	made, err := s.addPush(ctx, c, p)
	s.audit(ctx, c, "push add", p.Space.String(), err, "url", p.URL, "push", made.ID)
	return made, err
}

func (s *Server) addPush(ctx context.Context, c feedhttp.Caller, p Push) (Push, error) {
	if err := mayAdminister(c); err != nil {
		return Push{}, err
	}
	if _, err := s.admitted(ctx, p.Space); err != nil {
		return Push{}, err
	}
	record := pushRecord{Added: s.config.Now().Unix(), Feeds: slices.Compact(slices.Sorted(slices.Values(p.Feeds))),
		ID: strings.ToLower(rand.Text())[:tokenIDSize], Said: 1, Space: p.Space.String(), URL: strings.TrimRight(p.URL, "/")}
	if err := record.check(); err != nil {
		return Push{}, &feedhttp.RequestError{Why: "push: " + err.Error()}
	}
	err := s.changePushes(ctx, func(l *pushList) error {
		at, there := slices.BinarySearchFunc(l.Pushes, record, pushRecord.compare)
		if there {
			record.ID, record.Said = l.Pushes[at].ID, l.Pushes[at].Said+1
			l.Pushes[at] = record
		} else {
			l.Pushes = slices.Insert(l.Pushes, at, record)
		}
		return nil
	})
	return record.push(), err
}

// RemovePush ends a push. One that is not there is fs.ErrNotExist. Administrators
// may.
func (s *Server) RemovePush(ctx context.Context, c feedhttp.Caller, id string) error {
	err := mayAdminister(c)
	if found := false; err == nil {
		err = s.changePushes(ctx, func(l *pushList) error {
			at := slices.IndexFunc(l.Pushes, func(p pushRecord) bool { return p.ID == id })
			if at < 0 && !found { // the answer to the swap may have been lost
				return fmt.Errorf("push %.40q: %w", id, fs.ErrNotExist)
			}
			if found = true; at >= 0 {
				l.Pushes = slices.Delete(l.Pushes, at, at+1)
			}
			return nil
		})
	}
	s.audit(ctx, c, "push remove", id, err)
	return err
}

// Pushes returns what is pushed, by Space and URL. Administrators may.
func (s *Server) Pushes(ctx context.Context, c feedhttp.Caller) ([]Push, error) {
	if err := mayAdminister(c); err != nil {
		return nil, err
	}
	l, _, err := s.pushes(ctx)
	if err != nil {
		return nil, err
	}
	var out []Push
	for _, record := range l.Pushes {
		cur, _, err := s.pushCursor(ctx, record)
		if err != nil {
			return nil, err
		}
		p := record.push()
		p.Problem, p.Attempts, p.Taken = cur.Problem, cur.Tried, cur.Taken
		if cur.State != "" {
			p.State, p.Since = cur.State, fromSeconds(cur.Since)
		}
		out = append(out, p)
	}
	return out, nil
}

func (p pushRecord) push() Push {
	space, _ := trust.ParseSpace(p.Space) // it was checked
	return Push{ID: p.ID, Space: space, URL: p.URL, Feeds: p.Feeds, Added: fromSeconds(p.Added), State: Pushed}
}

// pushes reads the list.
func (s *Server) pushes(ctx context.Context) (*pushList, string, error) {
	raw, tag, err := s.config.Store.Cells.Load(ctx, pushListKey)
	if errors.Is(err, fs.ErrNotExist) {
		raw, tag, err = nil, "", nil
	}
	if err != nil {
		return nil, "", err
	}
	l, err := parsePushList(raw)
	return l, tag, err
}

// pushCursor reads how a push stands. What was said of an earlier one of the same
// id, other than what the inbox has, does not count.
func (s *Server) pushCursor(ctx context.Context, p pushRecord) (*pushCursor, string, error) {
	raw, tag, err := s.config.Store.Cells.Load(ctx, pushKey(p.ID))
	if errors.Is(err, fs.ErrNotExist) {
		return &pushCursor{Format: pushFormat, Said: p.Said}, "", nil
	}
	if err != nil {
		return nil, "", err
	}
	c, err := parsePushCursor(p.ID, raw)
	if err == nil && c.Said != p.Said {
		c.Said, c.State, c.Problem, c.Since, c.Tried = p.Said, "", "", 0, 0
	}
	return c, tag, err
}

// changePushes changes the list; edit is called again where another writer was
// faster.
func (s *Server) changePushes(ctx context.Context, edit func(*pushList) error) error {
	return retrySwap(func() error {
		l, tag, err := s.pushes(ctx)
		if err != nil {
			return err
		}
		before, err := l.format()
		if err == nil {
			err = edit(l)
		}
		if err != nil {
			return err
		}
		next, err := l.format()
		if err != nil || bytes.Equal(before, next) {
			return err
		}
		_, err = s.config.Store.Cells.Swap(ctx, pushListKey, tag, next)
		return err
	})
}
