package kind

import (
	"embed"
	"path"
	"slices"
	"strings"

	"airlock/trust"
)

// Sizes in bytes of what is parsed. Payloads of kind file, an extension's
// attachments and raw scripts are opaque and have no limit here.
const (
	MaxDocument = 16 << 20
	MaxYAML     = 1 << 20
)

const apiVersion = "airlock.example/v1"

// Document is what the rest of the program needs to know of a valid payload.
type Document struct {
	Kind        string
	Title       string // as people write it
	Version     string // "" where the document does not say
	Description string
	// Attachments are the files that belong to the package: slash paths below
	// the document's folder, clean, plain ASCII, unique without case.
	Attachments []string
	// Digests holds the SHA-256 in lower-case hex of those attachments whose
	// document states it.
	Digests    map[string]string
	Executable bool // carries something that runs at the receiver
	Facts      []Fact
}

// Fact is one short thing worth reading before a package is accepted.
type Fact struct{ Name, Value string }

// definition is one kind. Its functions see only documents of that kind.
type definition struct {
	name     string
	document string // the "kind" of our own documents; "" where the format is another's
	inspect  func(r *report, root *node) Document
	diff     func(old, new *node) []Change
}

// definitions are in apply order (D21): what others refer to comes first.
var definitions = []definition{
	{name: trust.ListKind, document: "TrustList", inspect: inspectTrustList, diff: diffTrustList},
	{name: "environments", document: "Environments", inspect: inspectEnvironments, diff: diffTree},
	{name: "extension", document: "Extension", inspect: inspectExtension, diff: diffTree},
	{name: "step-template", inspect: inspectStepTemplate, diff: diffStepTemplate},
	{name: "script-module", document: "ScriptModule", inspect: inspectScriptModule, diff: diffTree},
	{name: "variable-set", document: "VariableSet", inspect: inspectVariableSet, diff: diffVariableSet},
	{name: fileKind},
	{name: "release", document: "Release", inspect: inspectRelease, diff: diffVariableSet},
}

//go:embed *.schema.json
var schemas embed.FS

func lookup(kind string) (definition, bool) {
	i := slices.IndexFunc(definitions, func(d definition) bool { return d.name == kind })
	if i < 0 {
		return definition{}, false
	}
	return definitions[i], true
}

// Names gives the kinds in the order in which they are applied.
func Names() []string {
	var names []string
	for _, d := range definitions {
		names = append(names, d.name)
	}
	return names
}

// Schemas gives the names of all documents that Schema has: the kinds, and what
// stays at home.
func Schemas() []string { return append(Names(), SubscriptionName) }

// Schema gives the shipped JSON schema (draft 2020-12) of a kind, or of another
// document of ours. The validator is stricter where a schema cannot say a rule; it
// never takes what the schema refuses.
func Schema(kind string) ([]byte, bool) {
	if !slices.Contains(Schemas(), kind) {
		return nil, false
	}
	data, err := schemas.ReadFile(kind + ".schema.json")
	return data, err == nil
}

// MediaType gives the media type of the layer that holds file in a package of
// that kind.
func MediaType(kind, file string) string {
	d, known := lookup(kind)
	ext := strings.ToLower(path.Ext(file))
	switch {
	case !known || kind == fileKind:
		return "application/octet-stream"
	case kind == "step-template":
		return "application/vnd.airlock.step-template.v1+json"
	case kind == "script-module" && scriptSyntax(file) != "":
		return scriptMedia[scriptSyntax(file)]
	case ext == ".json":
		return "application/vnd.airlock." + d.name + ".v1+json"
	case ext == ".yaml" || ext == ".yml":
		return "application/vnd.airlock." + d.name + ".v1+yaml"
	}
	return "application/octet-stream"
}

// Inspect validates data as the content of file, a document of that kind. It
// returns an *Error, or several joined (at most 20, in the order of the file);
// no error holds a value of a variable.
func Inspect(kind, file string, data []byte) (Document, error) {
	doc, _, err := inspect(kind, file, data)
	return doc, err
}

// inspect also returns the tree, nil for content that is not parsed.
func inspect(kind, file string, data []byte) (Document, *node, error) {
	r := &report{file: file}
	d, ok := lookup(kind)
	if !ok {
		r.at(nil, "kind", oneOf(Names()), kind)
		return Document{}, nil, r.err()
	}
	if opaque(kind, file) {
		doc := inspectOpaque(r, kind, file, data)
		return doc, nil, r.err()
	}
	root := parse(r, data)
	if root == nil || r.err() != nil {
		return Document{}, nil, r.err()
	}
	doc := d.inspect(r, root)
	if err := r.err(); err != nil {
		return Document{}, nil, err
	}
	doc.Kind = kind
	return doc, root, nil
}
