# Everything works from a fresh clone: each target fetches and builds what it needs.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

GO ?= go
# Without the paths of this folder in what is built, all clones on a machine share what Go has compiled.
export GOFLAGS := -trimpath $(shell $(GO) env GOFLAGS)
# Two cores: tests wait for HAProxy more than they compute, so each package may run four at a time. What they found
# before says little (-count=1): Go knows nothing of the programs that they run.
TESTFLAGS ?= -timeout 20m -p 2 -parallel 4 -count=1
# Packages with goroutines of their own and few dependencies run under the race detector, the longest first.
RACE ?= link hapctl dns01 weirtest discovery/zookeeper accesslog discovery/consul secrets discovery/dns
# Of the others these take longest.
FIRST ?= e2e internal/agent internal/store docs cmd/weir
FUZZTIME ?= 2m
DEMO_SECONDS ?= 0
ONLY ?=
BENCH ?= all

.PHONY: help
help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  make %-10s %s\n", $$1, $$2}' Makefile

.PHONY: demo
demo: build ## run a fleet on loopback until Ctrl-C, or DEMO_SECONDS=20 and tell what held
	@haproxy=$$(scripts/haproxy.sh --path); \
	exec bin/weir demo --haproxy "$$haproxy" --seconds "$(DEMO_SECONDS)"

.PHONY: build
build: web ## build bin/weir, with its console
	@mkdir -p bin
	@$(GO) build -o bin/weir ./cmd/weir

.PHONY: web
web: ## build the console into internal/console/dist, when something of web/ has changed
	@scripts/web.sh build

.PHONY: shots
shots: haproxy chromium web ## walk the console in a browser and say where its pictures are; ONLY=signin,rail for some
	@WEIR_CONSOLE="$(ONLY)" $(GO) test -count=1 -timeout 14m -run '^TestConsole$$' ./e2e
	@ls -d "$$PWD"/web/results/*.png

.PHONY: packages
packages: web ## build Debian packages into dist/
	@scripts/packages.sh dist

.PHONY: test
test: ## get what the tests need, lint, then run all tests on both HAProxy versions
	@$(MAKE) -j -O programs consul web lint
	@scripts/test.sh "$(RACE)" "$(FIRST)" $(TESTFLAGS)

.PHONY: lint
lint: tools ## gofumpt, go vet, staticcheck, at the versions of tools/go.mod; types and unit tests of web/
	@scripts/lint.sh
	@scripts/web.sh check

.PHONY: fmt
fmt: tools ## format the code with gofumpt
	@.tools/bin/gofumpt -w .

.PHONY: bench
bench: haproxy etcd zookeeper chromium web ## print figures as «name value unit» lines; BENCH=name for one
	@WEIR_BENCH="$(BENCH)" $(GO) test -count=1 -timeout 30m -run '^TestFigures$$' -v ./bench | scripts/figures.sh

.PHONY: soak
soak: programs consul ## long random walks, then each fuzz target for FUZZTIME (2m)
	@WEIR_SOAK=1 $(GO) test -count=1 -timeout 4h -p 1 ./...
	@scripts/fuzz.sh "$(FUZZTIME)"

.PHONY: programs
programs: ## get all Debian packages below into .tools at once
	@scripts/programs.sh

.PHONY: haproxy
haproxy: ## get HAProxy 3.4 and 3.2 into .tools
	@scripts/programs.sh haproxy-3.4 haproxy-3.2

.PHONY: etcd
etcd: ## get etcd into .tools, for tests against a cluster outside
	@scripts/programs.sh etcd

.PHONY: knot
knot: ## get Knot DNS into .tools, for tests of dns-01 challenges
	@scripts/programs.sh knot

.PHONY: promtool
promtool: ## get promtool into .tools, for tests of the alert rules
	@scripts/programs.sh promtool

.PHONY: zookeeper
zookeeper: ## get ZooKeeper and a Java for it into .tools, for tests of discovery
	@scripts/programs.sh zookeeper

.PHONY: chromium
chromium: ## get Chromium into .tools, for tests of the console
	@scripts/programs.sh chromium

.PHONY: consul
consul: ## get HashiCorp's double of Consul's API into .tools, for tests of discovery
	@scripts/consul.sh

.PHONY: tools
tools:
	@mkdir -p .tools/bin
	@cd tools && $(GO) build -o ../.tools/bin/ tool

.PHONY: clean
clean: ## remove what was built, keep what was fetched
	@rm -rf bin dist .demo
