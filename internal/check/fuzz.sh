#!/bin/sh
# Runs every fuzz target of the module, one after the other, for the time given
# (as go test's -fuzztime: 2s, 100x). Ends with 1 at the end when any failed.
# A failing input is kept by go test under the package's testdata/fuzz.
set -u
fuzztime=${1:?usage: fuzz.sh DURATION}

# go test prints the names of a package's targets and then "ok PACKAGE TIME".
listed=$(mktemp) || exit 1
output=$(mktemp) || exit 1
trap 'rm -f "$listed" "$output"' EXIT
if ! go test -list '^Fuzz' ./... >"$listed" 2>&1; then
	cat "$listed" >&2
	exit 1
fi

targets=$(awk '/^Fuzz/ { n[++c] = $1 } /^ok/ { for (i = 1; i <= c; i++) print $2 ":" n[i]; c = 0 }' "$listed")
if [ -z "$targets" ]; then
	echo 'no fuzz target found: every parser has one' >&2
	exit 1
fi

# Before Go 1.27 a target may end with nothing but "context deadline exceeded"
# because its time was up (go.dev/issue/75804). A finding names its input.
time_was_up() {
	grep -q '^ *context deadline exceeded$' "$output" && ! grep -Eq 'Failing input|panic:|_test\.go:' "$output"
}

failed=0
for target in $targets; do
	package=${target%%:*} name=${target##*:}
	if go test -run '^$' -fuzz "^$name\$" -fuzzminimizetime 10x -fuzztime "$fuzztime" -parallel 2 -timeout 30m "$package" >"$output" 2>&1; then
		printf '%-28s %s\n' "$name" "$(tail -n 1 "$output")"
	elif time_was_up; then
		printf '%-28s %s\n' "$name" "ok  	$package	(go.dev/issue/75804)"
	else
		cat "$output" >&2
		failed=1
	fi
done
exit "$failed"
