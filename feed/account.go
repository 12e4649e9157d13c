package feed

import (
	"cmp"
	"fmt"
	"slices"

	"airlock/signing"
	"airlock/storage"
	"airlock/trust"
)

// Bounds of an Account.
const (
	MaxAccount = 64 << 20 // bytes
	// MaxHeld bounds the packages of all feeds together: what a home can keep a
	// record of.
	MaxHeld         = 200_000
	maxAccountFeeds = 1000
)

const (
	accountVersion = "airlock.example/v1"
	accountKind    = "Holdings"
)

// Account is the document that holdings speak of: where a Space stands in the
// feeds that it knows, and what it holds of those that it follows. In the base
// of a bundle the receiver's account says what need not travel again.
//
// It is canonical JSON (RFC 8785), testdata/account.json is one. Feeds stand in
// the order of their names, packages in that of kind, name and version; nothing
// stands there twice. The checkpoint of each feed is the signed note as it was
// seen: two Spaces that hold different ones of a size prove a fork.
//
// Of its own feeds a Space says the checkpoint alone: what is live there is in
// the feed itself.
type Account struct {
	APIVersion string        `json:"apiVersion"` // "airlock.example/v1"
	Feeds      []FeedAccount `json:"feeds"`      // 1 to 1000
	Kind       string        `json:"kind"`       // "Holdings"
	Lineage    trust.Lineage `json:"lineage"`
	Space      string        `json:"space"` // "<organisation>/<space>"
	Time       string        `json:"time"`  // as in Holdings
}

// FeedAccount is where a Space stands in one feed.
type FeedAccount struct {
	Epoch   uint64        `json:"epoch"`
	Feed    ID            `json:"feed"`
	Lineage trust.Lineage `json:"lineage"` // of the feed's Space
	// Live lists the packages that the Space holds and that count at the
	// checkpoint, Withdrawn those that it still holds though they do not.
	Live []Held `json:"live,omitempty"`
	Note string `json:"note"` // the checkpoint that was accepted, verbatim
	// Withdrawn: see Live.
	Withdrawn []Held `json:"withdrawn,omitempty"`
}

// Held is a package that a Space has applied.
type Held struct {
	// Files is set where the package's files lie there unchanged, so that a
	// delta can be made against them. A program that was handed a package may
	// have kept none.
	Files    bool           `json:"files,omitempty"`
	Kind     string         `json:"kind"`
	Manifest storage.Digest `json:"manifest"`
	Name     string         `json:"name"`
	Version  string         `json:"version"`
}

// Ref returns the package.
func (h Held) Ref() Ref { return Ref{h.Kind, h.Name, h.Version} }

// Checkpoint returns the checkpoint that was seen, its signature not checked.
func (f FeedAccount) Checkpoint() Checkpoint {
	c, _ := ParseCheckpoint([]byte(f.Note)) // parsed with the account
	return c
}

// Feed returns the account of a feed; ok is false where there is none.
func (a *Account) Feed(lineage trust.Lineage, id ID) (f FeedAccount, ok bool) {
	i := slices.IndexFunc(a.Feeds, func(f FeedAccount) bool { return f.Feed == id && f.Lineage == lineage })
	if i < 0 {
		return f, false
	}
	return a.Feeds[i], true
}

// NewAccount returns the account of a Space, in order.
func NewAccount(space trust.Space, lineage trust.Lineage, time string, feeds []FeedAccount) *Account {
	slices.SortFunc(feeds, compareFeeds)
	for _, f := range feeds {
		slices.SortFunc(f.Live, compareHeld)
		slices.SortFunc(f.Withdrawn, compareHeld)
	}
	return &Account{APIVersion: accountVersion, Feeds: feeds, Kind: accountKind, Lineage: lineage, Space: space.String(), Time: time}
}

func compareFeeds(a, b FeedAccount) int {
	return cmp.Or(cmp.Compare(a.Feed.String(), b.Feed.String()), cmp.Compare(a.Lineage.String(), b.Lineage.String()))
}

func compareHeld(a, b Held) int {
	return cmp.Or(cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Name, b.Name), cmp.Compare(a.Version, b.Version))
}

// ParseAccount reads the bytes that Format writes.
func ParseAccount(b []byte) (*Account, error) {
	if len(b) > MaxAccount {
		return nil, fmt.Errorf("holdings: %d bytes, at most %d are allowed", len(b), int64(MaxAccount))
	}
	a := new(Account)
	if err := signing.UnmarshalCanonical(b, a); err != nil {
		return nil, fmt.Errorf("holdings: %w", err)
	}
	return a, a.check()
}

// Format checks a and returns its bytes.
func (a *Account) Format() ([]byte, error) {
	if err := a.check(); err != nil {
		return nil, err
	}
	b, err := signing.MarshalCanonical(a)
	if err == nil && len(b) > MaxAccount {
		err = fmt.Errorf("holdings: %d bytes, at most %d are allowed", len(b), int64(MaxAccount))
	}
	return b, err
}

func (a *Account) check() error {
	if a.APIVersion != accountVersion || a.Kind != accountKind {
		return fmt.Errorf("holdings: is %.60q %.60q, want %q %q", a.APIVersion, a.Kind, accountVersion, accountKind)
	}
	if s, err := trust.ParseSpace(a.Space); err != nil || s.String() != a.Space {
		return fmt.Errorf("holdings: space %.150q: want <organisation>/<space>", a.Space)
	}
	if _, err := signing.ParseTime(a.Time); err != nil {
		return fmt.Errorf("holdings: time: %w", err)
	}
	if len(a.Feeds) < 1 || len(a.Feeds) > maxAccountFeeds {
		return fmt.Errorf("holdings: %d feeds, want 1 to %d", len(a.Feeds), maxAccountFeeds)
	}
	held := 0
	for i, f := range a.Feeds {
		if i > 0 && compareFeeds(a.Feeds[i-1], f) >= 0 {
			return fmt.Errorf("holdings: feeds[%d]: %s is not in order, or twice", i, f.Feed)
		}
		if err := f.check(f.Lineage == a.Lineage); err != nil {
			return fmt.Errorf("holdings: feeds[%d]: %s: %w", i, f.Feed, err)
		}
		held += len(f.Live) + len(f.Withdrawn)
	}
	if held > MaxHeld {
		return fmt.Errorf("holdings: %d packages, at most %d are allowed", held, MaxHeld)
	}
	return nil
}

func (f FeedAccount) check(own bool) error {
	c, err := ParseCheckpoint([]byte(f.Note))
	if err != nil {
		return err
	}
	if c.Origin != f.Feed.Origin(f.Epoch) {
		return fmt.Errorf("checkpoint is of %.200q, not of %s", c.Origin, f.Feed.Origin(f.Epoch))
	}
	if own && len(f.Live)+len(f.Withdrawn) > 0 {
		return fmt.Errorf("lists packages of a feed of the Space itself")
	}
	seen := map[string]bool{}
	for name, list := range map[string][]Held{"live": f.Live, "withdrawn": f.Withdrawn} {
		for i, h := range list {
			if err := h.Ref().Check(); err != nil {
				return fmt.Errorf("%s[%d]: %w", name, i, err)
			}
			if i > 0 && compareHeld(list[i-1], h) >= 0 || seen[versionKey(h.Ref())] {
				return fmt.Errorf("%s[%d]: %s is not in order, or twice", name, i, h.Ref())
			}
			seen[versionKey(h.Ref())] = true
		}
	}
	return nil
}
