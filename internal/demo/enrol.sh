# Two servers of one store, and the Spaces that enrol with them.

# lineage_of FILE computes the lineage of an identity file, without Airlock: it is the
# SHA-256 of the identity's first version.
lineage_of() {
	printf 'sha256:'
	sed -n 2p "$1" | tr -d '\n' | (sha256sum 2>/dev/null || shasum -a 256) | cut -d' ' -f1
}
# works_with HOME FLAG VALUE says in its config.yaml where a home works.
works_with() { printf 'apiVersion: airlock.example/v1\nkind: Config\nflags:\n  %s: %s\n' "$2" "$3" >"$1/config.yaml"; }
# invite SPACE has the operator make a code, which is good once.
invite() {
	brief 2 operator server invite --space "$1"
	invitation=$(sed -n 's/^Code  *//p' out.txt)
	[ -n "$invitation" ] || fail "no code"
}

chapter "Two servers of one store, and Spaces that enrol"

open_store
title "The operator starts a server, which never holds a Space's key"
serve operator
url_a=$url pid_a=$pid

title "A second one shares the store: its home needs the operator's log key, and nothing else"
copying='(umask 077; mkdir -p operator-2/keys; cp operator/keys/log.key operator-2/keys/)'
prompt operator "$copying"
eval "$copying"
serve operator-2
url_b=$url pid_b=$pid
servers=$url_a,$url_b
works_with operator store "$store"

title "dev-qa becomes a Space: a root key, a publisher key and an identity"
at dev-qa init acme/dev-qa --plain-keys --person Alice
at dev-qa identity export -o dev-qa.id
lineage=$(lineage_of dev-qa.id)
answered "$lineage" "the lineage is not the SHA-256 of identity version 1"

title "It enrols: a code, good once, that names the servers' key; and a lineage that people compare"
invite acme/dev-qa
at dev-qa join "$servers" "$invitation" --no-wait
answered 'State .*pending' "dev-qa was let in before anybody confirmed it"
say "Alice reads her lineage to the operator over the telephone."
at operator server confirm acme/dev-qa --thumbprint "$lineage"

title "staging becomes a Space and enrols in the same way"
brief 2 staging init acme/staging --plain-keys --person Sam
brief 1 staging identity export -o staging.id
staging=$(lineage_of staging.id)
invite acme/staging
brief 3 staging join "$servers" "$invitation" --no-wait
brief 1 operator server confirm acme/staging --thumbprint "$staging"
at operator server list
[ "$(grep -c ' admitted ' out.txt)" = 2 ] || fail "not both are admitted"
say "From now on both know the servers by their pinned key, and show certificates of their own."
