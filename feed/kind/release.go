package kind

import "strconv"

// sizeRule is a count of bytes below 2^50, in plain digits.
var sizeRule = matching(`^(0|[1-9][0-9]{0,14})$`, "a size in bytes")

// inspectRelease reads a Release: a signed record of what a project would
// deploy (B6, D20). Packages lie beside it and are named by digest; it is never
// posted into a server's history.
func inspectRelease(r *report, root *node) Document {
	doc, o, ok := r.header(root, "Release", "project", "channel", "notes", "process", "variables", "packages")
	if !ok {
		return doc
	}
	if doc.Version == "" && root.get("version") == nil {
		r.at(root, "version", versionRule.want, "nothing")
	}
	project, _ := o.required("project", byNameRule)
	o.text("channel", byNameRule)
	o.text("notes", prose)
	steps := readProcess(o)
	variables := readVariables(o)
	for _, v := range variables {
		checkSliced(r, v)
	}
	packages := readPackages(o)
	doc.Executable = steps > 0
	doc.Facts = append([]Fact{
		{"project", project}, {"steps", strconv.Itoa(steps)}, {"packages", strconv.Itoa(packages)},
	}, variableFacts(variables)...)
	return doc
}

// checkSliced holds B6: values for the source's own environments and machines
// stay at home.
func checkSliced(r *report, v variable) {
	for _, local := range []string{"Environment", "Machine"} {
		if len(v.scope[local]) > 0 {
			r.at(v.node.get("scope"), v.path+".scope",
				"variables sliced for the receiver: local environments or machines are left out", quote(v.name)+" scoped to "+local)
		}
	}
}

// readProcess counts the steps.
func readProcess(o object) int {
	n := o.n.get("process")
	if n == nil {
		o.r.at(o.n, "process", "a process with its steps", "nothing")
		return 0
	}
	p, ok := o.r.object(n, "process", "steps")
	if !ok {
		return 0
	}
	names := unique{r: o.r}
	steps := p.list("steps")
	for _, it := range steps {
		s, ok := o.r.object(it.node, it.path, "name", "actionType", "template", "condition", "startTrigger", "targetRoles", "properties")
		if !ok {
			continue
		}
		if name, ok := s.required("name", nameRule); ok {
			names.add(s.n.get("name"), it.path+".name", name)
		}
		readStep(s)
	}
	return len(steps)
}

func readStep(s object) {
	s.required("actionType", nameRule)
	s.text("condition", word("Success", "Failure", "Always", "Variable"))
	s.text("startTrigger", word("StartAfterPrevious", "StartWithPrevious"))
	if n := s.n.get("targetRoles"); n != nil {
		s.r.texts(n, s.path+".targetRoles", byNameRule)
	}
	if n := s.n.get("template"); n != nil {
		if t, ok := s.r.object(n, s.path+".template", "package", "digest"); ok {
			t.required("package", packageRule)
			t.required("digest", digestRule)
		}
	}
	properties := s.n.get("properties")
	if properties == nil {
		return
	}
	if properties.shape != isMapping {
		s.r.at(properties, s.path+".properties", "a mapping of names to text", properties.got())
		return
	}
	for _, f := range properties.fields {
		readProperty(s.r, f, join(s.path+".properties", f.name))
	}
}

// readProperty takes text, or {sensitive: present} for a secret.
func readProperty(r *report, f field, path string) {
	if f.value.shape == isText {
		return
	}
	if f.value.shape == isMapping && len(f.value.fields) == 1 && f.value.get("sensitive").is("present") {
		return
	}
	r.at(f.value, path, "text, or the mapping {sensitive: present}", f.value.got())
}

// readPackages counts the packages the release deploys.
func readPackages(o object) int {
	seen := map[string]bool{}
	items := o.list("packages")
	for _, it := range items {
		p, ok := o.r.object(it.node, it.path, "id", "version", "digest", "size", "feed")
		if !ok {
			continue
		}
		id, _ := p.required("id", nameRule)
		version, _ := p.required("version", nameRule)
		p.required("digest", digestRule)
		p.text("feed", byNameRule)
		if n := p.n.get("size"); n == nil || n.shape != isNumber || !sizeRule.ok(n.text) {
			at, got := n, n.got()
			if n == nil {
				at = it.node
			}
			o.r.at(at, it.path+".size", sizeRule.want, got)
		}
		key := fold(id) + "\x00" + fold(version)
		if seen[key] {
			o.r.at(it.node, it.path, "each package once", quote(id)+" "+quote(version)+" again")
		}
		seen[key] = true
	}
	return len(items)
}
