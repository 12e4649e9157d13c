# What is urgent the servers bring to the agent, which then need not ask for it.

# publish_urgent VERSION TEXT
publish_urgent() {
	printf 'apiVersion: airlock.example/v1\nkind: VariableSet\nname: Shop Closed\nversion: "%s"\nvariables:\n  - {name: Shop.Closed, value: "%s"}\n' "$1" "$2" >urgent.yaml
	brief 3 dev-qa publish urgent urgent.yaml
}
urgent_arrived() { cmp -s urgent.yaml live-urgent/variable-set/shop-closed/urgent.yaml; }
pushed() { AIRLOCK_HOME=operator "$bin" -q server push list >out.txt 2>&1 && grep -q ' pushed' out.txt; }

chapter "What is urgent is pushed"

title "staging takes from its inbox what the operator sends there, and verifies it like all else"
brief 3 staging subscription add urgent --feed acme/dev-qa/urgent --from inbox --into live-urgent
inbox=$(sed -n 's/^inbox: taking in what is pushed to \(https:[^ ]*\).*/\1/p' agent.log)
at operator server push add acme/staging "$inbox" --feed acme/dev-qa/urgent

title "dev-qa closes the shop, and staging knows"
publish_urgent 1 "for an hour"
until_so "what was pushed is there" urgent_arrived
typed staging cat live-urgent/variable-set/shop-closed/urgent.yaml
sed 's/^/   | /' urgent.yaml
until_so "the servers know that it was taken" pushed
at operator server push list
at staging verify acme/dev-qa/urgent --from staging/inbox
