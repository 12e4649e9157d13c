package kind

import (
	"fmt"
	"slices"
	"strings"
)

// controlType names the field that says how a parameter is asked for.
const controlType = "Octopus.ControlType"

func asksSecret(parameter *node) bool {
	control := parameter.get("DisplaySettings").get(controlType)
	return control != nil && strings.EqualFold(strings.TrimSpace(control.text), "Sensitive")
}

// checkDefault refuses a secret given as the default of a sensitive parameter:
// it would be readable by everyone who reads the feed (D19).
func checkDefault(p object, name string) {
	n := p.n.get("DefaultValue")
	if n == nil || isHarmless(n) || isSensitiveObject(n) {
		return
	}
	p.r.at(n, p.path+".DefaultValue",
		fmt.Sprintf("no default, or a reference such as #{Project.ApiKey} alone, because parameter %s is sensitive", quote(name)), "a value in clear")
}

// checkSecrets looks for secrets in clear wherever the API may have put them.
func checkSecrets(r *report, n *node, path trail) {
	for _, f := range n.fields {
		at := append(path, step{name: f.name})
		switch {
		case strings.EqualFold(f.name, "NewValue") && !isHarmless(f.value):
			r.at(f.value, at.String(), "null, because a sensitive value never travels", "a value in clear")
		case len(f.value.fields) > 0 && strings.EqualFold(f.name, "SensitiveProperties"):
			checkSensitiveProperties(r, f.value, at)
		default:
			checkSecrets(r, f.value, at)
		}
	}
	for i, c := range n.items {
		checkSecrets(r, c, append(path, step{index: i, element: true}))
	}
}

func checkSensitiveProperties(r *report, n *node, path trail) {
	for _, f := range n.fields {
		at := append(path, step{name: f.name})
		switch {
		case isHarmless(f.value):
		case isSensitiveObject(f.value):
			checkSecrets(r, f.value, at)
		default:
			r.at(f.value, at.String(), "no value, because a sensitive property never travels", "a value in clear")
		}
	}
}

// isSensitiveObject knows the API's form of a secret: HasValue, NewValue and
// perhaps a hint.
func isSensitiveObject(n *node) bool {
	return n != nil && n.shape == isMapping && len(n.fields) > 0 && !slices.ContainsFunc(n.fields, func(f field) bool {
		return f.name != "HasValue" && f.name != "NewValue" && f.name != "Hint"
	})
}

// One reference to a variable, perhaps through filters without arguments.
var reference = pattern(`^#\{\s*[^{}"|]+(\|\s*[A-Za-z0-9]+\s*)*\}$`)

// isHarmless reports whether a value holds nothing, or only points to a variable.
func isHarmless(n *node) bool {
	text := strings.TrimSpace(n.text)
	return n.shape == isNull || n.shape == isText && (text == "" || reference().MatchString(text))
}
