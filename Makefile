# Pointsman: every target works from a fresh clone with nothing else typed. `make` lists them.

SHELL := /bin/bash
.DELETE_ON_ERROR:
.DEFAULT_GOAL := help
.PHONY: help setup build pgo quick demo observe run test bench compare instructions allocations fuzz fmt fmt-python lint lint-python doc models prices training-data eval clients \
	envoy fleet clients-python clients-inference clients-node clients-agents clients-agents-translation clients-translation clients-types mixed dashboards pictures exporter train-check reports console console-load newcomer mlflow remote loop soak chaos hostile sbom licences install helm gateways schemas unit host image

CARGO ?= cargo
# What `make run` serves, and what `make demo` is given besides.
CONFIG ?= config/quickstart.yaml
DEMO_FLAGS ?=
# What `make observe` is given: --once ends it after the first figures.
OBSERVE_FLAGS ?=
# What `make compare` is given: --quick takes minutes instead of twenty-five.
COMPARE_FLAGS ?=
# Whether BOLT lays out what `make pgo` builds.
BOLT ?=
# What `make instructions` is given: --write takes what was counted as the baseline.
INSTRUCTIONS_FLAGS ?=
# What `make allocations` is given: --sites 20 shows who asks most, --limit 40 fails above that.
ALLOCATIONS_FLAGS ?=
# What `make reports` is given: --docs draws the pictures of docs/comparison.md.
REPORTS_FLAGS ?=
# What `make helm` is given: --bless takes the manifests as they are now.
BLESS ?=
# What `make image` is given: --binary target/release/pointsman takes that in place of the first stage, --file Dockerfile, --keep keeps the images.
IMAGE_FLAGS ?=
# What `make host` is given: --binary FILE in place of target/release/pointsman, --root FOLDER a machine that was made before.
HOST_FLAGS ?=
# Where `make install` puts things, and the folder that stands for the root, for packages.
PREFIX ?= /usr/local
DESTDIR ?=
# What `make console` is given: --docs draws the pictures of docs/console.md.
CONSOLE_FLAGS ?=
# What `make newcomer` is given: --docs writes docs/newcomer.md.
NEWCOMER_FLAGS ?=
# What `make loop` is given: --rows 120 is what CI takes, --outcomes FILE other outcomes, --out DIR keeps everything, --pictures docs draws those of docs/loop.md.
LOOP_FLAGS ?=
# How long `make fuzz` runs each target, and with which sanitizer: `address` needs CARGO="cargo +nightly".
FUZZ_SECONDS ?= 600
FUZZ_SANITIZER ?= none
# The targets that `make fuzz` runs, and the longest that one input may take, in seconds.
FUZZ_TARGETS ?= $(basename $(notdir $(wildcard fuzz/fuzz_targets/*.rs)))
FUZZ_TIMEOUT ?= 5
# Flags for the test runner, such as TEST_FLAGS=bodies to run the tests of that name.
TEST_FLAGS ?=

# What every target but `build` runs: optimised enough, and built for the wait. The demo leaves out what it does not show: the lab,
# Redis and OTLP.
QUICK = --profile quick --locked
DEMO = $(QUICK) --no-default-features
TARGET = $$($(CARGO) metadata --format-version=1 --no-deps | sed 's/.*"target_directory":"\([^"]*\)".*/\1/')
QUICK_BINARY = "$(TARGET)/quick/pointsman"
RELEASE_BINARY = "$(TARGET)/release/pointsman"

# cmake and cargo-deny live there where the machine has none.
export PATH := $(CURDIR)/.tools/bin:$(PATH)
# ONNX Runtime tells its vendor nothing, in tests, benchmarks and the recipe either (docs/security.md).
export ORT_TELEMETRY_DISABLED := 1
export ORT_RUNNING_UNIT_TESTS := 1

help: ## List the targets
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 18

setup: ## Fetch what the build needs: cmake, a C compiler, libonnxruntime (a second run does nothing)
	@bash .ci/setup

build: setup ## Build the release binary, as the images do
	$(CARGO) build --release --locked

pgo: setup ## Build target/pgo/pointsman: the release, optimised by a profile of itself (BOLT=1: laid out by one, too)
	@bash .ci/setup pgo
	@[ -z "$(BOLT)" ] || bash .ci/setup bolt
	CARGO="$(CARGO)" BOLT=$(BOLT) bash benches/pgo/build.sh

quick: setup
	$(CARGO) build $(QUICK)

demo: setup ## Route eight prompts through a proxy in front of two built-in upstreams (DEMO_FLAGS=--once ends it)
	@[ -x $(QUICK_BINARY) ] || echo "make demo: the first build compiles some 330 crates, four to five minutes on two idle cores; later ones take seconds"
	$(CARGO) run $(DEMO) -- demo $(DEMO_FLAGS)

observe: quick ## Run a fleet under demo traffic with a real Prometheus (OBSERVE_FLAGS=--once ends it)
	@bash .ci/setup prometheus
	@POINTSMAN=$(QUICK_BINARY) python3 tests/observe/watch.py $(OBSERVE_FLAGS)

run: setup ## Serve CONFIG (config/quickstart.yaml)
	$(CARGO) run $(QUICK) -- serve -c $(CONFIG)

test: setup ## Run every test: unit, end to end, documentation
	@bash .ci/setup redis || echo "make test: without Redis the tests of the shared store fail" >&2
	@if $(CARGO) nextest --version >/dev/null 2>&1; then \
		set -x; $(CARGO) nextest run --workspace --locked --no-fail-fast $(TEST_FLAGS); \
	else \
		set -x; $(CARGO) test --workspace --locked --no-fail-fast --lib --bins --tests $(TEST_FLAGS); \
	fi
	$(CARGO) test --workspace --locked --doc
	python3 -B -m unittest discover --quiet --start-directory benches/compare/tests
	python3 -B -m unittest discover --quiet --start-directory benches/instructions/tests

bench: setup ## Run the benchmarks
	$(CARGO) bench --locked

compare: build ## Measure Pointsman beside other proxies (COMPARE_FLAGS=--quick; benches/compare/install.sh installs peers)
	benches/compare/run.sh $(COMPARE_FLAGS)

# The release: what is optimised little counts four times as much, and other things.
instructions: build ## Count the instructions of requests under callgrind, beside benches/instructions/baseline.json (INSTRUCTIONS_FLAGS=--write)
	@bash .ci/setup valgrind
	POINTSMAN=$(RELEASE_BINARY) python3 benches/instructions/count.py $(INSTRUCTIONS_FLAGS)

allocations: setup ## Count the allocations of requests in a release build with its symbols (ALLOCATIONS_FLAGS="--sites 20 --limit 40")
	@bash .ci/setup valgrind
	CARGO_PROFILE_RELEASE_STRIP=none $(CARGO) build --release --locked --bin pointsman --target-dir target/symbols
	POINTSMAN=target/symbols/release/pointsman python3 benches/instructions/allocations.py $(ALLOCATIONS_FLAGS)

fuzz: setup ## Run every fuzz target (FUZZ_TARGETS) for FUZZ_SECONDS (600), one after another
	@command -v cargo-fuzz >/dev/null || $(CARGO) install --locked --root .tools cargo-fuzz
	@python3 fuzz/seeds.py
	@for target in $(FUZZ_TARGETS); do \
		echo "fuzzing $$target for $(FUZZ_SECONDS) s"; \
		mkdir -p fuzz/corpus/$$target fuzz/target/seeds/$$target; \
		$(CARGO) fuzz run --dev --sanitizer $(FUZZ_SANITIZER) $$target fuzz/corpus/$$target fuzz/target/seeds/$$target -- \
			-max_total_time=$(FUZZ_SECONDS) -max_len=16384 -timeout=$(FUZZ_TIMEOUT) -rss_limit_mb=2048 -print_final_stats=1 || exit 1; \
	done

fmt: ## Format the sources
	$(CARGO) fmt --all

fmt-python: .venv/lint ## Format all Python
	.venv/bin/ruff check --quiet --select I --fix .
	.venv/bin/ruff format .

lint: setup ## Check format and lints as CI does
	$(CARGO) fmt --all --check
	$(CARGO) clippy --workspace --locked --all-targets -- -D warnings

# mypy runs more than once: folders of scripts have modules of the same names.
lint-python: .venv/lint ## Check format, lints and types of all Python as CI does
	.venv/bin/ruff format --check .
	.venv/bin/ruff check .
	MYPYPATH=benches/gpu:benches/instructions .venv/bin/mypy .ci/licences.py .ci/wheel.py benches/budgets benches/escalation.py benches/gpu benches/instruction_sets benches/instructions benches/response_cache crates/core/known_models models tests/fixtures
	MYPYPATH=benches/compare:benches/compare/tests .venv/bin/mypy benches/compare
	MYPYPATH=tests/clients .venv/bin/mypy tests/clients
	MYPYPATH=crates/translation/tests/fixtures .venv/bin/mypy crates/translation/tests/fixtures
	MYPYPATH=benches/compare:tests/clients .venv/bin/mypy benches/pgo
	MYPYPATH=tests/envoy .venv/bin/mypy tests/envoy
	MYPYPATH=tests/exporter .venv/bin/mypy tests/exporter
	MYPYPATH=tests/reports .venv/bin/mypy tests/reports
	MYPYPATH=tests/reports:tests/console .venv/bin/mypy tests/console
	MYPYPATH=tests/clients:tests/reports .venv/bin/mypy tests/newcomer
	MYPYPATH=tests/reports:tests/runs .venv/bin/mypy tests/runs
	MYPYPATH=tests/reports:tests/loop .venv/bin/mypy tests/loop
	MYPYPATH=tests/clients:tests/resilience .venv/bin/mypy tests/resilience
	MYPYPATH=tests/observe:config/grafana .venv/bin/mypy config/grafana tests/observe
	MYPYPATH=tests/deploy .venv/bin/mypy tests/deploy
	MYPYPATH=tests/envoy .venv/bin/mypy benches/ext_proc
	MYPYPATH=tests/remote .venv/bin/mypy tests/remote benches/remote_classifier

doc: setup ## Build the documentation, private items included
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --workspace --locked --no-deps --document-private-items

# What `make book` is built with, and the pages whose links it checks.
MDBOOK = 0.5.4
PAGES = README.md CONTRIBUTING.md CHANGELOG.md SECURITY.md docs models/pointsman-mini models/train

# What the binary is made of, as CycloneDX: a file for each crate of the workspace.
sbom: setup ## Write target/sbom/*.cdx.json, the list of what is built in (CycloneDX)
	@command -v cargo-cyclonedx >/dev/null || $(CARGO) install --locked --root .tools cargo-cyclonedx
	bash .ci/sbom

licences: setup ## Write target/licences, the licences of all that is linked in and of ONNX Runtime: images and `make install` carry them
	python3 .ci/licences.py target/licences

install: ## Install what `make build licences` made as a systemd service (PREFIX, DESTDIR); as root, or with a DESTDIR
	PREFIX="$(PREFIX)" DESTDIR="$(DESTDIR)" bash deploy/systemd/install

helm: setup .venv/helm ## Render the Helm chart, and hold it to Kubernetes' schemas and to the golden manifests (BLESS=--bless writes them)
	@bash .ci/setup helm
	$(CARGO) build --locked
	.venv/bin/python tests/deploy/helm.py $(BLESS)

gateways: setup .venv/helm .venv-envoy/ready ## Hold the manifests of deploy/gateways to published types, to the chart and to the real Envoy
	@bash .ci/setup helm
	$(CARGO) build --locked
	ENVOY=$(CURDIR)/.venv-envoy/bin/envoy .venv/bin/python tests/deploy/gateways.py

schemas: setup .venv/helm tests/deploy/node/node_modules/.package-lock.json ## Hold dashboards, provisioning, the chart's monitoring and gateways' routes to published types
	@bash .ci/setup helm
	.venv/bin/python tests/deploy/published.py

unit: licences ## Hold the systemd unit to systemd's own tools: verify, security, sysusers, tmpfiles
	@bash .ci/setup systemd
	python3 tests/deploy/unit.py

host: licences ## Boot a Debian with systemd in a container and let the installed unit serve, reload and hand over (as root; HOST_FLAGS)
	@bash .ci/setup nspawn
	python3 tests/deploy/boot.py $(HOST_FLAGS)

image: licences ## Build the image with buildah, base images included, run it and let it serve (as root; IMAGE_FLAGS)
	@bash .ci/setup buildah
	python3 tests/deploy/image.py $(IMAGE_FLAGS)

.PHONY: book
book: .venv/book ## Build the book of docs/ in target/book, every relative link and anchor checked
	@# The card of a tuned bundle is a template: its picture lies beside the card that is written from it.
	.venv/bin/rumdl check --no-config --no-cache --enable MD051,MD057 --exclude models/train/classification/card.md $(PAGES)
	@# Not optimised: that would take two and a half times as long, and the book is built in a second either way.
	@[ "$$(mdbook --version 2>/dev/null)" = "mdbook v$(MDBOOK)" ] || { set -x; CARGO_PROFILE_RELEASE_OPT_LEVEL=0 \
		$(CARGO) install --quiet --locked --force --root .tools mdbook --version $(MDBOOK) --no-default-features --features search; }
	@bash .ci/book

clients: clients-python ## Talk to the proxy with the public SDKs and coding agents
	@if command -v node >/dev/null && command -v npm >/dev/null; then $(MAKE) --no-print-directory clients-node clients-agents; \
	else echo "skipped: the openai Node SDK and the coding agents, because there is no node or no npm here" >&2; fi

clients-python: setup .venv/clients
	$(CARGO) build --locked
	.venv/bin/python tests/clients/openai_python.py
	.venv/bin/python tests/clients/openai_errors.py
	.venv/bin/python tests/clients/anthropic_python.py
	.venv/bin/python tests/clients/google_python.py
	.venv/bin/python tests/clients/costs.py
	.venv/bin/python tests/clients/clouds.py
	.venv/bin/python tests/clients/openapi.py
	REQUESTS=500 .venv/bin/python tests/clients/mixed.py

clients-inference: setup .venv-inference/ready ## Ask classifiers and typed decisions with the clients of inference servers and OpenAI's SDK
	$(CARGO) build --locked
	.venv-inference/bin/python tests/clients/inference/inference_servers.py
	.venv-inference/bin/python tests/clients/inference/mlserver_clients.py
	.venv-inference/bin/python tests/clients/inference/typed_decisions.py

clients-types: setup .venv/clients ## Hold everything that the translation writes against the types of the vendors' SDKs
	$(CARGO) build --locked --package pointsman-translation --example translate
	.venv/bin/python tests/clients/strict_types.py

mixed: quick .venv/clients ## Send ten thousand mixed requests through a fleet that fails (REQUESTS, SEED)
	POINTSMAN=$(QUICK_BINARY) .venv/bin/python tests/clients/mixed.py

clients-node: setup .venv/clients tests/clients/node/node_modules/.package-lock.json
	$(CARGO) build --locked
	.venv/bin/python tests/clients/openai_node.py

clients-translation: setup .venv-translation/ready tests/clients/translation/node/node_modules/.package-lock.json ## Run the public SDKs against upstreams of every API (BLESS=--bless writes the page)
	$(CARGO) build --locked
	.venv-translation/bin/python tests/clients/translation_matrix.py $(BLESS)

clients-agents: setup .venv/clients tests/clients/agents/node_modules/.package-lock.json tests/clients/node/node_modules/.package-lock.json
	$(CARGO) build --locked
	.venv/bin/python tests/clients/agents.py
	.venv/bin/python tests/clients/init_snippets.py
	.venv/bin/python tests/clients/websocket.py

clients-agents-translation: setup .venv-translation/ready tests/clients/agents/node_modules/.package-lock.json ## Run coding agents on models of other vendors, which change amid their tools (BLESS=--bless writes the tables)
	$(CARGO) build --locked
	.venv-translation/bin/python tests/clients/agents_translation.py $(BLESS)

tests/clients/translation/node/node_modules/.package-lock.json: tests/clients/translation/node/package-lock.json
	@bash .ci/setup node
	cd tests/clients/translation/node && npm ci

tests/clients/%/node_modules/.package-lock.json: tests/clients/%/package-lock.json
	@bash .ci/setup node
	cd tests/clients/$* && npm ci

exporter: setup .venv/models ## Export classifiers of many kinds with models/train and verify them (downloads torch: gigabytes)
	$(CARGO) build --locked
	.venv/bin/python tests/exporter/exports.py
	.venv/bin/python tests/exporter/page.py

reports: quick ## Use the page of compared answers with 10,000 prompts in a real browser (Debian's chromium, or CHROMIUM)
	@bash .ci/setup chromium
	POINTSMAN=$(QUICK_BINARY) python3 tests/reports/check.py $(REPORTS_FLAGS)

console: quick ## Use every page of the console in a real browser (Debian's chromium, or CHROMIUM; CONSOLE_FLAGS=--docs draws its pictures)
	@bash .ci/setup chromium
	POINTSMAN=$(QUICK_BINARY) python3 tests/console/check.py $(CONSOLE_FLAGS)

console-load: build ## Measure the console beside the release under full load, with wrk (Debian's chromium and wrk)
	@bash .ci/setup chromium
	POINTSMAN=$(RELEASE_BINARY) python3 tests/console/load.py

newcomer: setup .venv/clients tests/clients/agents/node_modules/.package-lock.json ## Play a newcomer's path from a fresh clone: demo, init, Claude Code, console, a budget, rollback (NEWCOMER_FLAGS=--docs writes its page)
	@bash .ci/setup chromium
	.venv/bin/python tests/newcomer/path.py $(NEWCOMER_FLAGS)

loop: quick ## From prompts to a better bundle that serves: prepare, collect, grade, eval, fit, calibrate, replay, serve (LOOP_FLAGS)
	POINTSMAN=$(QUICK_BINARY) python3 tests/loop/check.py $(LOOP_FLAGS)

mlflow: quick .venv-mlflow/ready ## Record runs at a real MLflow server and read them with its own client (installs mlflow)
	POINTSMAN=$(QUICK_BINARY) .venv-mlflow/bin/python tests/runs/check.py

remote: quick .venv-inference/ready ## Ask a real MLServer for classes, over HTTP and gRPC, and take it away in between (installs mlserver)
	POINTSMAN=$(QUICK_BINARY) .venv-inference/bin/python tests/remote/check.py

# Of its own: it brings scikit-learn, pandas and much else in versions that it chooses.
.venv-mlflow/ready: tests/runs/requirements.txt
	@bash .ci/setup python
	python3 -m venv .venv-mlflow
	.venv-mlflow/bin/python -m pip install --quiet --disable-pip-version-check -r $<
	@touch $@

# Torch is not installed in CI.
train-check: setup .venv/models ## Fine-tune tiny encoders of many kinds on the CPU and verify their bundles (downloads torch: gigabytes)
	$(CARGO) build --locked
	.venv/bin/python -B -m unittest discover --start-directory tests/exporter

# Of its own: the list says every package, so nothing is resolved (instructor forbids the jiter that openai wants, and works with it).
.venv-translation/ready: tests/clients/translation/requirements.txt
	@bash .ci/setup python
	python3 -m venv .venv-translation
	.venv-translation/bin/python -m pip install --quiet --disable-pip-version-check --no-deps -r $<
	@touch $@

envoy: setup .venv-envoy/ready ## Put the real Envoy in front: every mode of its external processing, sizes, streams, retries, failures
	$(CARGO) build --locked
	.venv-envoy/bin/python tests/envoy/check.py

.venv-envoy/ready: tests/envoy/requirements.txt
	@bash .ci/setup python
	python3 -m venv .venv-envoy
	.venv-envoy/bin/python -m pip install --quiet --disable-pip-version-check -r $<
	@touch $@

# Of its own: MLServer forbids versions that the other clients want.
.venv-inference/ready: tests/clients/inference/requirements.txt
	@bash .ci/setup python
	python3 -m venv .venv-inference
	.venv-inference/bin/python -m pip install --quiet --disable-pip-version-check -r $<
	@touch $@

.venv/clients: tests/clients/requirements.txt
	@bash .ci/setup python
	python3 -m venv .venv
	.venv/bin/python -m pip install --quiet --disable-pip-version-check -r $<
	@touch $@

fleet: setup ## Play 100 replicas at 50,000 requests a second on a real Valkey or Redis, through an outage, reloads and swapped weights
	@bash .ci/setup redis
	CARGO_PROFILE_DEV_OPT_LEVEL=1 $(CARGO) test --locked --lib fleet::a_ -- --include-ignored --nocapture --test-threads 1

# What the three below need: a report of each goes to target/resilience. ROWS chooses families or rows, as family/name.
RESILIENCE = PYTHONPATH=tests/clients POINTSMAN=$(QUICK_BINARY)
ROWS ?=

soak: quick ## Send mixed traffic for SOAK_SECONDS (600) over reloads, swaps of weights and failures; memory must stay flat
	$(RESILIENCE) REPORT=target/resilience python3 tests/resilience/soak.py

chaos: quick ## Play every fault of the fault table, and count the requests that are lost (ROWS chooses)
	@mkdir -p target/resilience
	$(RESILIENCE) python3 tests/resilience/chaos.py --json target/resilience/chaos.json --markdown target/resilience/chaos.md $(ROWS)

hostile: quick .venv/resilience ## Send every hostile input, HTTP/1 and HTTP/2 by the byte (ROWS chooses)
	@mkdir -p target/resilience
	$(RESILIENCE) .venv/bin/python tests/resilience/hostile.py --json target/resilience/hostile.json --markdown target/resilience/hostile.md $(ROWS)

dashboards: licences .venv/observe ## Run every dashboard's query, every rule, and what images and compose.yaml say
	@bash .ci/setup prometheus
	$(CARGO) build --locked
	.venv/bin/python tests/observe/check.py
	.venv/bin/python tests/observe/containers.py

pictures: quick .venv/pictures ## Draw the dashboards from scraped data into docs/ (six minutes)
	@bash .ci/setup prometheus
	POINTSMAN=$(QUICK_BINARY) .venv/bin/python tests/observe/draw.py

.venv/book: .ci/book.txt
	@bash .ci/setup python
	[ -x .venv/bin/python ] || python3 -m venv .venv
	.venv/bin/python -m pip install --quiet --disable-pip-version-check -r $<
	@touch $@

.venv/observe .venv/pictures: .venv/%: tests/observe/%.txt
	@bash .ci/setup python
	[ -x .venv/bin/python ] || python3 -m venv .venv
	.venv/bin/python -m pip install --quiet --disable-pip-version-check -r $<
	@touch $@

models: training-data quick .venv/models ## Train the default bundle again (an hour of CPU time; DATA=... has the training data) and check it
	@binary=$(QUICK_BINARY); set -ex; \
	.venv/bin/python -m models.train build --data $(DATA) --pointsman "$$binary" --out .tools/train/teacher; \
	.venv/bin/python -m models.train distill --data $(DATA) --pointsman "$$binary" --teacher .tools/train/teacher \
		--layers 0,1,2,3,4,5 --heads 12 --units 1536 --epochs 0 --out models/pointsman-mini; \
	.venv/bin/python -m models.train wins --data $(DATA) --pointsman "$$binary"; \
	"$$binary" bundle reference models/pointsman-mini --data $(DATA)/tiers_validation.jsonl; \
	.venv/bin/python -m models.train check --parity --data $(DATA)/tiers_validation.jsonl --pointsman "$$binary"; \
	.venv/bin/python -m models.train curves

prices: ## Write the built-in list of models anew from the newest price file of the package litellm
	python3 crates/core/known_models/generate.py

# What training reads is not in the repository: this says so before an hour is spent.
training-data:
	@[ -n "$(DATA)" ] || { echo "make models: say DATA=FOLDER; models/data/README.md lists the training data and its sources" >&2; exit 66; }
	@for file in tiers_train tiers_validation tiers_dedup_train tiers_dedup_validation outcomes_mmlu llmrouter_outcomes_train \
		gsm8k_train_questions; do \
		[ -e "$(DATA)/$$file.jsonl" ] || { echo "make models: $(DATA) has no $$file.jsonl; models/data/README.md says where it comes from" >&2; exit 66; }; \
	done

eval: quick .venv/models ## Print every quality table, draw the plots of docs/ (DATA=... for those whose data is not in models/data)
	PICTURES=docs/quality models/evaluate $(QUICK_BINARY) $(or $(DATA),models/data) .venv/bin/python

.venv/lint: .ci/python.txt
	@bash .ci/setup python
	[ -x .venv/bin/python ] || python3 -m venv .venv
	.venv/bin/python -m pip install --quiet --disable-pip-version-check -r $<
	@touch $@

.venv/helm: tests/deploy/helm.txt
	@bash .ci/setup python
	[ -x .venv/bin/python ] || python3 -m venv .venv
	.venv/bin/python -m pip install --quiet --disable-pip-version-check -r $<
	@touch $@

tests/deploy/node/node_modules/.package-lock.json: tests/deploy/node/package-lock.json
	@bash .ci/setup node
	cd tests/deploy/node && npm ci

.venv/resilience: tests/resilience/requirements.txt
	@bash .ci/setup python
	[ -x .venv/bin/python ] || python3 -m venv .venv
	.venv/bin/python -m pip install --quiet --disable-pip-version-check -r $<
	@touch $@

.venv/models: models/train/requirements.txt
	[ -x .venv/bin/python ] || python3 -m venv .venv
	.venv/bin/python -m pip install --quiet --disable-pip-version-check -r $<
	@touch $@
