// Package kind says what a package may hold: eight kinds, each with a JSON
// schema, a validator and a diff for people. It also reads documents that are written
// by the same rules and stay at home: a Subscription, and any Config.
//
// # Documents
//
// Variable sets, script modules, extensions, releases, environments and trust lists
// are documents of our own, in YAML or JSON:
//
//	apiVersion: airlock.example/v1
//	kind: VariableSet
//	name: Shop shared
//	version: 1.4.0
//	variables:
//	  - name: Shop.Currency
//	    value: EUR
//	  - name: DB.Password
//	    type: Sensitive
//	    sensitive: present
//	    scope:
//	      Environment: [Staging, Production]
//
// A step template is the deployment server's own JSON and is never rewritten;
// a raw script and a file are any bytes. Nothing here changes a payload: what
// was published comes back byte for byte.
//
// # Strictness
//
// A document that begins with "{" or "[" is JSON, any other is YAML. Both are
// read into the same tree under the same rules, so that no two readers can see
// two things in one document: UTF-8 only, one document, no key twice or in two
// spellings that differ only in case, no unknown field, no alias, anchor, tag
// or merge key. A field that wants text gets text: version: 1.10 would be the
// number 1.1 and is refused, version: "1.10" is taken.
//
// Limits: MaxDocument bytes, for YAML MaxYAML (its parser builds a tree before
// anything can be counted); 32 levels; 262,144 values.
//
// # Secrets
//
// A sensitive value is carried as the word "present" and never in clear. No
// error and no diff holds a variable's value that is, or once was, sensitive;
// errors hold no variable's value at all.
//
// # Versions of the format
//
// apiVersion names the format. Fields may be added under v1 (older readers
// refuse them by name); a changed meaning is a v2.
package kind
