package kind

import (
	"bytes"
	"encoding/json"
	"strings"
	"sync"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"pgregory.net/rapid"
)

// schemaFor compiles the shipped schema of a kind, once.
var schemaFor = func() func(string) *jsonschema.Schema {
	var mu sync.Mutex
	cache := map[string]*jsonschema.Schema{}
	return func(kind string) *jsonschema.Schema {
		mu.Lock()
		defer mu.Unlock()
		if cache[kind] == nil {
			data, ok := Schema(kind)
			if !ok {
				panic("no schema for " + kind)
			}
			value, err := jsonschema.UnmarshalJSON(bytes.NewReader(data))
			if err != nil {
				panic(err)
			}
			c := jsonschema.NewCompiler()
			c.DefaultDraft(jsonschema.Draft2020)
			if err := c.AddResource(kind, value); err != nil {
				panic(err)
			}
			cache[kind] = c.MustCompile(kind)
		}
		return cache[kind]
	}
}()

// schemaErr asks the schema about a document of either syntax. ok is false
// where the document has no tree, or one that JSON cannot say.
func schemaErr(kind string, data []byte) (err error, ok bool) {
	root := parse(&report{}, data)
	if root == nil {
		return nil, false
	}
	value, err := jsonschema.UnmarshalJSON(bytes.NewReader(asJSON(root)))
	if err != nil {
		return nil, false
	}
	return schemaFor(kind).Validate(value), true
}

// asJSON writes a tree as JSON, whatever it was read from.
func asJSON(n *node) []byte {
	var b bytes.Buffer
	writeJSON(&b, n)
	return b.Bytes()
}

func writeJSON(b *bytes.Buffer, n *node) {
	text := func(s string) {
		quoted, _ := json.Marshal(s)
		b.Write(quoted)
	}
	switch n.shape {
	case isMapping:
		b.WriteByte('{')
		for i, f := range n.fields {
			if i > 0 {
				b.WriteByte(',')
			}
			text(f.name)
			b.WriteByte(':')
			writeJSON(b, f.value)
		}
		b.WriteByte('}')
	case isList:
		b.WriteByte('[')
		for i, c := range n.items {
			if i > 0 {
				b.WriteByte(',')
			}
			writeJSON(b, c)
		}
		b.WriteByte(']')
	case isNull:
		b.WriteString("null")
	case isNumber, isFlag:
		b.WriteString(n.text)
	default:
		text(n.text)
	}
}

func TestEveryKindHasItsSchema(t *testing.T) {
	for _, kind := range Names() {
		data, ok := Schema(kind)
		if !ok {
			t.Errorf("%s has no schema", kind)
			continue
		}
		if !bytes.Contains(data, []byte("draft/2020-12")) || !bytes.Contains(data, []byte("schemas/"+kind+"/v1")) {
			t.Errorf("the schema of %s does not say draft or id", kind)
		}
		schemaFor(kind)
	}
	if _, ok := Schema("cell"); ok {
		t.Error("an unknown kind has a schema")
	}
}

// What the validator takes the schema takes: documents are changed at random,
// field by field, and both are asked.
func TestSchemaAgrees(t *testing.T) {
	seeds := examples(t)
	rapid.Check(t, func(t *rapid.T) {
		e := rapid.SampledFrom(seeds).Draw(t, "example")
		root := parse(&report{}, e.data)
		for range rapid.IntRange(1, 3).Draw(t, "changes") {
			mutate(t, root)
		}
		data := asJSON(root)
		_, err := Inspect(e.kind, "mutated.json", data)
		if verdict, ok := schemaErr(e.kind, data); ok && verdict != nil && err == nil {
			t.Fatalf("accepted, but the schema refuses it: %v\n%s", verdict, data)
		}
	})
}

// mutate changes one value somewhere below n.
func mutate(t *rapid.T, n *node) {
	for rapid.IntRange(0, 3).Draw(t, "deeper") > 0 {
		switch {
		case len(n.fields) > 0:
			n = n.fields[rapid.IntRange(0, len(n.fields)-1).Draw(t, "field")].value
		case len(n.items) > 0:
			n = n.items[rapid.IntRange(0, len(n.items)-1).Draw(t, "item")]
		}
	}
	switch action := rapid.IntRange(0, 4).Draw(t, "action"); {
	case action == 0 && len(n.fields) > 0:
		n.fields = n.fields[1:]
	case action == 1 && n.shape == isMapping:
		name := rapid.SampledFrom([]string{"value", "type", "sensitive", "scope", "prompt", "extra", "version", "NewValue", "Version", "Parameters"}).Draw(t, "name")
		if n.get(name) == nil {
			n.fields = append(n.fields, field{name: name, value: anyNode(t)})
		}
	case action == 2 && len(n.items) > 0:
		n.items = n.items[1:]
	case action == 3 && n.shape == isList:
		n.items = append(n.items, anyNode(t))
	default:
		*n = *anyNode(t)
	}
}

func anyNode(t *rapid.T) *node {
	return rapid.SampledFrom([]*node{
		{shape: isNull},
		{shape: isFlag, text: "true"},
		{shape: isNumber, text: "3"},
		{shape: isNumber, text: "-1.5"},
		{shape: isText},
		{shape: isText, text: "present"},
		{shape: isText, text: "Sensitive"},
		{shape: isText, text: "#{A.Reference}"},
		{shape: isText, text: " spaced "},
		{shape: isText, text: "Environments-1"},
		{shape: isText, text: strings.Repeat("long", 100)},
		{shape: isList},
		{shape: isMapping},
		{shape: isList, items: []*node{{shape: isText, text: "Test"}}},
		{shape: isMapping, fields: []field{{name: "Environment", value: &node{shape: isList, items: []*node{{shape: isText, text: "Test"}}}}}},
		{shape: isMapping, fields: []field{{name: "sensitive", value: &node{shape: isText, text: "present"}}}},
		{shape: isMapping, fields: []field{{name: "HasValue", value: &node{shape: isFlag, text: "true"}}}},
	}).Draw(t, "value")
}
