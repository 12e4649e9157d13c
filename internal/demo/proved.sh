# What the run has shown, once all of it held.
cat <<EOT

${bold}What was proved${plain}, in $(($(date +%s) - began)) s
   - What staging and production hold is byte for byte what dev-qa signed.
   - A Space enrols by a code and a lineage that people compare; what is not for it does not exist for it.
   - A changed payload or statement is found before anything is written (exit code 10).
   - A Space is its lineage, not its name: a namesake is neither admitted, trusted nor believed (11).
   - A feed never goes back behind what was seen, whoever owns the store (12).
   - A published version keeps its content (1), and a policy lets in what it names and no more.
   - An agent takes what its subscriptions say, by asking and by what is pushed to it, runs a program once for
     each release, and gives receipts.
   - One of two servers was killed: $notes of $notes publications are there, each once, and the publisher was told of
     no error; the agent went on, and what is pushed still comes.
   - Across an air gap the same holds for a stick: two people approved what came in (13), a changed volume (10)
     and a missing one (14) are named, and the next bundle carries the difference to what came back as held.
   - An auditor with certificates alone finds receipts and publications in agreement, and a changed one (10).
   $attempts attempts, none let in.
EOT
if [ -n "$keep" ]; then
	cat <<EOT

What runs goes on, with everything in
$dir. Try:  cd $dir; AIRLOCK_HOME=staging $bin pull acme/dev-qa/shared --into conf
Stop it:    kill$(for one in $pids; do kill -0 "$one" 2>/dev/null && printf ' %s' "$one"; done)
EOT
fi
