#!/bin/sh
# The story of Airlock in one run, in a folder of its own: three Spaces, two servers of
# one store, an agent, two sticks, and a forger who is refused. Started by `make demo`.
#
#   AIRLOCK_BIN  the program (default bin/airlock of this checkout)
#   STORE        directory (default), or s3: a bucket of a versitygw of its own
#   DEMO_DIR     folder to use; must be empty or not exist, and is kept
#   KEEP=1       leave what runs running and the folder in place
#   FULL=1       show every answer in full
#
# It exits 0 only if everything that is said to work works and every forgery is
# refused with the exit code that is said. Its chapters are the files beside it.
set -eu

repo=$(cd "$(dirname "$0")/../.." && pwd)
bin=${AIRLOCK_BIN:-$repo/bin/airlock}
keep=${KEEP:-} full=${FULL:-} kind=${STORE:-directory}
[ -x "$bin" ] || { echo "demo: $bin is not there: run make build" >&2; exit 2; }
case $bin in /*) ;; *) bin=$PWD/$bin ;; esac
PATH=$repo/.tools/bin:$PATH

# The reader's own settings are not part of the story.
for name in $(env | sed -n 's/^\(AIRLOCK_[A-Z0-9_]*\)=.*/\1/p'); do unset "$name"; done

if [ -n "${DEMO_DIR:-}" ]; then
	mkdir -p "$DEMO_DIR"
	[ -z "$(ls -A "$DEMO_DIR")" ] || { echo "demo: $DEMO_DIR is not empty" >&2; exit 2; }
	dir=$(cd "$DEMO_DIR" && pwd) mine=
else
	dir=$(mktemp -d "${TMPDIR:-/tmp}/airlock-demo.XXXXXX") mine=1
fi
cd "$dir"

began=$(date +%s) finished=''
. "$repo/internal/demo/tell.sh"
. "$repo/internal/demo/world.sh"

end() {
	code=$?
	trap - EXIT INT TERM
	[ -n "$keep" ] && [ -n "$finished" ] || stop_all
	if [ -z "$finished" ]; then
		echo "demo: stopped with exit code $code; what it made is in $dir" >&2
	elif [ -n "$mine" ] && [ -z "$keep" ]; then
		cd / && rm -rf "$dir"
	fi
	exit "$code"
}
trap end EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

cat <<EOT
Airlock: Spaces that must not, or cannot, talk to each other share configuration.

   dev-qa       a Space that publishes; Alice is its publisher
   staging      a Space on the same network, of Sam's
   production   a Space that no network reaches, of Bob's; Carol and Dave approve what comes in
   operator     runs the servers between them, and is trusted with passing things on

The prompt names whose home folder (AIRLOCK_HOME) a command works in, and so on which side it is.
Long digests and answers are cut; make demo FULL=1 shows all of them.
EOT
for told in enrol publish forger agents push crash airgap tamper; do
	. "$repo/internal/demo/$told.sh"
done
finished=1
. "$repo/internal/demo/proved.sh"
