package server

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"time"

	"airlock/feed"
	"airlock/feed/feedhttp"
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

	State    string                     // one of those below
	Problem  string                     // why it is Retrying or Failed
	Since    time.Time                  // that it is so; zero where it is Untried
	Attempts int                        // that failed since then
	Taken    map[feed.ID]feedhttp.Taken // what the inbox has, by its own word
	Receipts *PushReceipts              // nil where no answer had any
}

// The states of a Push.
const (
	Untried  = "untried"  // since it was said, nothing was tried yet
	Pushed   = "pushed"   // all that was tried came in
	Retrying = "retrying" // the last attempt failed, and another follows
	Failed   = "failed"   // given up
)

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
		p.State, p.Problem, p.Attempts, p.Taken, p.Receipts = cur.state(), cur.Problem, cur.Tried, cur.Taken, cur.Receipts
		if p.State != Untried {
			p.Since = fromSeconds(cur.Since)
		}
		out = append(out, p)
	}
	return out, nil
}

func (p pushRecord) push() Push {
	space, _ := trust.ParseSpace(p.Space) // it was checked
	return Push{ID: p.ID, Space: space, URL: p.URL, Feeds: p.Feeds, Added: fromSeconds(p.Added), State: Untried}
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
