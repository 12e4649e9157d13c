# Airlock: what a developer, an operator trying it out and CI all call.
# `make` alone lists the targets. Tools are built, pinned, into .tools/ and
# kept there between runs; a new version of a pin rebuilds that one tool.

.DEFAULT_GOAL := help
.PHONY: help build demo test unit fuzz-short check fuzz faults soak bench interop mutate tools bench-peers clean
SHELL := /bin/sh

ROOT  := $(CURDIR)
TOOLS := $(ROOT)/.tools
BIN   := $(TOOLS)/bin
STAMP := $(TOOLS)/stamp
# Tests, benchmarks and interop find the tools by name, ours before others.
export PATH := $(BIN):$(PATH):/usr/sbin

# name@version of everything that is not in go.mod.
VERSITYGW   := versitygw@v1.8.0
COSIGN      := cosign@v3.1.3
STATICCHECK := staticcheck@v0.8.2
GOVULNCHECK := govulncheck@v1.9.0
REGISTRY    := registry@v3.1.2
MINIO       := minio@v0.0.0-20260212201848-7aac2a2c5b7c

# How long each fuzz target runs, in `make test` and in `make fuzz`.
FUZZTIME_SHORT ?= 2s
FUZZTIME       ?= 30s

# The race detector is on in the tests of every package; it needs a C compiler,
# and without one the tests still run. The stories of cmd/airlock start the program
# two thousand times. That is the test binary itself, so the detector watches each
# of these processes too, servers and long polls among them. What only costs time
# there is left out (cmd/airlock/script_test.go): with the detector a key file at its
# real cost takes four seconds and 1.6 GB, and each process sleeps for a second before
# it ends. Tests that kill the program or follow a document run it as users do,
# without the detector (internal/built).
RACE := $(shell command -v "$$(go env CC)" >/dev/null 2>&1 && echo -race)
# Nothing waits for ever: downloads and builds of tools are cut off.
LIMIT := $(shell command -v timeout >/dev/null 2>&1 && echo timeout -k 10 1200)

say = @printf '== %s\n' "$(1)"

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

build: ## build bin/airlock
	$(call say,build bin/airlock)
	@mkdir -p bin
	@CGO_ENABLED=0 go build -trimpath -o bin/airlock ./cmd/airlock

# Where the servers of the demo keep feeds: directory, or s3 with a versitygw.
STORE ?= directory

demo: build $(if $(filter s3,$(STORE)),$(STAMP)/$(VERSITYGW)) ## the whole story: Spaces, servers, an agent, sticks, a forger refused; STORE=s3
	@AIRLOCK_BIN="$(ROOT)/bin/airlock" STORE="$(STORE)" sh internal/demo/demo.sh

test: unit fuzz-short ## all tests with the race detector, then each fuzz target briefly

unit: $(STAMP)/$(VERSITYGW)
	@sh internal/tools/system.sh ip=iproute2 || echo '== the test that cuts networks apart is skipped'
	$(call say,go test $(or $(RACE),(no C compiler: without the race detector)) ./...)
	@go test $(RACE) -timeout 20m ./...

fuzz-short:
	$(call say,every fuzz target for $(FUZZTIME_SHORT))
	@sh internal/check/fuzz.sh $(FUZZTIME_SHORT)

fuzz: ## every fuzz target for FUZZTIME each (30s)
	$(call say,every fuzz target for $(FUZZTIME))
	@sh internal/check/fuzz.sh $(FUZZTIME)

faults: ## each byte of a bundle and of a stream changed in turn, and taken in: some minutes
	$(call say,faults)
	@go test -count=1 -timeout 15m -run 'EveryByte$$' ./bundle -every

# How long `make soak` runs, and what its faults are drawn from (0: the time).
SOAK ?= 10m
SEED ?= 0

soak: $(STAMP)/$(VERSITYGW) ## eight servers of one bucket under faults for SOAK (10m), what clients and agents saw checked; then single faults
	$(call say,soak for $(SOAK))
	@go test -count=1 -timeout 0 -v -run '^TestSoak$$' ./internal/soak -soak $(SOAK) -seed $(SEED)
	$(call say,a certificate that ends)
	@go test -count=1 -v -run '^TestCertificateEndsWhileConnected$$' ./internal/soak
	$(call say,networks cut; servers restarted; agents and pushes killed)
	@go test -count=1 -v -run '^(TestNetworksCut|TestRollingRestart|TestAgentsKilled|TestPushKilled)$$' ./internal/killtest
	$(call say,a store of another format)
	@go test -count=1 -v -run '^(TestDirFormat|TestS3Format|TestOpenEarlier|TestS3Raise)$$' ./storage

check: $(STAMP)/$(STATICCHECK) $(STAMP)/$(GOVULNCHECK) ## format, vet, staticcheck, imports, known vulnerabilities, modules
	$(call say,gofmt)
	@sh internal/check/gofmt.sh
	$(call say,go vet)
	@go vet ./...
	@go vet -tags interop ./internal/interop/...
	@cd internal/bench/peers/oras && go vet ./...
	$(call say,staticcheck)
	@staticcheck ./...
	@staticcheck -tags interop ./internal/interop/...
	$(call say,imports go one way and other rules of the repository)
	@go test -count=1 ./internal/check
	$(call say,govulncheck)
	@sh internal/check/vuln.sh
	$(call say,modules)
	@go mod verify
	@go mod tidy -diff

# The rows of the benchmark that are about many Spaces and servers.
SPACES := ^(servers|many|waiters|applied|agent|fair)$$

bench: build bench-peers $(STAMP)/$(REGISTRY) ## measure against peers, then many Spaces, each in one run; write docs/benchmarks.md and docs/benchmarks-spaces.md
	$(call say,bench)
	@go run ./internal/bench -profile -skip '$(SPACES)' -o docs/benchmarks.md
	@go run ./internal/bench -profile -only '$(SPACES)' -title 'Benchmarks: Spaces at work' -o docs/benchmarks-spaces.md

interop: build $(STAMP)/$(COSIGN) $(STAMP)/$(MINIO) $(STAMP)/$(VERSITYGW) ## strangers' tools read our output: cosign, openssl, torchwood, skopeo, a browser; MinIO keeps it
	$(call say,interop)
	@sh internal/tools/system.sh openssl skopeo chromium
	@go test -tags interop -count=1 -timeout 15m ./internal/interop/...

mutate: $(STAMP)/$(VERSITYGW) ## disable each guard in turn; the test named for it must fail
	$(call say,mutate)
	@go run ./internal/mutate $(if $(RUN),-run '$(RUN)') internal/mutate/guards.txt

tools: $(foreach t,$(VERSITYGW) $(COSIGN) $(STATICCHECK) $(GOVULNCHECK) $(REGISTRY) $(MINIO),$(STAMP)/$(t)) ## build every pinned tool into .tools/

clean: ## remove what was built; the tools stay (rm -r .tools removes them)
	@rm -rf bin

# install PACKAGE: one tool at the version its stamp names.
define install
	$(call say,install $(notdir $@))
	@mkdir -p $(BIN) $(STAMP)
	@GOBIN=$(BIN) $(LIMIT) go install $(1)@$(lastword $(subst @, ,$(notdir $@)))
	@rm -f $(STAMP)/$(firstword $(subst @, ,$(notdir $@)))@* && touch $@
endef

$(STAMP)/$(VERSITYGW):
	$(call install,github.com/versity/versitygw/cmd/versitygw)

$(STAMP)/$(MINIO):
	$(call install,github.com/minio/minio)

$(STAMP)/$(COSIGN):
	$(call install,github.com/sigstore/cosign/v3/cmd/cosign)

$(STAMP)/$(STATICCHECK):
	$(call install,honnef.co/go/tools/cmd/staticcheck)

$(STAMP)/$(REGISTRY):
	$(call install,github.com/distribution/distribution/v3/cmd/registry)

# govulncheck needs a replaced dependency, so it is a module of its own.
$(STAMP)/$(GOVULNCHECK): internal/tools/govulncheck/go.mod internal/tools/govulncheck/go.sum
	$(call say,install $(notdir $@))
	@mkdir -p $(BIN) $(STAMP)
	@cd internal/tools/govulncheck && $(LIMIT) go build -o $(BIN)/govulncheck golang.org/x/vuln/cmd/govulncheck
	@rm -f $(STAMP)/govulncheck@* && touch $@

# The peers of the benchmark: system packages, and an OCI client of our own.
bench-peers:
	@sh internal/tools/system.sh nginx=nginx-light wrk openssl zstd par2 restic
	@cd internal/bench/peers/oras && go build -o $(BIN)/oras .
