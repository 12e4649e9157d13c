#!/bin/sh
# The story of Airlock in one run: Spaces, a server and two sticks in a folder of
# its own, from the first key to a forger who is refused. Started by `make demo`;
# its second part, the air gap, is airgap.sh.
#
#   AIRLOCK_BIN  the program (default bin/airlock of this checkout)
#   DEMO_DIR     folder to use; must be empty or not exist, and is kept
#   KEEP=1       leave the server running and the folder in place
#
# It exits 0 only if everything that is said to work works and every forgery is
# refused with the exit code that is said.
set -eu

repo=$(cd "$(dirname "$0")/../.." && pwd)
bin=${AIRLOCK_BIN:-$repo/bin/airlock}
keep=${KEEP:-}
[ -x "$bin" ] || { echo "demo: $bin is not there: run make build" >&2; exit 2; }
case $bin in /*) ;; *) bin=$PWD/$bin ;; esac

# The reader's own settings are not part of the story.
for name in $(env | sed -n 's/^\(AIRLOCK_[A-Z_]*\)=.*/\1/p'); do unset "$name"; done

if [ -n "${DEMO_DIR:-}" ]; then
	mkdir -p "$DEMO_DIR"
	[ -z "$(ls -A "$DEMO_DIR")" ] || { echo "demo: $DEMO_DIR is not empty" >&2; exit 2; }
	dir=$(cd "$DEMO_DIR" && pwd) mine=
else
	dir=$(mktemp -d "${TMPDIR:-/tmp}/airlock-demo.XXXXXX") mine=1
fi
cd "$dir"

server='' finished=''
end() {
	code=$?
	trap - EXIT INT TERM
	if [ -n "$server" ] && { [ -z "$keep" ] || [ -z "$finished" ]; }; then
		kill "$server" 2>/dev/null || true
		wait "$server" 2>/dev/null || true
	fi
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

bold='' plain=''
if [ -t 1 ]; then bold=$(printf '\033[1m') plain=$(printf '\033[0m'); fi

step=0
# title TEXT begins a numbered step.
title() {
	step=$((step + 1))
	printf '\n%s%d. %s%s\n' "$bold" "$step" "$1" "$plain"
}
say() { printf '   %s\n' "$@"; }
fail() {
	printf '\ndemo: FAILED in step %d: %s\n' "$step" "$1" >&2
	exit 1
}

# shown WHO ARGS… prints a command as its user types it.
shown() {
	printf '\n   %s%s$%s airlock' "$bold" "$1" "$plain"
	shift
	for word; do
		case $word in *[\ \;\*]*) printf ' "%s"' "$word" ;; *) printf ' %s' "$word" ;; esac
	done
	echo
}
# command_in WHO ARGS… shows and runs a command in the home WHO; status is its exit code.
command_in() {
	shown "$@"
	who=$1
	shift
	status=0
	AIRLOCK_HOME=$who "$bin" "$@" >out.txt 2>&1 </dev/null || status=$?
	sed 's/^/   | /' out.txt
}
# at WHO ARGS… runs a command that must succeed.
at() {
	command_in "$@"
	[ "$status" = 0 ] || fail "exit code $status"
}

attempts=0
# refused CODE WORDS WHO ARGS… runs a forgery. It must end with that exit code
# and say those words; CODE 0 is for what a policy leaves out.
refused() {
	code=$1 words=$2
	shift 2
	command_in "$@"
	[ "$status" != 0 ] || [ "$code" = 0 ] || fail "THE FORGERY WAS LET IN (exit code 0)"
	[ "$status" = "$code" ] || fail "refused with exit code $status, not $code"
	grep -q -- "$words" out.txt || fail "refused, but not because: $words"
	attempts=$((attempts + 1))
	printf '   %s=> refused%s' "$bold" "$plain"
	[ "$code" = 0 ] && echo ' by the policy' || echo ", exit code $code"
}
# absent PATH fails if a refused thing left a file.
absent() { [ ! -e "$1" ] || fail "THE FORGERY WAS LET IN: $1 was written"; }
present() { [ -e "$1" ] || fail "$1 is missing"; }

# copy_store DIR copies the server's store, as a thief or a restore would.
copy_store() {
	mkdir "$1"
	for part in format objects files cells; do cp -R "operator/store/$part" "$1/"; done
}
# edit FILE EXPRESSION changes a file in place. Stored files are read-only;
# who owns the folder replaces them.
edit() {
	sed "$2" "$1" >edited.tmp
	cmp -s "$1" edited.tmp && fail "the demo did not change $1"
	mv -f edited.tmp "$1"
}
# newcomer NAME makes a home that trusts dev-qa like production does.
newcomer() {
	AIRLOCK_HOME=$1 "$bin" -q trust add dev-qa.id --feed shared --thumbprint "$lineage"
}

echo "Airlock: two Spaces that must not talk to each other share configuration."
echo "The prompt names whose home folder (AIRLOCK_HOME) a command works in."

title "dev-qa becomes a Space: a root key, a publisher key and an identity"
cp -R "$repo/docs/examples" shop
at dev-qa init acme/dev-qa --plain-keys --person Alice
at dev-qa identity export -o dev-qa.id
lineage=$(sed -n 2p dev-qa.id | tr -d '\n' | (sha256sum 2>/dev/null || shasum -a 256) | cut -d' ' -f1)
lineage=sha256:$lineage
grep -q "$lineage" out.txt || fail "the lineage is not the SHA-256 of identity version 1"

title "The operator admits dev-qa and starts a server, which never holds a Space's key"
at operator server admit dev-qa.id
shown operator serve --listen 127.0.0.1:0
: >serve.log # there before it is looked into
AIRLOCK_HOME=operator "$bin" serve --listen 127.0.0.1:0 --access-log access.log >serve.log 2>&1 </dev/null &
server=$!
url='' tries=0
while [ -z "$url" ]; do
	url=$(sed -n 's/^serving .* on \(http:.*\)$/\1/p' serve.log)
	kill -0 "$server" 2>/dev/null || { cat serve.log; fail "the server did not start"; }
	tries=$((tries + 1))
	[ "$tries" -lt 200 ] || fail "the server did not say where it serves"
	[ -n "$url" ] || sleep 0.05
done
export AIRLOCK_SERVER="$url"
say "| serving on $url" "(from here on AIRLOCK_SERVER=$url)"

title "dev-qa publishes variable sets, step templates, a script module, a release…"
at dev-qa publish shared shop

title "production decides whom to believe: this lineage, this feed, these kinds"
say "Alice reads the thumbprint to production over the telephone."
kinds=variable-set,step-template,script-module,release,environments
at production trust add dev-qa.id --feed shared --kind $kinds --until 2099-12-31 --thumbprint "$lineage"

title "production looks first, then pulls; the extension is not among its kinds"
at production pull acme/dev-qa/shared --into conf --dry-run
absent conf/variable-set
at production pull acme/dev-qa/shared --into conf
cmp shop/vars/shop-shared.yaml conf/variable-set/shop-shared/shop-shared.yaml || fail "the payload came out changed"
absent conf/extension

title "What was verified, and by whom it was signed"
at production show acme/dev-qa/shared/variable-set/shop-shared
at production verify acme/dev-qa/shared

title "Pulling again does nothing"
at production pull acme/dev-qa/shared --into conf
grep -q 'nothing to do' out.txt || fail "the second pull did something"
copy_store old-copy

title "dev-qa changes a variable under a new version; production sees what changes"
edit shop/vars/shop-shared.yaml 's/^version: 1.4.0/version: 1.5.0/; s/db-staging.acme.example/db-staging-2.acme.example/'
at dev-qa publish shared shop/vars
at production pull acme/dev-qa/shared --into conf
command_in production diff acme/dev-qa/shared/shop-shared@1.4.0 1.5.0
[ "$status" = 4 ] || fail "exit code $status, want 4 for differences"
grep -q 'db-staging-2' out.txt || fail "the diff does not show the change"
cmp shop/vars/shop-shared.yaml conf/variable-set/shop-shared/shop-shared.yaml || fail "the new version did not arrive"

title "dev-qa withdraws a step template; production lets it go when it says so"
at dev-qa withdraw shared step-template/acme-drain-web-node@6 --reason "drains the wrong node"
at production pull acme/dev-qa/shared --into conf
present conf/step-template/acme-drain-web-node
at production pull acme/dev-qa/shared --into conf --prune
absent conf/step-template/acme-drain-web-node
cp -R conf conf-before

echo
echo "Now a FORGER. Each attempt must be refused, with the right exit code."

title "He owns the store's folder and changes a value in a payload"
copy_store changed-payload
payload=$(grep -rl 'db-staging-2.acme.example' changed-payload/objects)
edit "$payload" 's/db-staging-2.acme/db.evil-forger/'
newcomer newcomer-1
refused 10 'content is sha256:' newcomer-1 pull acme/dev-qa/shared --from changed-payload --into conf-1
absent conf-1/variable-set

title "He changes one character of a signed statement"
copy_store changed-statement
statement=$(grep -rl 'dsseEnvelope' changed-statement/objects | sort | sed -n 1p)
edit "$statement" 's/"sig":"MEU/"sig":"MEV/; t
s/"sig":"ME\(.\)/"sig":"MF\1/'
newcomer newcomer-2
refused 10 'sha256:' newcomer-2 pull acme/dev-qa/shared --from changed-statement --into conf-2
absent conf-2/variable-set

title "His own Space, which nobody admitted, tries to append"
AIRLOCK_HOME=mallory "$bin" -q init evil/mallory --plain-keys --person Mallory >/dev/null
refused 11 'not admitted' mallory publish shared shop

title "He makes a Space of the same name: another root, so another lineage"
AIRLOCK_HOME=forger "$bin" -q init acme/dev-qa --plain-keys --person Alice >/dev/null
AIRLOCK_HOME=forger "$bin" -q identity export -o forged.id
refused 11 'lineage' deceived trust add forged.id --feed shared --thumbprint "$lineage"
refused 11 'lineage' operator server admit forged.id
refused 11 'no known identity' forger publish shared shop

title "He puts up a store of his own, with a log of his own, under that name"
AIRLOCK_HOME=forger "$bin" -q --store forged-store publish shared shop >/dev/null 2>&1 || fail "the forger's own store"
newcomer newcomer-3
refused 11 'no known identity' newcomer-3 pull acme/dev-qa/shared --from forged-store --into conf-3
absent conf-3/variable-set
refused 10 'not signed by the key' production pull acme/dev-qa/shared --from forged-store --into conf

title "He rolls the store back to the copy from before the change and the withdrawal"
refused 12 'went back' production pull acme/dev-qa/shared --from old-copy --into conf

title "Even dev-qa itself cannot give a published version a second content"
edit shop/vars/shop-shared.yaml 's/db-staging-2/db-staging-3/'
refused 1 'cannot become' dev-qa publish shared shop/vars

title "A production that trusts dev-qa for variable sets alone gets nothing else"
AIRLOCK_HOME=careful "$bin" -q trust add dev-qa.id --feed shared --kind variable-set --thumbprint "$lineage"
refused 0 'x extension/change-calendar' careful pull acme/dev-qa/shared --into conf-4
absent conf-4/extension
command_in careful explain acme/dev-qa/shared/change-calendar
[ "$status" = 11 ] || fail "explain: exit code $status, want 11"
present conf-4/variable-set/shop-shared/shop-shared.yaml

title "After all that, production's files are what they were, and it goes on"
at production pull acme/dev-qa/shared --into conf
grep -q 'nothing to do' out.txt || fail "something changed"
diff -r conf-before conf || fail "production's files changed"

# shellcheck source=airgap.sh
. "$repo/internal/demo/airgap.sh"

finished=1
cat <<EOT

${bold}What was proved${plain}
   - What production holds is byte for byte what dev-qa signed.
   - A changed payload or statement is found before anything is written (exit code 10).
   - A Space is its lineage, not its name: a namesake is neither admitted, trusted nor believed (11).
   - A feed never goes back behind what was seen, whoever owns the store (12).
   - A published version keeps its content (1), and a policy lets in what it names and no more.
   - Across an air gap the same holds for a stick: two people approved what came in (13), a changed volume (10)
     and a missing one (14) are named, and the next bundle carries the difference to what came back as held.
   - An auditor with certificates alone finds receipts and publications in agreement, and a changed one (10).
   $attempts attempts, none let in.
EOT
if [ -n "$keep" ]; then
	cat <<EOT

The server goes on at $url, with everything in
$dir. Try:  AIRLOCK_HOME=$dir/production $bin pull --server $url
Stop it:    kill $server
EOT
fi
