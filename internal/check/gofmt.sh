#!/bin/sh
# Names the Go files that gofmt would change; exits 1 where there is one.
set -eu
unformatted=$(find . -name '.?*' -prune -o -name '*.go' -exec gofmt -l {} +)
[ -z "$unformatted" ] && exit 0
printf 'not formatted, run gofmt -w:\n%s\n' "$unformatted" >&2
exit 1
