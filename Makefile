# Everything that a developer does, by name. `make` lists the targets.
#
# Needs: Go 1.26, GNU make, git; the end-to-end tests also curl, h2load, nghttp, wrk and chromium. The development tools
# come from .ci/tools/go.mod through the Go module proxy, at the versions pinned there.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo devel)
FUZZTIME ?= 60s
PARITY_TESTS ?= .
BENCH_COUNT ?= 10
IMAGE ?= gatehouse:$(VERSION)
CA_BUNDLE ?= /etc/ssl/certs/ca-certificates.crt

TOOL := go tool -modfile=.ci/tools/go.mod
# The profile in cmd/gatehouse is for the binary that users run. Tests are built without it: it doubles what there is to compile.
export GOFLAGS := $(GOFLAGS) -pgo=off

# gotestsum counts the tests; .ci/tested fails when none ran.
GOTEST := $(TOOL) gotestsum --format pkgname-and-test-fails --format-hide-empty-pkg --post-run-command .ci/tested --
LINT := $(TOOL) golangci-lint

.PHONY: help
help: ## list the targets
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "  make %-13s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: setup
setup:
	@.ci/toolchain
	@go mod download

.PHONY: run
run: build ## build, and start a gateway in front of the demo shop on http://127.0.0.1:8080
	@exec bin/gatehouse dev

.PHONY: build
build: setup ## build the static binary bin/gatehouse
	CGO_ENABLED=0 go build -pgo=auto -trimpath -ldflags "-s -w -X main.buildVersion=$(VERSION)" -o bin/gatehouse ./cmd/gatehouse

.PHONY: test
test: setup ## run all tests that need only Go
	@$(GOTEST) ./...

.PHONY: check
check: format-check vet lint race ## what CI asks of a change: format, vet, lint, tests with the race detector

.PHONY: format
format: ## format the code
	@$(TOOL) gofumpt -w .

.PHONY: format-check
format-check: setup
	@.ci/format-check $(TOOL) gofumpt

.PHONY: vet
vet: setup
	go vet ./...
	go vet -tags e2e ./...

.PHONY: lint
lint: setup ## staticcheck and a few more, by .golangci.yml
	@$(LINT) run --build-tags e2e ./...

.PHONY: race
race: setup ## tests with the race detector; not the benchmarks and the pages of docs
	@$(GOTEST) -race -timeout 20m ./...

.PHONY: fuzz
fuzz: setup ## run every fuzz target for FUZZTIME (60s)
	@.ci/fuzz $(FUZZTIME)

.PHONY: fuzz-smoke
fuzz-smoke: setup ## run every fuzz target for 5 seconds, at most two minutes in all
	@.ci/fuzz 5s 120s

.PHONY: parity
parity: setup ## the compiled engine against the reference on everything there is: about an hour
	PARITY=long go test -count=1 -timeout 6h -v -run '$(PARITY_TESTS)' ./rules/parity
	PARITY=long go test -count=1 -run '^TestBodies$$' ./proxy

.PHONY: bench-engine
bench-engine: setup ## measure the engine against the reference, into bench/engine/results: an hour
	BENCHSTAT="go tool -modfile=$(CURDIR)/.ci/tools/go.mod benchstat" bench/engine/record $(BENCH_COUNT)

.PHONY: bench
bench: setup ## measure the gateway beside other servers, which it installs, into bench/recorded: an hour
	@bench/install
	@go run ./bench/compare

.PHONY: bench-quick
bench-quick: setup ## the same with what says most, in under 3 minutes
	@bench/install
	@go run ./bench/compare -quick

.PHONY: bench-curves
bench-curves: setup ## how cost grows with applications, rules, bodies, connections and threads: a quarter of an hour
	@bench/install
	@go run ./bench/compare -curves

.PHONY: pgo
pgo: build ## measure where the time goes, into cmd/gatehouse/default.pgo, by which the compiler decides what to inline
	bin/gatehouse bench -config bench/pgo.yaml -for 60s -cpuprofile cmd/gatehouse/default.pgo

.PHONY: e2e
e2e: setup ## end-to-end tests with real clients (build tag e2e)
	@packages=$$(.ci/e2e-packages); $(GOTEST) -tags e2e -count=1 -timeout 20m $$packages

.PHONY: memory
memory: setup ## the gateway's memory under ten thousand idle connections, slow uploads, large ones and WebSockets
	MEMORY=long go test -tags e2e -count=1 -timeout 20m -v -run 'TestEndToEnd/memory$$' ./cmd/gatehouse

.PHONY: floods
floods: setup ## flood a gateway over HTTP/2 in every way, a minute each, while a probe looks on
	FLOOD_TIME=60s go test -count=1 -timeout 30m -v -run TestFloods ./proxy

.PHONY: durability
durability: setup ## kill managers at named steps, 1,000 on each database, and promote standbys 100 times, under publishes
	DURABILITY=1000 go test -count=1 -timeout 2h -v -run '^(TestKills|TestStandbyPromoted)$$' ./mgmt/store

.PHONY: events-flood
events-flood: setup ## 20,000 events a second from twenty gateways for a minute: counted exactly, and no revision waits for them
	EVENTS_FLOOD=60s go test -count=1 -timeout 10m -v -run '^TestFlood$$' ./proxy/managed

.PHONY: events-scale
events-scale: setup ## find an incident among ten million events, on SQLite and then on PostgreSQL: an hour
	EVENTS=10000000 go test -count=1 -timeout 2h -v -run '^TestScale$$' ./mgmt/event
	EVENTS=10000000 EVENTS_IN=postgres go test -count=1 -timeout 2h -v -run '^TestScale$$' ./mgmt/event

.PHONY: fleet-scale
fleet-scale: setup ## 2,000 simulated gateways at one manager: a cold herd, and a publish, with times, memory and processor time
	FLEET_SCALE=2000 go test -tags e2e -count=1 -timeout 20m -v -run '^TestFleetScale$$' ./cmd/gatehouse

.PHONY: fleet-rollout
fleet-rollout: setup ## roll good, poisoned and bad revisions out to 20 gateway processes: ten minutes
	FLEET=20 go test -tags e2e -count=1 -timeout 40m -v -run '^TestFleetRollout$$' ./cmd/gatehouse

.PHONY: blackhole
blackhole: setup ## swallow a gateway's connection to its manager, with the real times: a new revision is there within a minute
	BLACKHOLE=real go test -count=1 -timeout 5m -v -run '^TestBlackHole$$' ./proxy/managed

.PHONY: peers-wire
peers-wire: setup ## the cases of proxy/wiretest against other gateways that are installed, printed
	go test -tags peers -count=1 -timeout 30m -v -run TestPeers ./proxy/wiretest

.PHONY: image
image: build ## build a container image with buildah or docker
	@.ci/image $(IMAGE) $(CA_BUNDLE) $(VERSION)

.PHONY: clean
clean: ## remove what was built
	rm -rf bin
