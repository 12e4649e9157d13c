package home

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"

	"airlock/feed/kind"
	"airlock/storage"
)

// What an agent takes by itself is in a file for each subscription, which people
// edit:
//
//	subscriptions/<name>.yaml
//
// Beside them lies agent.lock, which an agent holds as long as it works.

// Subscribed is the file of a subscription.
type Subscribed struct {
	Name, File string
	Digest     storage.Digest // of the file; zero where it cannot be read
	kind.Subscription
	Err error // why it cannot be followed; the Subscription is empty then
}

const subscriptionSuffix = ".yaml"

// SubscriptionFile is where a subscription lies.
func (h *Home) SubscriptionFile(name string) string {
	return h.file("subscriptions", name+subscriptionSuffix)
}

// Subscriptions returns all subscriptions, in order of their names. One that
// cannot be read says why; the others stand.
func (h *Home) Subscriptions() ([]Subscribed, error) {
	entries, err := os.ReadDir(h.file("subscriptions"))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	var out []Subscribed
	for _, e := range entries {
		name, ok := strings.CutSuffix(e.Name(), subscriptionSuffix)
		if !ok || e.IsDir() || strings.HasPrefix(name, ".") {
			continue // a file that is being written, or none of ours
		}
		s := Subscribed{Name: name, File: h.SubscriptionFile(name)}
		s.read()
		if s.Err == nil && s.Subscription.Name != name {
			s.Err = &kind.Error{File: s.File, Field: "name", Want: fmt.Sprintf("%q as the file is called", name), Got: fmt.Sprintf("%q", s.Subscription.Name)}
		}
		out = append(out, s)
	}
	return out, err
}

// ReadSubscription reads the file of a subscription, wherever it lies.
func ReadSubscription(file string) Subscribed {
	s := Subscribed{File: file}
	s.read()
	s.Name = s.Subscription.Name
	return s
}

func (s *Subscribed) read() {
	text, err := ReadFile(s.File, kind.MaxSubscription)
	if s.Err = err; err == nil {
		s.Digest = storage.DigestOf(text)
		s.Subscription, s.Err = kind.ParseSubscription(s.File, text)
	}
}

// AddSubscription writes a new subscription; fs.ErrExist where there is one of
// that name.
func (h *Home) AddSubscription(name string, text []byte) error {
	if err := os.MkdirAll(h.file("subscriptions"), 0o700); err != nil {
		return err
	}
	return storage.CreateFile(h.SubscriptionFile(name), text, 0o600)
}

// RemoveSubscription ends one of the Subscriptions. What was taken stays where it
// is.
func (h *Home) RemoveSubscription(name string) error { return os.Remove(h.SubscriptionFile(name)) }

// ErrAgent reports a home with which an agent works already.
var ErrAgent = errors.New("an agent works with this home already")

// LockAgent makes this process the agent of the home until release; ErrAgent where
// another one is.
func (h *Home) LockAgent() (release func(), err error) {
	// The file stays: removing it while another process opens it would split the
	// lock in two.
	f, err := os.OpenFile(h.file("agent.lock"), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	taken, err := storage.TryLockFile(f)
	if err == nil && !taken {
		err = fmt.Errorf("%s: %w", h.path, ErrAgent)
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return func() { _ = f.Close() }, nil
}
