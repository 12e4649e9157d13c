package kind

import (
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// rule is what a text must be. shown says that a refused text may be shown: it
// is a name or a word of a list, never a value.
type rule struct {
	want  string
	ok    func(string) bool
	shown bool
	words []string
}

// maxName bounds names and titles, in characters.
const maxName = 200

var (
	anyText = rule{want: "text", ok: func(string) bool { return true }}
	script  = rule{want: "a script", ok: func(s string) bool { return strings.TrimSpace(s) != "" }}
	prose   = rule{want: "text without control characters", ok: func(s string) bool {
		return !strings.ContainsFunc(s, func(c rune) bool { return c != '\r' && unprintable(c) })
	}}
	nameRule = rule{
		want:  "a name of 1 to 200 characters in one line, without space around it",
		ok:    isName,
		shown: true,
	}
	// An OCI tag, in which "+" is written "_" (so "_" itself is not there).
	versionRule = matching(`^[A-Za-z0-9][A-Za-z0-9.+-]{0,127}$`,
		"a version of up to 128 letters, digits, dots, plus and minus signs, such as 1.4.0")
	sha256Rule  = matching(`^[0-9a-f]{64}$`, "a SHA-256 as 64 lower-case hex digits")
	digestRule  = matching(`^sha256:[0-9a-f]{64}$`, "a digest, sha256: and 64 lower-case hex digits")
	packageRule = matching(`^step-template/[a-z0-9]+([._-][a-z0-9]+)*@[A-Za-z0-9][A-Za-z0-9.+-]{0,127}$`,
		"a package such as step-template/acme-deploy-web@3")
	byNameRule = rule{
		want:  "a name in one line and no id of the source such as Environments-1, because scopes and references travel by name",
		ok:    func(s string) bool { return isName(s) && !isID(s) },
		shown: true,
	}
)

func matching(expr, want string) rule {
	re := pattern(expr)
	return rule{want: want, ok: func(s string) bool { return re().MatchString(s) }, shown: true}
}

// word is a rule for a fixed list.
func word(words ...string) rule {
	return rule{
		want:  oneOf(words),
		ok:    func(s string) bool { return slices.Contains(words, s) },
		shown: true,
		words: words,
	}
}

func isName(s string) bool {
	return s != "" && utf8.RuneCountInString(s) <= maxName && strings.TrimSpace(s) == s &&
		!strings.ContainsFunc(s, func(c rune) bool { return unprintable(c) || unicode.IsControl(c) })
}

// Ids of a deployment server: Environments-1, deploymentprocess-Projects-1, and
// the GUIDs of actions (D6, D12).
var idForm = pattern(`(?i)^((runbookprocess|deploymentprocess|variableset)-\w+-\d+` +
	`|(accounts|actiontemplates|certificates|channels|deployments|environments|feeds|libraryvariablesets` +
	`|lifecycles|machinepolicies|machines|projectgroups|projects|projecttriggers|proxies|releases|runbooks` +
	`|spaces|tagsets|teams|tenants|users|workerpools|workers)-\d+` +
	`|[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12})$`)

func isID(s string) bool { return idForm().MatchString(s) }
