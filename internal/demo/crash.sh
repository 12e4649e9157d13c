# One of the two servers is killed while a publisher and an agent work.

# publish_many publishes versions of a note one after the other, and keeps which were
# acknowledged and which were not.
publish_many() {
	v=0
	while [ $v -lt "$notes" ]; do
		v=$((v + 1))
		echo "note $v" >note.txt
		if AIRLOCK_HOME=dev-qa "$bin" -q publish shared note.txt --kind file --name note --version $v >note.out 2>&1 </dev/null; then
			echo $v >>acknowledged.txt
		else
			{ echo "version $v:"; cat note.out; } >>refused.txt
		fi
	done
}
acknowledged() { [ "$(wc -l <acknowledged.txt)" -ge "$1" ]; }

chapter "One of the servers is killed while they work"
notes=24
: >acknowledged.txt
: >refused.txt

title "dev-qa publishes $notes versions of a note, one after the other; in the middle a server dies"
prompt dev-qa 'for v in $(seq '$notes'); do airlock publish shared note.txt --kind file --name note --version $v; done &'
publish_many &
publisher=$!
pids="$publisher $pids"
until_so "a third is acknowledged" acknowledged $((notes / 3))
prompt operator "kill -9 $pid_a   # the server on $url_a, which dev-qa asks first"
kill -9 "$pid_a"
before=$(wc -l <acknowledged.txt)
gone "$pid_a"
say "acknowledged until then: $before of $notes"
gone "$publisher"
say "acknowledged at the end: $(wc -l <acknowledged.txt), failed: $(grep -c '^version' refused.txt || true)"
[ ! -s refused.txt ] || { cat refused.txt >&2; fail "the publisher was told of the killed server"; }

title "Nothing that was acknowledged is lost or there twice"
command_in 9 staging list acme/dev-qa/shared --all --name note
[ "$status" = 0 ] || fail "exit code $status"
awk '$1 == "file/note" { print $2 }' out.txt | sort -n | cmp -s - acknowledged.txt || fail "the feed does not hold what was acknowledged"
at staging verify acme/dev-qa/shared

title "The agent went on with the other server, and has the newest"
until_so "the last note is there" cmp -s note.txt live/file/note/note.txt
kill -0 "$agent" || fail "the agent ended"
deployed "add acme-shop 2.4.1" "change acme-shop 2.4.2" || fail "the program was run again"
typed staging cat live/file/note/note.txt
sed 's/^/   | /' live/file/note/note.txt
