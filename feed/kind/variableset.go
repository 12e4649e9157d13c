package kind

import (
	"fmt"
	"strconv"
)

// inspectVariableSet reads a VariableSet: variables shared under one name (B5,
// B13). Scopes and typed values travel by name (D12, D15), sensitive values as
// "present" (D19).
func inspectVariableSet(r *report, root *node) Document {
	doc, o, ok := r.header(root, "VariableSet", "variables")
	if !ok {
		return doc
	}
	if root.get("variables") == nil {
		r.at(root, "variables", "a list of variables", "nothing")
	}
	doc.Facts = variableFacts(readVariables(o))
	return doc
}

func variableFacts(variables []variable) []Fact {
	sensitive, scoped := 0, 0
	for _, v := range variables {
		if v.sensitive {
			sensitive++
		}
		if len(v.scope) > 0 {
			scoped++
		}
	}
	facts := []Fact{{"variables", strconv.Itoa(len(variables))}}
	if sensitive > 0 {
		facts = append(facts, Fact{"sensitive", fmt.Sprintf("%d present", sensitive)})
	}
	if scoped > 0 {
		facts = append(facts, Fact{"scoped", strconv.Itoa(scoped)})
	}
	return facts
}

// readVariables reads the field "variables" of o. Two variables of one name in
// one scope are refused: which of them holds would be chance.
func readVariables(o object) []variable {
	var variables []variable
	seen := map[string]variable{}
	for _, it := range o.list("variables") {
		v, ok := readVariable(o.r, it)
		if !ok {
			continue
		}
		if first, dup := seen[v.key()]; dup {
			line, _ := o.r.place(first.node)
			o.r.at(it.node, it.path, "each name once in one scope, ignoring case",
				fmt.Sprintf("%s again (first in line %d)", quote(v.name), line))
			continue
		}
		seen[v.key()] = v
		variables = append(variables, v)
	}
	return variables
}
