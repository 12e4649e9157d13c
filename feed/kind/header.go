package kind

import "slices"

var headerFields = []string{"apiVersion", "kind", "name", "version", "description"}

// header opens a document of our own and reads what all of them have. fields
// are the kind's other fields.
func (r *report) header(root *node, document string, fields ...string) (Document, object, bool) {
	if root.shape == isMapping && foreign(r, root, document) {
		return Document{}, object{}, false
	}
	o, ok := r.object(root, "", slices.Concat(headerFields, fields)...)
	if !ok {
		return Document{}, o, false
	}
	o.required("apiVersion", word(apiVersion))
	o.required("kind", word(document))
	var doc Document
	doc.Title, _ = o.required("name", nameRule)
	doc.Version, _ = o.text("version", versionRule)
	doc.Description, _ = o.text("description", prose)
	return doc, o, true
}

// foreign refuses in one sentence a variable set as the deployment server's API
// gives it. Read as ours it would be twenty unknown fields; its scopes are ids.
func foreign(r *report, root *node, document string) bool {
	if !octopusVariables(root) {
		return false
	}
	r.at(root, "", "an airlock "+document+" document (apiVersion "+apiVersion+", scopes by name)",
		"a variable set as the Octopus API gives it, whose ids mean nothing at the receiver (write its variables and scopes by name)")
	return true
}

// octopusVariables knows the API's variable sets and library variable sets.
func octopusVariables(root *node) bool {
	return root.get("apiVersion") == nil &&
		(root.get("OwnerId") != nil && root.get("Variables") != nil ||
			root.get("VariableSetId") != nil && root.get("ContentType") != nil)
}
