# What runs beside the story: the store, servers and agents. All of it listens on free
# ports of this machine and is ended by its process id.

pids=''
# start NAME COMMAND… runs a command in the background; pid is its process id, and what
# it says is in NAME.log.
start() {
	name=$1
	shift
	: >"$name.log" # there before it is looked into
	"$@" >"$name.log" 2>&1 </dev/null &
	pid=$!
	pids="$pid $pids"
}
# gone PID waits for a process that ends; its number may be another one's then.
gone() {
	wait "$1" 2>/dev/null || true
	left=''
	for one in $pids; do [ "$one" = "$1" ] || left="$left $one"; done
	pids=$left
}
# stop_all ends what was started, the last first: an agent has its servers to the end.
stop_all() {
	for one in $pids; do
		kill "$one" 2>/dev/null || true
		wait "$one" 2>/dev/null || true
	done
}
# until_so WHAT COMMAND… waits until a command succeeds, for 30 s.
until_so() {
	what=$1 tries=0
	shift
	until "$@"; do
		tries=$((tries + 1))
		[ "$tries" -lt 600 ] || fail "30 s passed, and not this: $what"
		sleep 0.05
	done
}
# says NAME PATTERN looks into what a process said; one that ended fails.
says() {
	grep -q -- "$2" "$1.log" && return
	kill -0 "$pid" 2>/dev/null || { cat "$1.log" >&2; fail "$1 ended"; }
	return 1
}

# open_store says where the servers keep feeds: a folder, or with STORE=s3 a bucket of
# a versitygw of its own. kept is the folder in which the bytes lie then.
open_store() {
	case $kind in
	directory) store=$dir/store kept=store ;;
	s3)
		command -v versitygw >/dev/null || fail "versitygw is not there: make demo STORE=s3 installs it"
		store=s3://airlock/demo kept=bucket/airlock/demo
		mkdir -p bucket/airlock # a folder in it is a bucket
		AIRLOCK_S3_ACCESS_KEY=demo AIRLOCK_S3_SECRET_KEY=$(random_word)
		export AIRLOCK_S3_ACCESS_KEY AIRLOCK_S3_SECRET_KEY AIRLOCK_S3_ENDPOINT
		for try in 1 2 3 4 5; do
			port=$((20000 + $(od -An -N2 -tu2 /dev/urandom) % 10000))
			AIRLOCK_S3_ENDPOINT=http://127.0.0.1:$port
			start bucket env ROOT_ACCESS_KEY_ID="$AIRLOCK_S3_ACCESS_KEY" ROOT_SECRET_ACCESS_KEY="$AIRLOCK_S3_SECRET_KEY" \
				versitygw --port "127.0.0.1:$port" --keep-alive --quiet posix bucket
			bucket_answers && return
			gone "$pid"
		done
		cat bucket.log >&2
		fail "versitygw did not start on five ports"
		;;
	*) fail "STORE=$kind is neither directory nor s3" ;;
	esac
}
# bucket_answers waits for the versitygw that was just started; false where it ended.
bucket_answers() {
	tries=0
	while kill -0 "$pid" 2>/dev/null && [ "$tries" -lt 200 ]; do
		AIRLOCK_HOME=nobody "$bin" --store s3://airlock/nothing list >out.txt 2>&1 </dev/null
		grep -q 'connection refused' out.txt || return 0
		tries=$((tries + 1))
		sleep 0.05
	done
	return 1
}
random_word() { od -An -N16 -tx1 /dev/urandom | tr -d ' \n'; }

# serve WHO starts a server of the store in the home WHO; url and pid are its.
serve() {
	who=$1
	set -- serve --store "$store" --tls self --access credentials --push-to 127.0.0.0/8 --listen 127.0.0.1:0
	typed "$who" airlock "$@"
	start "$who" env AIRLOCK_HOME="$who" "$bin" "$@" --access-log "$who.access"
	until_so "$who serves" says "$who" '^serving '
	url=$(sed -n 's/^serving .* on \(https:.*\)$/\1/p' "$who.log")
	sed "$shorter; s/^/   | /" "$who.log"
}

# copy_store DIR copies the servers' store, as a thief or a restore would.
copy_store() {
	mkdir "$1"
	for part in format objects files cells; do cp -R "$kept/$part" "$1/"; done
}
# edit FILE EXPRESSION changes a file in place. Stored files are read-only;
# who owns the folder replaces them.
edit() {
	sed "$2" "$1" >edited.tmp
	cmp -s "$1" edited.tmp && fail "the demo did not change $1"
	mv -f edited.tmp "$1"
}
# edit_signatures STORE changes one character in the signatures of its statements.
edit_signatures() {
	for statement in $(grep -rl 'dsseEnvelope' "$1/objects"); do
		edit "$statement" 's/"sig":"MEU/"sig":"MEV/; t
s/"sig":"ME\(.\)/"sig":"MF\1/'
	done
}
# edit_payload STORE changes a value in a package that it holds.
edit_payload() {
	payload=$(grep -rl 'db-staging-2.acme.example' "$1/objects" | sed -n 1p)
	edit "$payload" 's/db-staging-2.acme/db.evil-forger/'
}
# newcomer NAME makes a home that trusts dev-qa as staging does.
newcomer() { in_passing "$1" trust add dev-qa.id --feed shared --thumbprint "$lineage"; }
