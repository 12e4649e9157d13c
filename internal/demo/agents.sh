# An agent takes in for its Space what the subscriptions say, and runs what they trigger.

# deployed LINE… holds what the program noted against what it should have seen.
deployed() {
	printf '%s\n' "$@" >want.txt
	cmp -s want.txt staging/deployed.txt
}

chapter "Packages flow by themselves: poll and trigger"

title "staging says what it takes by itself: settings into a folder, and a program for each release"
brief 3 staging subscription add settings --feed acme/dev-qa/shared --kind variable-set,file --into live --every 2s
cat >staging/deploy.sh <<'SCRIPT'
echo "$AIRLOCK_UPDATE_OP $AIRLOCK_UPDATE_NAME $AIRLOCK_UPDATE_VERSION" >>deployed.txt
SCRIPT
cat >staging/subscriptions/deploy.yaml <<'RULES'
apiVersion: airlock.example/v1
kind: Subscription
name: deploy
feeds: [acme/dev-qa/shared]
kinds: [release]
every: 2s
rules:
  - {name: web, environments: [Staging], roles: [web], do: {exec: sh deploy.sh}}
  - {name: later, environments: [Production], do: {exec: exit 1}}
RULES
typed staging cat subscriptions/deploy.yaml
sed 's/^/   | /' staging/subscriptions/deploy.yaml
at staging subscription check

title "Its agent runs as a service; its receipts are for dev-qa to read"
brief 3 staging audience receipts --to acme/dev-qa
brief 1 dev-qa trust add staging.id --feed receipts --thumbprint "$staging"
typed staging airlock agent --environment Staging --target-role web --inbox 127.0.0.1:0
start agent env AIRLOCK_HOME=staging "$bin" agent --environment Staging --target-role web --inbox 127.0.0.1:0
agent=$pid
until_so "the agent has what was there before" cmp -s live/variable-set/shop-shared/shop-shared.yaml conf/variable-set/shop-shared/shop-shared.yaml
until_so "the program saw the release" deployed "add acme-shop 2.4.1"

title "dev-qa publishes settings and a release; nobody at staging types anything"
edit shop/vars/shop-shared.yaml 's/^version: 1.5.0/version: 1.6.0/'
edit shop/releases/acme-shop-2.4.1.yaml 's/^version: 2.4.1/version: 2.4.2/'
at dev-qa publish shared shop/vars shop/releases
until_so "the new settings are there" cmp -s shop/vars/shop-shared.yaml live/variable-set/shop-shared/shop-shared.yaml
until_so "the program saw the new release once" deployed "add acme-shop 2.4.1" "change acme-shop 2.4.2"
typed staging cat deployed.txt
sed 's/^/   | /' staging/deployed.txt
typed staging cat agent.log
cp agent.log out.txt
told 12

title "What should be there, what is, since when, and who published it"
ends 0 staging status --environment Staging --target-role web
answered 'variable-set/shop-shared .*as desired' "the settings are not as desired"

title "Receipts came back without anybody asking"
receipts_of() { AIRLOCK_HOME=dev-qa "$bin" -q receipt list acme/staging >out.txt 2>&1 && grep -q "$1" out.txt; }
until_so "a receipt of the release" receipts_of 'release/acme-shop@2.4.2 .*applied'
at dev-qa receipt list acme/staging
