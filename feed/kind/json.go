package kind

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// parseJSON reads one JSON value and nothing after it. encoding/json judges the
// syntax; the tree is then built from the bytes, which keeps what its decoder
// loses: places, and keys that are there twice.
func parseJSON(r *report, data []byte) *node {
	if !json.Valid(data) {
		at, want := len(data), "JSON that is well formed"
		var syntax *json.SyntaxError
		if errors.As(json.Unmarshal(data, new(any)), &syntax) {
			at = int(syntax.Offset) - 1
			want += " (" + syntax.Error() + ")"
		}
		r.at(place(data, at), "", want, "")
		return nil
	}
	r.data = data
	j := &jsonReader{r: r, data: data}
	return j.value()
}

// jsonReader builds the tree of valid JSON: each byte is what the grammar
// expects in its place.
type jsonReader struct {
	r     *report
	data  []byte
	pos   int
	trail trail
	count int
}

// next skips to the first byte of the next token and gives it.
func (j *jsonReader) next() byte {
	for {
		switch c := j.data[j.pos]; c {
		case ' ', '\t', '\r', '\n', ',', ':':
			j.pos++
		default:
			return c
		}
	}
}

func (j *jsonReader) value() *node {
	c := j.next()
	n := &node{offset: j.pos}
	if j.count++; len(j.trail) > maxDepth || j.count > maxNodes {
		j.r.at(n, "", limits(), "more")
		return nil
	}
	switch c {
	case '{':
		return j.mapping(n)
	case '[':
		return j.list(n)
	case '"':
		n.shape, n.text = isText, j.text(n)
		return n
	}
	end := j.pos
	for end < len(j.data) && strings.IndexByte(" \t\r\n,]}", j.data[end]) < 0 {
		end++
	}
	n.shape, n.text = isNumber, string(j.data[j.pos:end])
	switch c {
	case 'n':
		n.shape, n.text = isNull, ""
	case 't', 'f':
		n.shape = isFlag
	}
	j.pos = end
	return n
}

func (j *jsonReader) mapping(n *node) *node {
	n.shape = isMapping
	for j.pos++; j.next() != '}'; {
		key := &node{shape: isText, offset: j.pos}
		key.text = j.text(key)
		j.trail = append(j.trail, step{name: key.text})
		value := j.value()
		if value == nil {
			return nil
		}
		j.trail = j.trail[:len(j.trail)-1]
		n.fields = append(n.fields, field{name: key.text, key: key, value: value})
	}
	j.pos++
	checkKeys(j.r, n, j.trail)
	return n
}

func (j *jsonReader) list(n *node) *node {
	n.shape = isList
	for j.pos++; j.next() != ']'; {
		j.trail = append(j.trail, step{index: len(n.items), element: true})
		item := j.value()
		if item == nil {
			return nil
		}
		j.trail = j.trail[:len(j.trail)-1]
		n.items = append(n.items, item)
	}
	j.pos++
	return n
}

// text reads the string at pos. Half a surrogate pair is refused: readers
// disagree on what it is.
func (j *jsonReader) text(n *node) string {
	start := j.pos + 1
	end := start
	for j.data[end] != '"' {
		if j.data[end] == '\\' {
			end++
		}
		end++
	}
	j.pos = end + 1
	raw := j.data[start:end]
	if bytes.IndexByte(raw, '\\') < 0 {
		return string(raw)
	}
	text, ok := unescape(raw)
	if !ok {
		j.r.at(n, j.trail.String(), "text whose escapes make whole characters", "half a surrogate pair")
	}
	return text
}

var escapes = map[byte]byte{'b': '\b', 'f': '\f', 'n': '\n', 'r': '\r', 't': '\t', '"': '"', '\\': '\\', '/': '/'}

func unescape(raw []byte) (text string, ok bool) {
	out := make([]byte, 0, len(raw))
	for ok = true; ; {
		i := bytes.IndexByte(raw, '\\')
		if i < 0 {
			return string(append(out, raw...)), ok
		}
		out = append(out, raw[:i]...)
		if raw[i+1] != 'u' {
			out, raw = append(out, escapes[raw[i+1]]), raw[i+2:]
			continue
		}
		c := unit(raw[i:])
		raw = raw[i+6:]
		if utf16.IsSurrogate(c) {
			if c = utf16.DecodeRune(c, unit(raw)); c == utf8.RuneError {
				ok = false
			} else {
				raw = raw[6:]
			}
		}
		out = utf8.AppendRune(out, c)
	}
}

// unit reads \uXXXX at the start of raw; 0 where there is none.
func unit(raw []byte) rune {
	if len(raw) < 6 || raw[0] != '\\' || raw[1] != 'u' {
		return 0
	}
	var c rune
	for _, digit := range raw[2:6] {
		switch {
		case digit <= '9':
			c = c<<4 | rune(digit-'0')
		default:
			c = c<<4 | rune(digit|0x20-'a'+10)
		}
	}
	return c
}
