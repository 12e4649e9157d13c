package kind

import (
	"strings"
	"testing"
)

// head begins a document of our own.
func head(document string) string {
	return "apiVersion: airlock.example/v1\nkind: " + document + "\nname: N\nversion: 1.0.0\n"
}

var digest = "sha256:" + strings.Repeat("ab", 32)

// Each case is a document and the one error it gives, "" for none. beyond marks
// rules that a JSON schema cannot say, so that it takes the document.
var documentCases = []struct {
	name, kind, data string
	want             string
	beyond           bool
}{
	{name: "empty set", kind: "variable-set", data: head("VariableSet") + "variables: []\n"},
	{name: "all dimensions", kind: "variable-set", data: head("VariableSet") +
		"variables:\n- name: A\n  value: x\n  scope:\n    " + strings.Join(dimensions, ": [n]\n    ") + ": [n]\n"},
	{name: "same name, other scope", kind: "variable-set", data: head("VariableSet") +
		"variables:\n- {name: A, value: x}\n- {name: a, value: y, scope: {Role: [web]}}\n"},
	{name: "as JSON", kind: "variable-set", data: `{"apiVersion":"airlock.example/v1","kind":"VariableSet","name":"N","variables":[{"name":"A","value":""}]}`},

	{name: "no variables", kind: "variable-set", data: head("VariableSet"),
		want: "f:1:1: variables: want a list of variables, got nothing"},
	{name: "wrong type", kind: "variable-set", data: head("VariableSet") + "variables:\n- name: A\n  value: x\n  type: Strin\n",
		want: `f:8:9: variables[0].type: want one of String, Sensitive, Certificate, AmazonWebServicesAccount, AzureAccount, WorkerPool, UsernamePasswordAccount, GenericOidcAccount, GoogleCloudAccount (did you mean String?), got "Strin"`},
	{name: "unknown field", kind: "variable-set", data: head("VariableSet") + "variables:\n- name: A\n  value: x\n  valeu: y\n",
		want: `f:8:3: variables[0].valeu: want a known field (did you mean value?), got "valeu"`},
	{name: "another kind", kind: "variable-set", data: head("ScriptModule") + "variables: []\n",
		want: `f:2:7: kind: want VariableSet, got "ScriptModule"`},
	{name: "later format", kind: "variable-set", data: strings.Replace(head("VariableSet"), "v1", "v2", 1) + "variables: []\n",
		want: `f:1:13: apiVersion: want airlock.example/v1, got "airlock.example/v2"`},
	{name: "number for text", kind: "variable-set", data: head("VariableSet") + "variables:\n- name: A\n  value: 8080\n",
		want: "f:7:10: variables[0].value: want the value as text (in quotes), got a number"},
	{name: "number for a version", kind: "variable-set", data: strings.Replace(head("VariableSet"), "1.0.0", "1.10", 1) + "variables: []\n",
		want: "f:4:10: version: want a version of up to 128 letters, digits, dots, plus and minus signs, such as 1.4.0 (in quotes), got a number"},
	{name: "underscore in a version", kind: "variable-set", data: strings.Replace(head("VariableSet"), "1.0.0", "1_0", 1) + "variables: []\n",
		want: "f:4:10: version: want a version of up to 128 letters, digits, dots, plus and minus signs, such as 1.4.0 (in quotes), got a number"},
	{name: "underscore in a text version", kind: "variable-set", data: strings.Replace(head("VariableSet"), "1.0.0", `"1.0_1"`, 1) + "variables: []\n",
		want: "f:4:10: version: want a version of up to 128 letters"},
	{name: "long name", kind: "variable-set", data: strings.Replace(head("VariableSet"), "name: N", "name: "+strings.Repeat("n", 201), 1) + "variables: []\n",
		want: "f:3:7: name: want a name of 1 to 200 characters"},
	{name: "no value", kind: "variable-set", data: head("VariableSet") + "variables:\n- name: A\n",
		want: "f:6:3: variables[0].value: want the value as text, got nothing"},
	{name: "unknown dimension (D33)", kind: "variable-set", data: head("VariableSet") + "variables:\n- {name: A, value: x, scope: {Enviroment: [Test]}}\n",
		want: `variables[0].scope.Enviroment: want a scope dimension (did you mean Environment?), one of Action, `},
	{name: "empty dimension", kind: "variable-set", data: head("VariableSet") + "variables:\n- {name: A, value: x, scope: {Role: []}}\n",
		want: "variables[0].scope.Role: want at least one name"},
	{name: "null scope", kind: "variable-set", data: head("VariableSet") + "variables:\n- name: A\n  value: x\n  scope:\n",
		want: "variables[0].scope: want a mapping of dimensions to lists of names, got null"},
	{name: "scope by id (D12)", kind: "variable-set", data: head("VariableSet") + "variables:\n- {name: A, value: x, scope: {Machine: [Machines-22]}}\n",
		want: `want a name in one line and no id of the source such as Environments-1, because scopes and references travel by name, got "Machines-22"`},
	{name: "scope by GUID", kind: "variable-set", data: head("VariableSet") + "variables:\n- {name: A, value: x, scope: {Action: [b0bbd035-4ecc-a448-677a-1b15523b92dc]}}\n",
		want: "variables[0].scope.Action[0]: want a name in one line", beyond: true},
	{name: "same name and scope", kind: "variable-set", data: head("VariableSet") +
		"variables:\n- {name: DB.Host, value: x, scope: {Role: [a, b]}}\n- {name: db.host, value: y, scope: {Role: [B, A]}}\n",
		want: `f:7:3: variables[1]: want each name once in one scope, ignoring case, got "db.host" again (first in line 6)`, beyond: true},
	{name: "secret by type (D19)", kind: "variable-set", data: head("VariableSet") + "variables:\n- name: DB.Password\n  type: Sensitive\n  sensitive: present\n  value: hunter2\n",
		want: `f:9:10: variables[0].value: want no value, because variable "DB.Password" is sensitive (write sensitive: present), got a value in clear`},
	{name: "empty secret", kind: "variable-set", data: head("VariableSet") + "variables:\n- {name: P, sensitive: present, value: ''}\n",
		want: `want no value, because variable "P" is sensitive`},
	{name: "unmarked secret", kind: "variable-set", data: head("VariableSet") + "variables:\n- {name: P, type: Sensitive}\n",
		want: "variables[0].sensitive: want the word present beside type Sensitive, got nothing"},
	{name: "secret as its own mark", kind: "variable-set", data: head("VariableSet") + "variables:\n- {name: P, sensitive: hunter2}\n",
		want: "variables[0].sensitive: want the word present, got something else"},
	{name: "secret that is a String", kind: "variable-set", data: head("VariableSet") + "variables:\n- {name: P, type: String, sensitive: present}\n",
		want: `variables[0].type: want type Sensitive beside sensitive: present, got "String"`},
	{name: "account by id (D15)", kind: "variable-set", data: head("VariableSet") + "variables:\n- {name: A, type: AzureAccount, value: Accounts-12}\n",
		want: "variables[0].value: want the name of the AzureAccount and no id of the source, got something else", beyond: true},
	{name: "options without select", kind: "variable-set", data: head("VariableSet") + "variables:\n- {name: A, value: x, prompt: {options: [{value: x}]}}\n",
		want: "variables[0].prompt.options: want options only beside controlType Select, got options"},
	{name: "name that steers a terminal", kind: "variable-set", data: strings.Replace(head("VariableSet"), "name: N", `name: "a\x1b[2Jb"`, 1) + "variables: []\n",
		want: "name: want a name of 1 to 200 characters in one line, without space around it, got a text of 6 bytes", beyond: true},

	{name: "good module", kind: "script-module", data: head("ScriptModule") + "syntax: Bash\nbody: echo\n"},
	{name: "no body", kind: "script-module", data: head("ScriptModule") + "syntax: Bash\nbody: '  '\n",
		want: "body: want a script, got something else"},
	{name: "unknown syntax", kind: "script-module", data: head("ScriptModule") + "syntax: Powershell\nbody: x\n",
		want: `syntax: want one of PowerShell, Bash, CSharp, FSharp, Python (did you mean PowerShell?), got "Powershell"`},

	{name: "names differ in case (B25)", kind: "environments", data: head("Environments") + "environments:\n- name: Test\n- name: TEST\n",
		want: `f:7:9: environments[1].name: want each name once, ignoring case, got "TEST" again (first in line 6)`, beyond: true},
	{name: "no environments", kind: "environments", data: head("Environments") + "environments: []\n",
		want: "environments: want a list of at least one environment, got none"},
	{name: "flag as text", kind: "environments", data: head("Environments") + "environments:\n- {name: A, guidedFailure: 'yes'}\n",
		want: "environments[0].guidedFailure: want true or false, got text"},

	{name: "good extension", kind: "extension", data: head("Extension") + "host: '>=2020.1, <2022.4'\nfiles:\n- {path: a/b.dll, platform: windows/amd64}\n- {path: a/c.dll}\n"},
	{name: "not a range", kind: "extension", data: head("Extension") + "host: newest\nfiles: [{path: a}]\n",
		want: `host: want a range of host versions such as >=2020.1, <2022.4, got "newest"`, beyond: true},
	{name: "path upwards", kind: "extension", data: head("Extension") + "host: '*'\nfiles: [{path: ../a}]\n",
		want: `files[0].path: want a clean relative path of plain characters, without .. and names that a system reserves, got "../a"`},
	{name: "absolute path", kind: "extension", data: head("Extension") + "host: '*'\nfiles: [{path: /etc/passwd}]\n", want: "files[0].path: want a clean"},
	{name: "dot path", kind: "extension", data: head("Extension") + "host: '*'\nfiles: [{path: .}]\n", want: "files[0].path: want a clean"},
	{name: "backslash", kind: "extension", data: head("Extension") + "host: '*'\nfiles: [{path: 'a\\b'}]\n", want: "files[0].path: want a clean"},
	{name: "drive", kind: "extension", data: head("Extension") + "host: '*'\nfiles: [{path: 'c:a'}]\n", want: "files[0].path: want a clean"},
	{name: "device", kind: "extension", data: head("Extension") + "host: '*'\nfiles: [{path: a/Con.txt}]\n", want: "files[0].path: want a clean", beyond: true},
	{name: "dot at the end", kind: "extension", data: head("Extension") + "host: '*'\nfiles: [{path: 'a./b'}]\n", want: "files[0].path: want a clean", beyond: true},
	{name: "twice", kind: "extension", data: head("Extension") + "host: '*'\nfiles: [{path: a}, {path: A}]\n", want: "files[1].path: want each name once", beyond: true},
	{name: "file and folder", kind: "extension", data: head("Extension") + "host: '*'\nfiles: [{path: a/b}, {path: A}]\n", want: "files[1].path: want a path that is not", beyond: true},
	{name: "folder in a file", kind: "extension", data: head("Extension") + "host: '*'\nfiles: [{path: a}, {path: a/b}]\n", want: "files[1].path: want a path that is not", beyond: true},
	{name: "the document itself", kind: "extension", data: head("Extension") + "host: '*'\nfiles: [{path: F}]\n", want: "files[0].path: want a path that is not", beyond: true},
	{name: "short digest", kind: "extension", data: head("Extension") + "host: '*'\nfiles: [{path: a, sha256: ab}]\n", want: `files[0].sha256: want a SHA-256 as 64 lower-case hex digits, got "ab"`},

	{name: "good release", kind: "release", data: head("Release") + "project: P\nprocess: {steps: [{name: S, actionType: A, properties: {k: v, s: {sensitive: present}}}]}\n"},
	{name: "release without version", kind: "release", data: strings.Replace(head("Release"), "version: 1.0.0\n", "", 1) + "project: P\nprocess: {}\n",
		want: "f:1:1: version: want a version of up to 128"},
	{name: "local environment (B6)", kind: "release", data: head("Release") + "project: P\nprocess: {}\nvariables:\n- name: A\n  value: x\n  scope: {Environment: [Test]}\n",
		want: `f:10:10: variables[0].scope: want variables sliced for the receiver: local environments or machines are left out, got "A" scoped to Environment`},
	{name: "local machine (B6)", kind: "release", data: head("Release") + "project: P\nprocess: {}\nvariables:\n- {name: A, value: x, scope: {Machine: [m1]}}\n",
		want: `"A" scoped to Machine`},
	{name: "secret property", kind: "release", data: head("Release") + "project: P\nprocess: {steps: [{name: S, actionType: A, properties: {s: {sensitive: hunter2}}}]}\n",
		want: "process.steps[0].properties.s: want text, or the mapping {sensitive: present}, got a mapping"},
	{name: "template without digest", kind: "release", data: head("Release") + "project: P\nprocess: {steps: [{name: S, actionType: A, template: {package: step-template/a@1}}]}\n",
		want: "process.steps[0].template.digest: want a digest, sha256: and 64 lower-case hex digits, got nothing"},
	{name: "package twice", kind: "release", data: head("Release") + "project: P\nprocess: {}\npackages:\n- {id: A, version: '1', digest: '" + digest + "', size: 1}\n- {id: a, version: '1', digest: '" + digest + "', size: 1}\n",
		want: `packages[1]: want each package once, got "a" "1" again`, beyond: true},
	{name: "package size", kind: "release", data: head("Release") + "project: P\nprocess: {}\npackages:\n- {id: A, version: '1', digest: '" + digest + "', size: -1}\n",
		want: "packages[0].size: want a size in bytes, got a number"},

	{name: "good template", kind: "step-template", data: `{"Name":" N ","ActionType":"A","Version":0,"Properties":{"a":null,"b":{"HasValue":true,"NewValue":null}},"Parameters":null,"Later":{"x":[1]}}`},
	{name: "reference as default", kind: "step-template", data: `{"Name":"N","ActionType":"A","Properties":{},"Parameters":[{"Name":"P","DefaultValue":"#{Some.Variable | Trim}","DisplaySettings":{"Octopus.ControlType":"Sensitive"}}]}`},
	{name: "numeric default", kind: "step-template", data: `{"Name":"N","ActionType":"A","Properties":{},"Parameters":[{"Name":"P","DefaultValue":0}]}`},
	{name: "secret default", kind: "step-template", data: `{"Name":"N","ActionType":"A","Properties":{},"Parameters":[{"Name":"P","DefaultValue":"hunter2","DisplaySettings":{"Octopus.ControlType":"Sensitive"}}]}`,
		want: `f:1:87: Parameters[0].DefaultValue: want no default, or a reference such as #{Project.ApiKey} alone, because parameter "P" is sensitive, got a value in clear`},
	{name: "numeric secret", kind: "step-template", data: `{"Name":"N","ActionType":"A","Properties":{},"Parameters":[{"Name":"P","DefaultValue":42,"DisplaySettings":{"Octopus.ControlType":"Sensitive"}}]}`,
		want: `because parameter "P" is sensitive, got a value in clear`},
	{name: "secret beside a reference", kind: "step-template", data: `{"Name":"N","ActionType":"A","Properties":{},"Parameters":[{"Name":"P","DefaultValue":"#{A}hunter2#{B}","DisplaySettings":{"Octopus.ControlType":"Sensitive"}}]}`,
		want: `because parameter "P" is sensitive, got a value in clear`},
	{name: "secret in a filter", kind: "step-template", data: `{"Name":"N","ActionType":"A","Properties":{},"Parameters":[{"Name":"P","DefaultValue":"#{A | Append hunter2}","DisplaySettings":{"Octopus.ControlType":"Sensitive"}}]}`,
		want: `because parameter "P" is sensitive, got a value in clear`},
	{name: "secret property object", kind: "step-template", data: `{"Name":"N","ActionType":"A","Properties":{"k":{"HasValue":true,"NewValue":"hunter2"}}}`,
		want: "Properties.k.NewValue: want null, because a sensitive value never travels, got a value in clear"},
	{name: "secret in a new field", kind: "step-template", data: `{"Name":"N","ActionType":"A","Properties":{},"Inputs":{"deep":[{"newValue":"hunter2"}]}}`,
		want: "Inputs.deep[0].newValue: want null, because a sensitive value never travels, got a value in clear", beyond: true},
	{name: "old sensitive properties", kind: "step-template", data: `{"Name":"N","ActionType":"A","Properties":{},"SensitiveProperties":{"k":"hunter2"}}`,
		want: "SensitiveProperties.k: want no value, because a sensitive property never travels, got a value in clear", beyond: true},
	{name: "version as text", kind: "step-template", data: `{"Name":"N","ActionType":"A","Version":"3","Properties":{}}`,
		want: "Version: want a whole number, got text"},
	{name: "version with exponent", kind: "step-template", data: `{"Name":"N","ActionType":"A","Version":1e3,"Properties":{}}`,
		want: "Version: want a whole number, got a number", beyond: true},
	{name: "no name", kind: "step-template", data: `{"Name":" ","ActionType":"A","Properties":{}}`,
		want: "Name: want a name of 1 to 200 characters in one line, got"},
	{name: "parameter twice", kind: "step-template", data: `{"Name":"N","ActionType":"A","Properties":{},"Parameters":[{"Name":"P"},{"Name":"p"}]}`,
		want: `Parameters[1].Name: want each name once, ignoring case, got "p" again (first in line 1)`, beyond: true},
	{name: "another export", kind: "step-template", data: `{"Name":"N","ActionType":"A","Properties":{},"$Meta":{"Type":"Process"}}`,
		want: `$Meta.Type: want ActionTemplate, got "Process"`},
	{name: "template in YAML", kind: "step-template", data: "Name: N\nActionType: A\nProperties: {}\n",
		want: "f:1:1: want a step template (a JSON object), got a mapping in YAML", beyond: true},
	{name: "template that is a list", kind: "step-template", data: `[]`,
		want: "f:1:1: want a step template (a JSON object), got a list in JSON"},
	{name: "list property", kind: "step-template", data: `{"Name":"N","ActionType":"A","Properties":{"k":[]}}`,
		want: "Properties.k: want text or a sensitive object (HasValue, NewValue), got a list"},
}

func TestDocuments(t *testing.T) {
	for _, c := range documentCases {
		t.Run(c.kind+"/"+c.name, func(t *testing.T) {
			doc, err := Inspect(c.kind, "f", []byte(c.data))
			verdict, ok := schemaErr(c.kind, []byte(c.data))
			if c.want == "" {
				if err != nil || doc.Kind != c.kind || doc.Title != "N" {
					t.Errorf("want it accepted, got %+v, %v", doc, err)
				}
				if verdict != nil || !ok {
					t.Errorf("the schema refuses it: %v", verdict)
				}
				return
			}
			if err == nil || !strings.Contains(err.Error(), c.want) || strings.Count(err.Error(), "\n") > 0 {
				t.Errorf("want one error with\n%s\ngot\n%v", c.want, err)
			}
			if err != nil && strings.Contains(err.Error(), "hunter2") {
				t.Errorf("the secret is in the error: %v", err)
			}
			if ok && (verdict == nil) != c.beyond {
				t.Errorf("the schema says %v, beyond it: %v", verdict, c.beyond)
			}
		})
	}
}
