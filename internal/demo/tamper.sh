# The forger again, between the two sides of the gap; and what went on meanwhile.

chapter "The FORGER gets hold of a stick, and of the stores on both sides"
cp -R island island-before

title "The servers' operator sees a package that was changed in the store"
copy_store changed-store
edit_payload changed-store
newcomer operator
refused 10 'sha256:' operator verify acme/dev-qa/shared --from changed-store

title "The officer and a receiver see a stick that was changed, and one that lacks a volume"
cp -R stick changed-stick
printf 'forged' | dd of="$(volume 2 changed-stick)" bs=1 seek=300000 conv=notrunc 2>/dev/null
refused 10 'damaged' twin inspect changed-stick
refused 10 'damaged' twin pull --from changed-stick --into twin-island
cp -R stick half-stick
rm "$(volume 2 half-stick)"
refused 14 'volume 2 of 2' twin pull --from half-stick --into twin-island
absent twin-island/variable-set
diff -r island-before island || fail "production's files changed"

title "The auditor sees a receipt that was rewritten in production's own store"
cp -R inside changed-inside
edit_signatures changed-inside
refused 10 'acme/production/receipts' auditor audit acme/production --from changed-inside --from "$store" --identity production.id --identity dev-qa.id --tsa-certs tsa.pem

title "Meanwhile the server that was left has gone on pushing, too"
publish_urgent 2 "until tomorrow"
until_so "what was pushed after the other server's end is there" urgent_arrived
say "| staging has version 2 of variable-set/shop-closed"
kill -0 "$agent" || fail "the agent ended"
