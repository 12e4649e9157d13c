# A production that no network reaches. Packages go in on a stick, receipts and holdings
# come back on another.

# person NAME makes a person's own key, which nobody else ever has, and a home
# in which to look at what is approved.
person() {
	in_passing "$1" key new "$1.key" --plain-keys
	newcomer "$1"
	in_passing "$1" trust add production.id --feed receipts --thumbprint "$production"
}
# approved_by NAME STICK PACKAGES…: a person approves what a stick holds, all of it or
# these packages.
approved_by() {
	who=$1 stick=$2
	shift 2
	at "$who" approve acme/dev-qa/shared "$@" --from "$stick" --for acme/production --key "$who.key" -o "$stick/approvals"
}
# bytes_on STICK is how many bytes its volumes have.
bytes_on() { cat "$1"/*.airlock | wc -c; }
# volume N STICK is the path of a volume.
volume() { find "$2" -name "*-00$1of*.airlock"; }

chapter "Across an air gap: to production there is no network at all"

title "production makes its Space, and asks that two people approve what comes in"
brief 2 production init acme/production --plain-keys --person Bob
works_with production store inside
brief 1 production identity export -o production.id
production=$(lineage_of production.id)
person carol
person dave
at production trust add dev-qa.id --feed shared --approvals 2 --approver carol=carol.pub --approver dave=dave.pub --thumbprint "$lineage"
brief 1 dev-qa trust add production.id --feed receipts --thumbprint "$production"

title "dev-qa puts its feed on a stick, with a tool too large for one volume"
head -c 3000000 /dev/urandom >tool.bin
brief 3 dev-qa publish shared tool.bin --kind file --name tool --version 1
at dev-qa bundle create shared --to acme/production -o stick --max-volume-size 3M --label 'to production' --classification internal
[ "$(find stick -name '*.airlock' | wc -l)" = 2 ] || fail "want two volumes"
typed courier sha256sum -c SHA256SUMS
(cd stick && (sha256sum -c SHA256SUMS || shasum -a 256 -c SHA256SUMS)) >out.txt 2>&1 || fail "SHA256SUMS"
told 12

title "The security officer looks at what the stick holds, and writes a report"
command_in 24 production inspect stick --html report.html
[ "$status" = 13 ] || fail "exit code $status, want 13: nobody approved it"
present report.html
refused 13 'needs' production pull --from stick --into island
absent island/variable-set

title "Carol and Dave approve, each with a key of their own; one is not enough"
approved_by carol stick
refused 13 'needs' production pull --from stick --into island
approved_by dave stick
cp -R production twin # which takes in what forgers hand it

title "production takes the stick in: all of it, or nothing"
at production pull --from stick --into island --environment production --by Bob
same tool.bin island/file/tool/tool.bin "the tool came out changed"
at production pull --from stick --into island --environment production --by Bob
answered 'already taken in' "the same stick was taken in twice"

title "Receipts and holdings go back on another stick"
at production holdings
brief 8 production bundle create receipts --to acme/dev-qa -o back
brief 8 dev-qa pull acme/production/receipts --from back
brief 8 dev-qa receipt list acme/production --from back
answered 'file/tool@1 .*applied' "no receipt of the tool came back"

title "The next bundle carries what is new: of the tool, the difference"
head -c 1500000 tool.bin >tool-2.bin
echo 'one line more' >>tool-2.bin
tail -c +1500001 tool.bin >>tool-2.bin
mv tool-2.bin tool.bin
brief 3 dev-qa publish shared tool.bin --kind file --name tool --version 2
at dev-qa bundle create shared --to acme/production -o stick-2
say "the first stick: $(bytes_on stick) bytes, the second: $(bytes_on stick-2)"
[ "$(bytes_on stick-2)" -lt 200000 ] || fail "the second bundle is no delta"
approved_by carol stick-2 file/tool@2
approved_by dave stick-2 file/tool@2
at production pull --from stick-2 --into island --environment production --by Bob
same tool.bin island/file/tool/tool.bin "the delta gave another tool"

title "An auditor, who trusts neither, holds production's receipts against what dev-qa published"
brief 3 production bundle create receipts --to acme/dev-qa -o back-2
in_passing production tsa cert -o tsa.pem
at auditor audit acme/production --from back-2 --from "$store" --identity production.id --identity dev-qa.id --tsa-certs tsa.pem
answered ': 0 findings' "the audit is not clean"
