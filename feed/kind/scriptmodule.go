package kind

import (
	"path"
	"strconv"
	"strings"
)

// scriptMedia has a script module's languages and the media type of a raw file
// in each.
var scriptMedia = map[string]string{
	"PowerShell": "text/x-powershell",
	"Bash":       "text/x-shellscript",
	"CSharp":     "text/x-csharp",
	"FSharp":     "text/x-fsharp",
	"Python":     "text/x-python",
}

var syntaxRule = word("PowerShell", "Bash", "CSharp", "FSharp", "Python")

// scriptSyntax gives the language of a raw script by its file name, "" where it
// is none.
func scriptSyntax(file string) string {
	switch strings.ToLower(path.Ext(file)) {
	case ".ps1", ".psm1":
		return "PowerShell"
	case ".sh":
		return "Bash"
	case ".csx":
		return "CSharp"
	case ".fsx":
		return "FSharp"
	case ".py":
		return "Python"
	}
	return ""
}

// inspectScriptModule reads a ScriptModule document: code that steps share,
// carried to be exactly the same everywhere (D13).
func inspectScriptModule(r *report, root *node) Document {
	doc, o, ok := r.header(root, "ScriptModule", "syntax", "body")
	if !ok {
		return doc
	}
	syntax, _ := o.required("syntax", syntaxRule)
	body, _ := o.required("body", script)
	doc.Executable = true
	doc.Facts = []Fact{{"syntax", syntax}, {"lines", strconv.Itoa(countLines(body))}}
	return doc
}

func countLines(s string) int {
	return strings.Count(strings.TrimRight(s, "\r\n"), "\n") + 1
}
