# The second part of the story, read by demo.sh with what it has made: a
# production that no network reaches. Packages go in on a stick, receipts and
# holdings come back on another, and every tampering is seen on each side.

# person NAME makes a person's own key, which nobody else ever has, and a home
# in which to look at what is approved.
person() {
	AIRLOCK_HOME=$1 "$bin" -q key new "$1.key" --plain-keys >/dev/null
	newcomer "$1"
	AIRLOCK_HOME=$1 "$bin" -q trust add vault.id --feed receipts --thumbprint "$vault"
}
# approved_by NAME STICK: a person approves what a stick holds.
approved_by() { at "$1" approve acme/dev-qa/shared --from "$2" --for acme/production --key "$1.key" -o "$2/approvals"; }
# bytes_on STICK is how many bytes its volumes have.
bytes_on() { cat "$1"/*.airlock | wc -c; }
# volume N STICK is the path of a volume.
volume() { find "$2" -name "*-00$1of*.airlock"; }

# works_with HOME FLAG VALUE says in its config.yaml where a home works.
works_with() { printf 'apiVersion: airlock.example/v1\nkind: Config\nflags:\n  %s: %s\n' "$2" "$3" >"$1/config.yaml"; }

echo
echo "Now an ISOLATED production, the home vault: there is no network to it."
unset AIRLOCK_SERVER
works_with dev-qa server "$url"

title "The vault makes its Space, and asks that two people approve what comes in"
at vault init acme/production --plain-keys --person Bob
works_with vault store inside
at vault identity export -o vault.id
vault=sha256:$(sed -n 2p vault.id | tr -d '\n' | (sha256sum 2>/dev/null || shasum -a 256) | cut -d' ' -f1)
person carol
person dave
at vault trust add dev-qa.id --feed shared --approvals 2 --approver carol=carol.pub --approver dave=dave.pub --thumbprint "$lineage"
at dev-qa trust add vault.id --feed receipts --thumbprint "$vault"

title "dev-qa puts its feed on a stick, with a tool too large for one volume"
head -c 3000000 /dev/urandom >tool.bin
at dev-qa publish shared tool.bin --kind file --name tool --version 1
at dev-qa bundle create shared --to acme/production -o stick --max-volume-size 3M --label 'to the vault' --classification internal
[ "$(find stick -name '*.airlock' | wc -l)" = 2 ] || fail "want two volumes"
(cd stick && (sha256sum -c SHA256SUMS || shasum -a 256 -c SHA256SUMS)) >out.txt 2>&1 || fail "SHA256SUMS"
sed 's/^/   | /' out.txt

title "The security officer looks at what the stick holds, and writes a report"
command_in vault inspect stick --html report.html
[ "$status" = 13 ] || fail "inspect: exit code $status, want 13: nobody approved it"
present report.html
refused 13 'needs' vault pull --from stick --into island
absent island/variable-set

title "Carol and Dave approve, each with a key of their own; one is not enough"
approved_by carol stick
refused 13 'needs' vault pull --from stick --into island
approved_by dave stick
cp -R vault twin # which takes in what forgers hand it

title "The vault takes the stick in: all of it, or nothing"
at vault pull --from stick --into island --environment production --by Bob
cmp tool.bin island/file/tool/tool.bin || fail "the tool came out changed"
at vault pull --from stick --into island --environment production --by Bob
grep -q 'already taken in' out.txt || fail "the same stick was taken in twice"

title "Receipts and holdings go back on another stick"
at vault holdings
at vault bundle create receipts --to acme/dev-qa -o back
at dev-qa pull acme/production/receipts --from back
at dev-qa receipt list acme/production --from back
grep -q 'file/tool@1 .*applied' out.txt || fail "no receipt of the tool came back"

title "The next bundle carries what is new: of the tool, the difference"
head -c 1500000 tool.bin >tool-2.bin
echo 'one line more' >>tool-2.bin
tail -c +1500001 tool.bin >>tool-2.bin
mv tool-2.bin tool.bin
at dev-qa publish shared tool.bin --kind file --name tool --version 2
at dev-qa bundle create shared --to acme/production -o stick-2
say "| the first stick: $(bytes_on stick) bytes, the second: $(bytes_on stick-2)"
[ "$(bytes_on stick-2)" -lt 200000 ] || fail "the second bundle is no delta"
approved_by carol stick-2
approved_by dave stick-2
at vault pull --from stick-2 --into island --environment production --by Bob
cmp tool.bin island/file/tool/tool.bin || fail "the delta gave another tool"

title "An auditor, who trusts neither, holds the vault's receipts against what dev-qa published"
at vault bundle create receipts --to acme/dev-qa -o back-2
at vault tsa cert -o tsa.pem
at auditor audit acme/production --from back-2 --from operator/store --identity vault.id --identity dev-qa.id --tsa-certs tsa.pem

cp -R island island-before
echo
echo "The FORGER gets hold of a stick, and of the stores on both sides."

title "The server's operator sees a package that was changed in the store"
copy_store changed-store
payload=$(grep -rl 'db-staging-2.acme.example' changed-store/objects)
edit "$payload" 's/db-staging-2.acme/db.evil-forger/'
newcomer operator
refused 10 'sha256:' operator verify acme/dev-qa/shared --from changed-store

title "The officer and a vault see a stick that was changed, and one that lacks a volume"
cp -R stick changed-stick
printf 'forged' | dd of="$(volume 2 changed-stick)" bs=1 seek=300000 conv=notrunc 2>/dev/null
refused 10 'damaged' twin inspect changed-stick
refused 10 'damaged' twin pull --from changed-stick --into twin-island
cp -R stick half-stick
rm "$(volume 2 half-stick)"
refused 14 'volume 2 of 2' twin pull --from half-stick --into twin-island
absent twin-island/variable-set
diff -r island-before island || fail "the vault's files changed"

title "The auditor sees a receipt that was rewritten in the vault's own store"
cp -R inside changed-inside
statement=$(grep -rl 'dsseEnvelope' changed-inside/objects | sort | sed -n 1p)
edit "$statement" 's/"sig":"MEU/"sig":"MEV/; t
s/"sig":"ME\(.\)/"sig":"MF\1/'
refused 10 'acme/production/receipts' auditor audit acme/production --from changed-inside --from operator/store --identity vault.id --identity dev-qa.id --tsa-certs tsa.pem
