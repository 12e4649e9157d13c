package kind

import "fmt"

// Types a variable may have; all but String and Sensitive hold the name of an
// account, certificate or worker pool.
var variableTypes = []string{
	"String", "Sensitive", "Certificate", "AmazonWebServicesAccount", "AzureAccount", "WorkerPool",
	"UsernamePasswordAccount", "GenericOidcAccount", "GoogleCloudAccount",
}

var controlTypes = []string{
	"SingleLineText", "MultiLineText", "Checkbox", "Select", "Sensitive", "Certificate", "AmazonWebServicesAccount",
	"AzureAccount", "WorkerPool", "UsernamePasswordAccount", "GenericOidcAccount", "GoogleCloudAccount",
}

// variable is one entry of a variable set or release.
type variable struct {
	node      *node
	path      string
	name      string
	kind      string // a variableType
	value     string
	sensitive bool
	scope     scope
}

// key is equal for variables of one name, ignoring case, in one scope.
func (v variable) key() string { return fold(v.name) + "\x00" + v.scope.key() }

func readVariable(r *report, it item) (variable, bool) {
	o, ok := r.object(it.node, it.path, "name", "value", "type", "description", "sensitive", "prompt", "scope")
	if !ok {
		return variable{}, false
	}
	v := variable{node: it.node, path: it.path, kind: "String"}
	v.name, ok = o.required("name", nameRule)
	typed, _ := o.text("type", word(variableTypes...))
	v.sensitive = o.n.get("sensitive") != nil || typed == "Sensitive"
	if typed != "" {
		v.kind = typed
	} else if v.sensitive {
		v.kind = "Sensitive"
	}
	o.text("description", prose)
	readPrompt(o)
	if n := o.n.get("scope"); n != nil {
		v.scope = readScope(r, n, o.path+".scope")
	}
	if v.sensitive {
		checkSensitive(o, v)
	} else {
		v.value = readValue(o, v)
	}
	return v, ok
}

// checkSensitive holds B5 and D19: the name, the word "present", and no value,
// not even an empty one (which would wipe the receiver's secret).
func checkSensitive(o object, v variable) {
	switch mark := o.n.get("sensitive"); {
	case mark == nil:
		o.r.at(o.n, o.path+".sensitive", "the word present beside type Sensitive", "nothing")
	case !mark.is("present"):
		o.r.at(mark, o.path+".sensitive", "the word present", "something else")
	case v.kind != "Sensitive":
		o.r.at(o.n.get("type"), o.path+".type", "type Sensitive beside sensitive: present", quote(v.kind))
	}
	if n := o.n.get("value"); n != nil {
		o.r.at(n, o.path+".value",
			fmt.Sprintf("no value, because variable %s is sensitive (write sensitive: present)", quote(v.name)), "a value in clear")
	}
}

// readValue reads a value in clear. It is never shown: a secret of the wrong
// type looks like this.
func readValue(o object, v variable) string {
	want := rule{want: "the value as text", ok: anyText.ok}
	if v.kind != "String" {
		want = rule{want: "the name of the " + v.kind + " and no id of the source", ok: byNameRule.ok}
	}
	value, _ := o.required("value", want)
	return value
}

// readPrompt reads what people are asked for when they deploy.
func readPrompt(o object) {
	n := o.n.get("prompt")
	if n == nil {
		return
	}
	p, ok := o.r.object(n, o.path+".prompt", "label", "description", "required", "controlType", "options")
	if !ok {
		return
	}
	p.text("label", prose)
	p.text("description", prose)
	p.flag("required")
	control, _ := p.text("controlType", word(controlTypes...))
	if options := n.get("options"); options != nil && control != "Select" {
		o.r.at(options, p.path+".options", "options only beside controlType Select", "options")
	}
	for _, it := range p.list("options") {
		if option, ok := o.r.object(it.node, it.path, "value", "label"); ok {
			option.required("value", anyText)
			option.text("label", prose)
		}
	}
}
