package server

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"airlock/feed"
	"airlock/feed/feedhttp"
	"airlock/signing"
	"airlock/storage"
	"airlock/trust"
)

// What the operator says of Spaces lies in 64 cells of the store, access/00 to
// access/63, and what belongs to no Space in access/common. A Space is in the
// cell whose number is the first byte of the SHA-256 of its name, modulo 64. A
// cell that is not there is empty.
//
// A cell is canonical JSON (signing.MarshalCanonical), at most maxAccess bytes:
//
//	{"format":"airlock-access 1",
//	 "spaces":{"acme/dev-qa":{
//	   "audiences":{"shared":{"groups":["live"],"spaces":["acme/audit"]}},
//	   "bounds":{"shared":{"groups":["live"]}},
//	   "dismissed":true,
//	   "groups":["test"],
//	   "identity":3,
//	   "quota":{"bytes":10737418240,"packages":1000,"requests":50},
//	   "tokens":[{"feeds":["acme/*/shared"],"hash":"sha256:…","id":"07…","made":1767225600,"note":"agent","until":1775001600}]}},
//	 "tokens":[…]}
//
// Members without a value are left out; lists are sorted and hold nothing
// twice. Times are seconds since 1970. Tokens outside of spaces are those of
// administrators, and stand in access/common alone.
type accessBucket struct {
	Format string                  `json:"format"`
	Spaces map[string]*spaceAccess `json:"spaces,omitempty"`
	Tokens []tokenRecord           `json:"tokens,omitempty"`
}

// spaceAccess is what the operator says of a Space.
type spaceAccess struct {
	// Audiences are what it says of who reads its feeds, by their last name; left
	// out where that is DefaultAudience, and the operator says nothing.
	Audiences map[string]feedhttp.Audience `json:"audiences,omitempty"`
	// Bounds are what the operator says of the same; left out where that is all,
	// but of feeds that name people.
	Bounds    map[string]feedhttp.Audience `json:"bounds,omitempty"`
	Dismissed bool                         `json:"dismissed,omitempty"`
	Groups    []string                     `json:"groups,omitempty"`   // in which it is
	Identity  int                          `json:"identity,omitempty"` // newest version that is known, where it is not that of the admission
	Quota     *Quota                       `json:"quota,omitempty"`
	Tokens    []tokenRecord                `json:"tokens,omitempty"`
}

// said reports whether anything is said.
func (s *spaceAccess) said() bool {
	return s.Dismissed || s.Identity > 0 || s.Quota != nil || len(s.Audiences)+len(s.Bounds)+len(s.Groups)+len(s.Tokens) > 0
}

// tokenRecord is a token as the store knows it.
type tokenRecord struct {
	Feeds []feed.Pattern `json:"feeds,omitempty"`
	Hash  storage.Digest `json:"hash"` // of the whole token
	ID    string         `json:"id"`
	Made  int64          `json:"made"`
	Note  string         `json:"note,omitempty"`
	Until int64          `json:"until"`
}

const accessFormat = "airlock-access 1"

// Bounds of a bucket.
const (
	maxAccess  = 4 << 20 // bytes of a cell
	maxTokens  = 100     // of one Space, or of administrators
	maxGroups  = 100     // of one Space
	maxFeeds   = 1000    // of one Space with an audience of their own
	maxScope   = 32      // patterns of a token
	maxNote    = 200     // bytes
	maxSeconds = 1 << 40 // a time
)

const (
	accessBuckets = 64
	commonBucket  = accessBuckets // the number of access/common
	allBuckets    = accessBuckets + 1
)

// bucketOf returns the number of the bucket that holds a Space.
func bucketOf(s trust.Space) int {
	sum := sha256.Sum256([]byte(s.String()))
	return int(sum[0]) % accessBuckets
}

func bucketKey(n int) string {
	if n == commonBucket {
		return "access/common"
	}
	return fmt.Sprintf("access/%02d", n)
}

// space returns what is said of a Space, nil where that is nothing.
func (b *accessBucket) space(s trust.Space) *spaceAccess { return b.Spaces[s.String()] }

// edit returns what is said of a Space, to be changed.
func (b *accessBucket) edit(s trust.Space) *spaceAccess {
	if b.Spaces == nil {
		b.Spaces = map[string]*spaceAccess{}
	}
	if b.Spaces[s.String()] == nil {
		b.Spaces[s.String()] = &spaceAccess{}
	}
	return b.Spaces[s.String()]
}

// format drops what says nothing, and returns the bytes of bucket n.
func (b *accessBucket) format(n int) ([]byte, error) {
	b.Format = accessFormat
	for name, s := range b.Spaces {
		if !s.said() {
			delete(b.Spaces, name)
		}
	}
	if err := b.check(n); err != nil {
		return nil, err
	}
	out, err := signing.MarshalCanonical(b)
	if err == nil && len(out) > maxAccess {
		err = &feedhttp.LimitError{What: bucketKey(n), Max: maxAccess}
	}
	return out, err
}

// parseBucket reads bucket n; empty bytes are an empty one.
func parseBucket(n int, raw []byte) (*accessBucket, error) {
	if len(raw) == 0 {
		return &accessBucket{Format: accessFormat}, nil
	}
	if len(raw) > maxAccess {
		return nil, fmt.Errorf("store: %s: %d bytes, at most %d are allowed", bucketKey(n), len(raw), maxAccess)
	}
	if err := checkFormat(bucketKey(n), raw, accessFormat); err != nil {
		return nil, err
	}
	b := &accessBucket{}
	err := signing.UnmarshalCanonical(raw, b)
	if err == nil {
		err = b.check(n)
	}
	if err != nil {
		return nil, fmt.Errorf("store: %s: %w", bucketKey(n), err)
	}
	return b, nil
}

// checkFormat refuses a cell of another version than ours, whatever else it
// says: the format is the first member of each.
func checkFormat(key string, raw []byte, format string) error {
	if want := `{"format":"` + format + `"`; !strings.HasPrefix(string(raw), want) {
		return &storage.FormatError{Where: key, Got: string(raw[:min(len(raw), 60)]), Want: want}
	}
	return nil
}

// check holds what is said at accessBucket.
func (b *accessBucket) check(n int) error {
	if n != commonBucket && len(b.Tokens) > 0 {
		return fmt.Errorf("tokens of administrators stand in %s", bucketKey(commonBucket))
	}
	if err := checkTokens(n, b.Tokens); err != nil {
		return err
	}
	for name, s := range b.Spaces {
		space, err := trust.ParseSpace(name)
		if err != nil || space.String() != name {
			return fmt.Errorf("space %.150q: want <organisation>/<space>", name)
		}
		if n == commonBucket || bucketOf(space) != n || !s.said() {
			return fmt.Errorf("space %s: stands in another cell, or says nothing", space)
		}
		if err := s.check(n, space); err != nil {
			return fmt.Errorf("space %s: %w", space, err)
		}
	}
	return nil
}

func (s *spaceAccess) check(n int, space trust.Space) error {
	if s.Identity < 0 {
		return fmt.Errorf("identity version %d", s.Identity)
	}
	if n := max(len(s.Audiences), len(s.Bounds)); len(s.Groups) > maxGroups || n > maxFeeds {
		return fmt.Errorf("in %d groups, and %d feeds with an audience; at most %d and %d are allowed", len(s.Groups), n, maxGroups, maxFeeds)
	}
	for i, group := range s.Groups {
		if err := trust.CheckLabel(group); err != nil {
			return fmt.Errorf("group: %w", err)
		}
		if i > 0 && s.Groups[i-1] >= group {
			return fmt.Errorf("group %s: not in order, or twice", group)
		}
	}
	if s.Quota != nil {
		if err := s.Quota.check(); err != nil || *s.Quota == (Quota{}) {
			return errors.Join(err, errors.New("quota: of nothing is left out"))
		}
	}
	for _, said := range []map[string]feedhttp.Audience{s.Audiences, s.Bounds} {
		for name, a := range said {
			if err := errors.Join(trust.CheckLabel(name), a.Check()); err != nil {
				return fmt.Errorf("feed %.80q: %w", name, err)
			}
			if id := (feed.ID{Space: space, Name: name}); s.tidied(id) {
				return fmt.Errorf("feed %s: its audience is what it is without a word", id)
			}
		}
	}
	return checkTokens(n, s.Tokens)
}

// tidied drops what is said of who reads a feed and says nothing, and reports
// whether there was any.
func (s *spaceAccess) tidied(id feed.ID) bool {
	before := len(s.Audiences) + len(s.Bounds)
	if b := s.Bounds[id.Name]; b.All && !id.NamesPeople() {
		delete(s.Bounds, id.Name)
	}
	_, bound := s.Bounds[id.Name]
	if a, said := s.Audiences[id.Name]; said && !bound && a.Equal(feedhttp.DefaultAudience(id)) {
		delete(s.Audiences, id.Name)
	}
	return len(s.Audiences)+len(s.Bounds) < before
}

// readers returns who may read a feed.
func (s *spaceAccess) readers(id feed.ID) feedhttp.Readers {
	var own, bound *feedhttp.Audience
	if a, ok := s.Audiences[id.Name]; ok {
		own = &a
	}
	if a, ok := s.Bounds[id.Name]; ok {
		bound = &a
	}
	return feedhttp.NewReaders(id, own, bound)
}

func checkTokens(n int, tokens []tokenRecord) error {
	if len(tokens) > maxTokens {
		return fmt.Errorf("%d tokens, at most %d are allowed: revoke some", len(tokens), maxTokens)
	}
	for i, t := range tokens {
		if err := t.check(n); err != nil {
			return fmt.Errorf("token %.20q: %w", t.ID, err)
		}
		if i > 0 && tokens[i-1].ID >= t.ID {
			return fmt.Errorf("token %q: not in order, or twice", t.ID)
		}
	}
	return nil
}

func (t *tokenRecord) check(n int) error {
	switch {
	case len(t.ID) != tokenIDSize || strings.Trim(t.ID, tokenAlphabet) != "" || t.ID[:2] != fmt.Sprintf("%02d", n):
		return fmt.Errorf("id: want %d characters, the first two %02d", tokenIDSize, n)
	case t.Hash.IsZero():
		return fmt.Errorf("hash: is missing")
	case t.Made < 0 || t.Until <= t.Made || t.Until > maxSeconds:
		return fmt.Errorf("made at second %d, until %d: want times in order", t.Made, t.Until)
	case len(t.Feeds) > maxScope:
		return fmt.Errorf("%d patterns of feeds, at most %d are allowed", len(t.Feeds), maxScope)
	case !slices.IsSorted(t.Feeds) || len(slices.Compact(slices.Clone(t.Feeds))) != len(t.Feeds):
		return fmt.Errorf("patterns of feeds: not in order, or twice")
	}
	if err := signing.CheckText(t.Note, maxNote); err != nil {
		return fmt.Errorf("note: %w", err)
	}
	return nil
}

func sortTokens(tokens []tokenRecord) {
	slices.SortFunc(tokens, func(a, b tokenRecord) int { return strings.Compare(a.ID, b.ID) })
}

func fromSeconds(s int64) time.Time { return time.Unix(s, 0).UTC() }
