package feed

import (
	"strings"

	"airlock/signing"
	"airlock/storage"
)

// fastPublication reads the predicate of nearly every publication in one pass
// and without reflection: a newcomer reads a million of them. What it does not
// take (escapes, and anything that is wrong) is for UnmarshalCanonical to
// judge; what it takes, that would take too.
func fastPublication(predicate []byte) (p Publication, ok bool) {
	c := cutter{rest: string(predicate), ok: true}
	c.literal("{")
	if c.skip(`"critical":true,`) {
		p.Critical = true
	}
	p.Epoch = c.number(`"epoch":`)
	feed := c.text(`,"feed":"`)
	p.Kind = c.text(`,"kind":"`)
	lineage := c.digest(`,"lineage":"`)
	p.ManifestSize = int64(c.number(`,"manifestSize":`))
	p.Name = c.text(`,"name":"`)
	if strings.HasPrefix(c.rest, `,"previous":`) {
		previous := signing.ID(c.digest(`,"previous":"`))
		p.Previous = &previous
	}
	p.Time = c.text(`,"time":"`)
	p.Title = c.text(`,"title":"`)
	p.Urgent = c.skip(`,"urgent":true`)
	p.Version = c.text(`,"version":"`)
	c.literal("}")
	if !c.ok || c.rest != "" {
		return p, false
	}
	var err error
	p.Feed, err = ParseID(feed)
	copy(p.Lineage[:], lineage[:])
	return p, err == nil
}

// cutter takes the parts of canonical JSON off the front of a text. Once one
// was missing ok is false and stays so.
type cutter struct {
	rest string
	ok   bool
}

func (c *cutter) literal(s string) { c.ok = c.ok && c.skip(s) }

func (c *cutter) skip(s string) (found bool) {
	c.rest, found = strings.CutPrefix(c.rest, s)
	return found
}

// text takes what stands behind before, up to the next quote. It takes printable
// ASCII without escapes only, of which there is one way to write it.
func (c *cutter) text(before string) string {
	c.literal(before)
	for i := range len(c.rest) {
		switch b := c.rest[i]; {
		case b == '"':
			out := c.rest[:i]
			c.rest = c.rest[i+1:]
			return out
		case b == '\\' || b < ' ' || b > '~':
			c.ok = false
			return ""
		}
	}
	c.ok = false
	return ""
}

// number takes a number of at most 15 digits.
func (c *cutter) number(before string) (n uint64) {
	c.literal(before)
	i := 0
	for ; i < len(c.rest) && i < 16 && '0' <= c.rest[i] && c.rest[i] <= '9'; i++ {
		n = n*10 + uint64(c.rest[i]-'0')
	}
	c.ok = c.ok && i > 0 && i < 16 && (c.rest[0] != '0' || i == 1)
	c.rest = c.rest[i:]
	return n
}

func (c *cutter) digest(before string) storage.Digest {
	text := c.text(before)
	if !c.ok {
		return storage.Digest{}
	}
	d, err := storage.ParseDigest(text)
	c.ok = err == nil
	return d
}
