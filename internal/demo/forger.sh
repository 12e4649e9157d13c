# A forger who has the store's folder, a code, a name, and keys of his own.

chapter "Now a FORGER: each attempt must be refused, with the right exit code"

title "He owns the store's folder and changes a value in a payload"
copy_store changed-payload
edit_payload changed-payload
newcomer newcomer-1
refused 10 'content is sha256:' newcomer-1 pull acme/dev-qa/shared --from changed-payload --into conf-1
absent conf-1/variable-set

title "He changes one character in the signatures of statements"
copy_store changed-statement
edit_signatures changed-statement
newcomer newcomer-2
refused 10 'sha256:' newcomer-2 pull acme/dev-qa/shared --from changed-statement --into conf-2
absent conf-2/variable-set

title "He got hold of a code, and asks with a Space of his own; the operator knows no such lineage"
in_passing mallory init evil/mallory --plain-keys --person Mallory
refused 11 'was used already' mallory join "$servers" "$invitation"
in_passing operator server invite -f json
invitation=$(sed -n 's/.*"code": "\(.*\)".*/\1/p' out.txt)
brief 2 mallory join "$servers" "$invitation" --no-wait
brief 1 operator server confirm evil/mallory --reject
refused 11 'is none by which evil/mallory is known' mallory publish shared shop
refused 11 'is none by which evil/mallory is known' mallory list

title "He makes a Space of the same name: another root, so another lineage"
in_passing forger init acme/dev-qa --plain-keys --person Alice
in_passing forger identity export -o forged.id
refused 11 'lineage' deceived trust add forged.id --feed shared --thumbprint "$lineage"
refused 11 'lineage' operator server admit forged.id
in_passing operator server invite -f json
invitation=$(sed -n 's/.*"code": "\(.*\)".*/\1/p' out.txt)
refused 11 'lineage' forger join "$servers" "$invitation"
refused 11 "another operator's store" forger --store "$store" publish shared shop

title "He puts up a store of his own, with a log of his own, under that name"
in_passing forger --store forged-store publish shared shop
newcomer newcomer-3
refused 11 'no known identity' newcomer-3 pull acme/dev-qa/shared --from forged-store --into conf-3
absent conf-3/variable-set
refused 10 'not signed by the key' staging pull acme/dev-qa/shared --from forged-store --into conf

title "He rolls the store back to the copy from before the change and the withdrawal"
refused 12 'went back' staging pull acme/dev-qa/shared --from old-copy --into conf

title "Even dev-qa itself cannot give a published version a second content"
edit shop/vars/shop-shared.yaml 's/db-staging-2/db-staging-3/'
refused 1 'cannot become' dev-qa publish shared shop/vars

title "A home that trusts dev-qa for variable sets alone gets nothing else"
in_passing careful trust add dev-qa.id --feed shared --kind variable-set --thumbprint "$lineage"
copy_store faithful
refused 0 'x extension/change-calendar' careful pull acme/dev-qa/shared --from faithful --into conf-4
absent conf-4/extension
ends 11 careful explain acme/dev-qa/shared/change-calendar --from faithful
present conf-4/variable-set/shop-shared/shop-shared.yaml

title "After all that, staging's files are what they were, and it goes on"
at staging pull acme/dev-qa/shared --into conf
answered 'nothing to do' "something changed"
diff -r conf-before conf || fail "staging's files changed"
