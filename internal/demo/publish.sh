# A Space publishes, another one takes it in by hand.

chapter "Publish, and pull by hand"
cp -R "$repo/docs/examples" shop
rm -r shop/subscriptions # is about what is taken in

title "dev-qa publishes variable sets, step templates, a script module, a release…"
at dev-qa publish shared shop

title "staging decides whom to believe: this lineage, this feed, these kinds"
say "Alice reads the thumbprint to staging over the telephone."
kinds=variable-set,step-template,script-module,release,environments,file
at staging trust add dev-qa.id --feed shared --feed urgent --kind $kinds --until 2099-12-31 --thumbprint "$lineage"

title "staging looks first, then pulls; the extension is not among its kinds"
brief 8 staging pull acme/dev-qa/shared --into conf --dry-run
absent conf/variable-set
at staging pull acme/dev-qa/shared --into conf
same shop/vars/shop-shared.yaml conf/variable-set/shop-shared/shop-shared.yaml "the payload came out changed"
absent conf/extension

title "What was verified, and by whom it was signed"
brief 15 staging show acme/dev-qa/shared/variable-set/shop-shared
at staging verify acme/dev-qa/shared

title "Pulling again does nothing"
at staging pull acme/dev-qa/shared --into conf
answered 'nothing to do' "the second pull did something"
copy_store old-copy

title "dev-qa changes a variable under a new version; staging sees what changes"
edit shop/vars/shop-shared.yaml 's/^version: 1.4.0/version: 1.5.0/; s/db-staging.acme.example/db-staging-2.acme.example/'
at dev-qa publish shared shop/vars
at staging pull acme/dev-qa/shared --into conf
ends 4 staging diff acme/dev-qa/shared/shop-shared@1.4.0 1.5.0
answered 'db-staging-2' "the diff does not show the change"
same shop/vars/shop-shared.yaml conf/variable-set/shop-shared/shop-shared.yaml "the new version did not arrive"

title "dev-qa withdraws a step template; staging lets it go when it says so"
at dev-qa withdraw shared step-template/acme-drain-web-node@6 --reason "drains the wrong node"
at staging pull acme/dev-qa/shared --into conf
present conf/step-template/acme-drain-web-node
at staging pull acme/dev-qa/shared --into conf --prune
absent conf/step-template/acme-drain-web-node
cp -R conf conf-before

title "What is not for staging does not exist for it"
at dev-qa audience plans --to acme/production
at dev-qa publish plans shop/vars
at staging list
answered acme/dev-qa/shared "staging does not see the feed that is for all"
refused 1 'acme/dev-qa/plans' staging list acme/dev-qa/plans
