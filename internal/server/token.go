package server

import (
	"context"
	"crypto/rand"
	"fmt"
	"io/fs"
	"slices"
	"strconv"
	"strings"
	"time"

	"airlock/feed"
	"airlock/feed/feedhttp"
	"airlock/signing"
	"airlock/storage"
	"airlock/trust"
)

// A token is "airlock_<id>_<secret>". The id, which is no secret, is the number
// of the bucket that knows the token, two digits, and 50 random bits; the secret
// is 130 random bits. The store holds the SHA-256 of the whole.
const (
	tokenPrefix   = "airlock"
	tokenIDSize   = 12
	tokenAlphabet = "abcdefghijklmnopqrstuvwxyz0123456789"
)

// Token is what the operator knows of a token: everything but the secret.
type Token struct {
	ID    string
	Space trust.Space // zero for one of administrators
	// Feeds are the patterns of the feeds for which it is good; nil for all.
	Feeds []feed.Pattern
	// Made and Until are whole seconds, UTC.
	Made, Until time.Time
	Note        string
}

// tokenHolder is a token, and whose.
type tokenHolder struct {
	*tokenRecord
	space     trust.Space
	dismissed bool
}

// holders returns all tokens of a bucket by the digest of the token.
func (b *accessBucket) holders() map[storage.Digest]tokenHolder {
	out := map[storage.Digest]tokenHolder{}
	for i := range b.Tokens {
		out[b.Tokens[i].Hash] = tokenHolder{tokenRecord: &b.Tokens[i]}
	}
	for name, s := range b.Spaces {
		space, _ := trust.ParseSpace(name) // the bucket was checked
		for i := range s.Tokens {
			out[s.Tokens[i].Hash] = tokenHolder{&s.Tokens[i], space, s.Dismissed}
		}
	}
	return out
}

func (h tokenHolder) token() Token {
	return Token{h.ID, h.space, h.Feeds, fromSeconds(h.Made), fromSeconds(h.Until), h.Note}
}

// newToken makes a token that bucket n is to know.
func newToken(n int) (id, token string) {
	random := strings.ToLower(rand.Text())
	id = fmt.Sprintf("%02d%s", n, random[:tokenIDSize-2])
	return id, strings.Join([]string{tokenPrefix, id, strings.ToLower(rand.Text())}, "_")
}

// tokenBucket returns the number of the bucket that knows a token, by its id.
func tokenBucket(id string) (n int, ok bool) {
	if len(id) != tokenIDSize || strings.Trim(id, tokenAlphabet) != "" {
		return 0, false
	}
	n, err := strconv.Atoi(id[:2])
	return n, err == nil && n < allBuckets
}

// byToken identifies a caller by its token.
func (s *Server) byToken(ctx context.Context, text string) (feedhttp.Caller, error) {
	parts := strings.Split(text, "_")
	if len(parts) != 3 || parts[0] != tokenPrefix {
		return feedhttp.Caller{}, errUnknownToken
	}
	n, ok := tokenBucket(parts[1])
	if !ok {
		return feedhttp.Caller{}, errUnknownToken
	}
	changed := s.access.view.Load().changed // before the bucket, so that no change is missed
	b, err := s.access.bucket(ctx, n)
	if err != nil {
		return feedhttp.Caller{}, fmt.Errorf("who asks cannot be found out: %w: %w", storage.ErrAway, err)
	}
	h, ok := b.tokens[storage.DigestOf([]byte(text))]
	switch {
	case !ok:
		return feedhttp.Caller{}, errUnknownToken
	case h.dismissed:
		return feedhttp.Caller{}, fmt.Errorf("%w: %s is not admitted here any more", feedhttp.ErrUnauthorized, h.space)
	case !s.config.Now().Before(fromSeconds(h.Until)):
		return feedhttp.Caller{}, fmt.Errorf("%w: token %s ended on %s", feedhttp.ErrUnauthorized, h.ID, fromSeconds(h.Until).Format(time.DateTime))
	}
	c := feedhttp.Caller{Role: feedhttp.Enrolled, Space: h.space, Credential: "token " + h.ID, Feeds: h.Feeds, Until: fromSeconds(h.Until), Changed: changed}
	if h.space == (trust.Space{}) {
		c.Role = feedhttp.Administrator
	}
	return c, nil
}

var errUnknownToken = fmt.Errorf("%w: this token is not known here, or was revoked", feedhttp.ErrUnauthorized)

// AddToken makes a token for t.Space, which must be admitted, or for an
// administrator, good for t.Feeds until t.Until. It returns what the operator
// knows of it and, this once, the token. Administrators may.
func (s *Server) AddToken(ctx context.Context, c feedhttp.Caller, t Token) (Token, string, error) {
	made, text, err := s.addToken(ctx, c, t)
	s.audit(ctx, c, "token add", ownerOf(t.Space), err, "token", made.ID, "until", signing.FormatTime(t.Until))
	return made, text, err
}

func (s *Server) addToken(ctx context.Context, c feedhttp.Caller, t Token) (made Token, text string, err error) {
	if err := mayAdminister(c); err != nil {
		return made, "", err
	}
	n := commonBucket
	if t.Space != (trust.Space{}) {
		if _, err := s.admitted(ctx, t.Space); err != nil {
			return made, "", err
		}
		n = bucketOf(t.Space)
	}
	id, text := newToken(n)
	feeds := slices.Compact(slices.Sorted(slices.Values(t.Feeds)))
	record := tokenRecord{Feeds: feeds, Hash: storage.DigestOf([]byte(text)), ID: id, Made: s.config.Now().Unix(), Note: t.Note, Until: t.Until.Unix()}
	if err := record.check(n); err != nil {
		return made, "", &feedhttp.RequestError{Why: "token: " + err.Error()}
	}
	err = s.access.change(ctx, n, func(b *accessBucket) error {
		tokens := &b.Tokens
		if n != commonBucket {
			tokens = &b.edit(t.Space).Tokens
		}
		// What ended long ago is of no interest to anybody; and an edit may be
		// tried again.
		*tokens = slices.DeleteFunc(*tokens, func(have tokenRecord) bool { return have.ID == id || have.Until < record.Made-keepEnded })
		*tokens = append(*tokens, record)
		sortTokens(*tokens)
		return nil
	})
	if err != nil {
		return made, "", err
	}
	return tokenHolder{tokenRecord: &record, space: t.Space}.token(), text, nil
}

// keepEnded is for how many seconds a token that ended is still listed.
const keepEnded = 30 * 24 * 3600

// Tokens returns all tokens that the store knows, those of administrators first.
func (s *Server) Tokens(ctx context.Context, c feedhttp.Caller) ([]Token, error) {
	if err := mayAdminister(c); err != nil {
		return nil, err
	}
	var out []Token
	for n := range allBuckets {
		b, err := s.access.newest(ctx, n)
		if err != nil {
			return nil, err
		}
		for _, h := range b.tokens {
			out = append(out, h.token())
		}
	}
	slices.SortFunc(out, func(a, b Token) int {
		return strings.Compare(a.Space.String()+" "+a.ID, b.Space.String()+" "+b.ID)
	})
	return out, nil
}

// RevokeToken makes a token worth nothing. One that is not known is
// fs.ErrNotExist. Administrators may.
func (s *Server) RevokeToken(ctx context.Context, c feedhttp.Caller, id string) (Token, error) {
	t, err := s.revokeToken(ctx, c, id)
	s.audit(ctx, c, "token revoke", ownerOf(t.Space), err, "token", id)
	return t, err
}

func (s *Server) revokeToken(ctx context.Context, c feedhttp.Caller, id string) (gone Token, err error) {
	if err := mayAdminister(c); err != nil {
		return gone, err
	}
	n, ok := tokenBucket(id)
	if !ok {
		return gone, errNoToken(id)
	}
	found := false
	err = s.access.change(ctx, n, func(b *accessBucket) error {
		for _, h := range b.holders() {
			if h.ID == id {
				gone, found = h.token(), true
			}
		}
		drop := func(t tokenRecord) bool { return t.ID == id }
		b.Tokens = slices.DeleteFunc(b.Tokens, drop)
		for _, of := range b.Spaces {
			of.Tokens = slices.DeleteFunc(of.Tokens, drop)
		}
		return nil
	})
	if err == nil && !found {
		err = errNoToken(id)
	}
	return gone, err
}

func errNoToken(id string) error { return fmt.Errorf("token %.40q: %w", id, fs.ErrNotExist) }

func ownerOf(s trust.Space) string {
	if s == (trust.Space{}) {
		return feedhttp.Caller{Role: feedhttp.Administrator}.String()
	}
	return s.String()
}
