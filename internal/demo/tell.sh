# How the story is told, and how it is checked: each command as it is typed, what it
# answers, and a failure that stops the demo where something is not as told.

bold='' plain=''
if [ -t 1 ]; then bold=$(printf '\033[1m') plain=$(printf '\033[0m'); fi

chapters=0 step=0
# chapter TEXT begins a chapter.
chapter() {
	chapters=$((chapters + 1))
	printf '\n%s=== %d. %s%s\n' "$bold" "$chapters" "$1" "$plain"
}
# title TEXT begins a numbered step.
title() {
	step=$((step + 1))
	printf '\n%s%d) %s%s\n' "$bold" "$step" "$1" "$plain"
}
say() { printf '   %s\n' "$@"; }
fail() {
	printf '\ndemo: FAILED in step %d: %s\n' "$step" "$1" >&2
	exit 1
}

# Long digests, keys and codes are shown by their beginning, and paths without the
# folder of the demo: a reader compares the beginning too.
digits='[0-9a-f]\{56\}' base64='[A-Za-z0-9+/=]\{36\}'
shorter="s|$dir/||g
s|\\([0-9a-f]\\{8\\}\\)$digits|\\1…|g
s|\\([+ ][A-Za-z0-9+/]\\{8\\}\\)$base64|\\1…|g
s|\\(airlock-1-[a-z2-7]\\{8\\}\\)[a-z2-7]*|\\1…|g"
[ -z "$full" ] || shorter=''

# told N prints what was answered: of more than N lines the beginning, and with N over
# 7 the end, and of long lines the beginning.
told() {
	if [ -n "$full" ]; then
		sed 's/^/   | /' out.txt
		return
	fi
	sed "$shorter"'
/^airlock: /!s/^\(.\{120\}[^ ]*\) .*/\1 …/' out.txt | awk -v most="$1" '
		{ line[NR] = $0 }
		END {
			first = NR; last = 0
			if (NR > most + 2) { last = most > 20 ? 5 : most > 7 ? 4 : 0; first = most - last }
			for (i = 1; i <= first; i++) print "   | " line[i]
			if (first < NR) printf "   | … %d lines …\n", NR - first - last
			for (i = NR - last + 1; i <= NR; i++) if (first < NR) print "   | " line[i]
		}'
}

# prompt WHO TEXT prints a line that somebody types.
prompt() { printf '\n   %s%s$%s %s\n' "$bold" "$1" "$plain" "$2"; }
# typed WHO WORDS… prints a command line as its user types it.
typed() {
	printf '\n   %s%s$%s ' "$bold" "$1" "$plain"
	shift
	for word; do
		case $word in *[\ \;\*\$]*) printf '"%s" ' "$word" ;; *) printf '%s ' "$word" ;; esac
	done | sed "$shorter; s/ \$//"
	echo
}
# command_in LINES WHO ARGS… shows and runs a command in the home WHO, and at most so
# many lines of its answer; status is its exit code.
command_in() {
	lines=$1 who=$2
	shift 2
	typed "$who" airlock "$@"
	status=0
	AIRLOCK_HOME=$who "$bin" "$@" >out.txt 2>&1 </dev/null || status=$?
	told "$lines"
}
# at WHO ARGS… runs a command that must succeed.
at() { brief 10 "$@"; }
# brief LINES WHO ARGS… is at, with less of the answer.
brief() {
	command_in "$@"
	[ "$status" = 0 ] || fail "exit code $status"
}
# ends CODE WHO ARGS… runs a command that must end with that exit code.
ends() {
	want=$1
	shift
	command_in 10 "$@"
	[ "$status" = "$want" ] || fail "exit code $status, want $want"
}
# in_passing WHO ARGS… runs a command that is not told.
in_passing() {
	who=$1
	shift
	AIRLOCK_HOME=$who "$bin" -q "$@" >out.txt 2>&1 </dev/null || { cat out.txt >&2; fail "$who: airlock $*"; }
}
# answered PATTERN OTHERWISE fails unless the last command said so.
answered() { grep -q -- "$1" out.txt || fail "$2"; }

attempts=0
# refused CODE WORDS WHO ARGS… runs a forgery. It must end with that exit code
# and say those words; CODE 0 is for what a policy leaves out.
refused() {
	expected=$1 words=$2
	shift 2
	command_in 8 "$@"
	[ "$status" != 0 ] || [ "$expected" = 0 ] || fail "THE FORGERY WAS LET IN (exit code 0)"
	[ "$status" = "$expected" ] || fail "refused with exit code $status, not $expected"
	answered "$words" "refused, but not because: $words"
	attempts=$((attempts + 1))
	printf '   %s=> refused%s' "$bold" "$plain"
	[ "$expected" = 0 ] && echo ' by the policy' || echo ", exit code $expected"
}
# absent PATH fails if a refused thing left a file.
absent() { [ ! -e "$1" ] || fail "THE FORGERY WAS LET IN: $1 was written"; }
present() { [ -e "$1" ] || fail "$1 is missing"; }
# same FILE FILE OTHERWISE fails unless two files are equal.
same() { cmp -s "$1" "$2" || fail "$3"; }
