package kind

import (
	"fmt"
	"strconv"
	"strings"
)

// templateVersion is the server's own counter, in decimal.
var templateVersion = matching(`^(0|[1-9][0-9]{0,9})$`, "a whole number")

// inspectStepTemplate checks a step template as the deployment server exports
// it (B3). The payload stays as it is and newer servers add fields, so only
// what we rely on is checked: what it is called, its version, that its parts
// have one meaning, and that no secret is in clear.
func inspectStepTemplate(r *report, root *node) Document {
	if root.shape != isMapping || r.data == nil {
		r.at(root, "", "a step template (a JSON object)", root.got()+" in "+r.syntax())
		return Document{}
	}
	t := object{r: r, n: root}
	doc := Document{Executable: true}
	name, _ := t.required("Name", templateName)
	doc.Title = strings.TrimSpace(name)
	action, _ := t.required("ActionType", nameRule)
	if n := root.get("Description"); n != nil && n.shape != isNull {
		description, _ := t.text("Description", anyText)
		doc.Description = printable(description)
	}
	if n := root.get("Version"); n != nil {
		doc.Version = n.text
		if n.shape != isNumber || !templateVersion.ok(n.text) {
			r.at(n, "Version", templateVersion.want, n.got())
		}
	}
	if meta := root.get("$Meta").get("Type"); meta != nil && !meta.is("ActionTemplate") {
		r.at(meta, "$Meta.Type", "ActionTemplate", quote(meta.text))
	}
	checkProperties(t)
	parameters, secrets := checkParameters(t)
	for _, list := range []string{"Packages", "GitDependencies"} {
		checkObjects(t, list)
	}
	checkSecrets(r, root, nil)
	doc.Facts = templateFacts(root, action, parameters, secrets)
	return doc
}

// templateName takes space around the name, which real templates have.
var templateName = rule{
	want:  "a name of 1 to 200 characters in one line",
	ok:    func(s string) bool { return isName(strings.TrimSpace(s)) && !strings.ContainsAny(s, "\r\n") },
	shown: true,
}

func templateFacts(root *node, action string, parameters, secrets int) []Fact {
	facts := []Fact{{"action", action}}
	if syntax := root.get("Properties").get("Octopus.Action.Script.Syntax"); syntax != nil && syntaxRule.ok(syntax.text) {
		facts = append(facts, Fact{"syntax", syntax.text})
	}
	facts = append(facts, Fact{"parameters", strconv.Itoa(parameters)})
	if secrets > 0 {
		facts = append(facts, Fact{"sensitive", fmt.Sprintf("%d asked for", secrets)})
	}
	if packages := root.get("Packages"); packages != nil && len(packages.items) > 0 {
		facts = append(facts, Fact{"packages", strconv.Itoa(len(packages.items))})
	}
	return facts
}

// checkProperties takes texts, null, numbers, flags and sensitive objects.
func checkProperties(t object) {
	properties := t.n.get("Properties")
	if properties == nil || properties.shape != isMapping {
		t.r.at(orElse(properties, t.n), "Properties", "an object of properties", properties.got())
		return
	}
	for _, f := range properties.fields {
		if f.value.shape == isList || f.value.shape == isMapping && !isSensitiveObject(f.value) {
			t.r.at(f.value, join("Properties", f.name), "text or a sensitive object (HasValue, NewValue)", f.value.got())
		}
	}
}

// checkParameters counts the parameters and those that ask for a secret.
func checkParameters(t object) (count, secrets int) {
	n := t.n.get("Parameters")
	if n == nil || n.shape == isNull {
		return 0, 0
	}
	names := unique{r: t.r}
	for _, it := range t.list("Parameters") {
		count++
		p := object{r: t.r, n: it.node, path: it.path}
		if it.shape != isMapping {
			t.r.at(it.node, it.path, "a parameter (an object)", it.got())
			continue
		}
		name, ok := p.required("Name", templateName)
		if ok {
			names.add(it.get("Name"), it.path+".Name", name)
		}
		if display := it.get("DisplaySettings"); display != nil && display.shape != isMapping && display.shape != isNull {
			t.r.at(display, it.path+".DisplaySettings", "an object", display.got())
		}
		if asksSecret(it.node) {
			secrets++
			checkDefault(p, name)
		}
	}
	return count, secrets
}

func checkObjects(t object, list string) {
	n := t.n.get(list)
	if n == nil || n.shape == isNull {
		return
	}
	for _, it := range t.list(list) {
		if it.shape != isMapping {
			t.r.at(it.node, it.path, "an object", it.got())
		}
	}
}

func orElse(n, other *node) *node {
	if n == nil {
		return other
	}
	return n
}
