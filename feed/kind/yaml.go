package kind

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"gopkg.in/yaml.v3"
)

// parseYAML reads one YAML document. The plain subset is taken: mappings,
// lists and scalars; no anchors, aliases, tags or merge keys.
func parseYAML(r *report, data []byte) *node {
	if len(data) > MaxYAML {
		r.at(nil, "", fmt.Sprintf("a YAML document of at most %d bytes (write a longer one as JSON)", MaxYAML), fmt.Sprintf("%d bytes", len(data)))
		return nil
	}
	dec := yaml.NewDecoder(bytes.NewReader(data))
	doc, err := decodeYAML(dec)
	if errors.Is(err, io.EOF) || err == nil && len(doc.Content) != 1 {
		r.at(nil, "", "a document", "only comments")
		return nil
	}
	if err != nil {
		reportYAML(r, err)
		return nil
	}
	switch second, err := decodeYAML(dec); {
	case err == nil:
		r.at(&node{line: second.Line, column: second.Column}, "", "one document in the file", "a second one")
		return nil
	case !errors.Is(err, io.EOF):
		reportYAML(r, err)
		return nil
	}
	y := &yamlReader{r: r}
	return y.value(doc.Content[0])
}

// decodeYAML turns a panic of the parser into an error: its input is hostile.
func decodeYAML(dec *yaml.Decoder) (n *yaml.Node, err error) {
	defer func() {
		if recover() != nil {
			err = errors.New("yaml: the parser gave up")
		}
	}()
	n = new(yaml.Node)
	return n, dec.Decode(n)
}

var yamlLine = pattern(`^yaml: (?:line (\d+): )?(.*)`)

// reportYAML keeps the parser's line and reason. Reasons are fixed texts but
// for the name of an alias, which may be a secret that begins with "*".
func reportYAML(r *report, err error) {
	at, reason := (*node)(nil), "the parser gave up"
	if m := yamlLine().FindStringSubmatch(err.Error()); m != nil {
		if line, err := strconv.Atoi(m[1]); err == nil {
			at = &node{line: line, column: 1}
		}
		reason = m[2]
	}
	if strings.HasPrefix(reason, "unknown anchor") {
		r.at(at, "", "a document without aliases (quote a text that begins with *)", "an alias")
		return
	}
	r.at(at, "", "YAML that is well formed ("+reason+")", "")
}

type yamlReader struct {
	r     *report
	trail trail
	count int
}

func (y *yamlReader) value(in *yaml.Node) *node {
	n := &node{line: in.Line, column: in.Column}
	if y.count++; len(y.trail) > maxDepth || y.count > maxNodes {
		y.r.at(n, "", limits(), "more")
		return nil
	}
	switch {
	case in.Anchor != "" || in.Kind == yaml.AliasNode:
		y.r.at(n, y.trail.String(), "a document without anchors and aliases (quote a text that begins with & or *)", "one")
		return nil
	case in.Style&yaml.TaggedStyle != 0:
		y.r.at(n, y.trail.String(), "a document without tags (quote a text that begins with !)", "a tag")
		return nil
	}
	switch in.Kind {
	case yaml.MappingNode:
		return y.mapping(n, in)
	case yaml.SequenceNode:
		return y.list(n, in)
	}
	n.shape, n.text = scalarShape(in), in.Value
	if n.shape == isFlag {
		n.text = strings.ToLower(in.Value)
	}
	return n
}

func scalarShape(in *yaml.Node) shape {
	switch in.ShortTag() {
	case "!!null":
		return isNull
	case "!!bool":
		return isFlag
	case "!!int", "!!float":
		return isNumber
	case "!!timestamp":
		return isDate
	}
	return isText
}

func (y *yamlReader) list(n *node, in *yaml.Node) *node {
	n.shape = isList
	for i, c := range in.Content {
		y.trail = append(y.trail, step{index: i, element: true})
		item := y.value(c)
		if item == nil {
			return nil
		}
		y.trail = y.trail[:len(y.trail)-1]
		n.items = append(n.items, item)
	}
	return n
}

func (y *yamlReader) mapping(n *node, in *yaml.Node) *node {
	n.shape = isMapping
	for i := 0; i+1 < len(in.Content); i += 2 {
		key := y.value(in.Content[i])
		if key == nil {
			return nil
		}
		if key.shape != isText || in.Content[i].Tag == "!!merge" {
			y.r.at(key, y.trail.String(), "field names that are text (in quotes where needed)", yamlKey(in.Content[i], key))
			return nil
		}
		y.trail = append(y.trail, step{name: key.text})
		value := y.value(in.Content[i+1])
		if value == nil {
			return nil
		}
		y.trail = y.trail[:len(y.trail)-1]
		n.fields = append(n.fields, field{name: key.text, key: key, value: value})
	}
	checkKeys(y.r, n, y.trail)
	return n
}

func yamlKey(in *yaml.Node, key *node) string {
	if in.Tag == "!!merge" {
		return "a merge key"
	}
	return key.got()
}
