PYTHON ?= $(shell command -v python3.11 || command -v python3)
VERSION := $(shell cat VERSION)
TORCH_INDEX := https://download.pytorch.org/whl/cpu
# What `deploy/local up` wrote: DOCKER_HOST, REGISTRY, AMQP_URL, CONTAINER_AMQP_URL.
LOCAL := set -a && . ./.local/env && set +a &&

.PHONY: setup lint test bare deploys faults bench peers soak profile demo clean

setup: .venv/complete tests/clients/node_modules/.package-lock.json

# What the demo and `build-model` need. Torch comes from pip's configured sources (a wheel folder, a mirror) when they have the CPU build, else from PyTorch's index.
.venv/demo: pyproject.toml VERSION requirements/torch.txt requirements/demo.txt
	$(PYTHON) -m venv .venv
	.venv/bin/pip install --no-deps --no-compile -r requirements/torch.txt 2> .venv/torch.log || .venv/bin/pip install --no-deps --no-compile -r requirements/torch.txt --index-url $(TORCH_INDEX)
	.venv/bin/pip install --quiet --no-deps --no-compile --require-hashes -r requirements/demo.txt
	.venv/bin/pip install --quiet --no-deps --no-build-isolation --editable .
	touch $@

# All that a developer needs on top: training, linters, test clients.
.venv/complete: .venv/demo requirements/dev.txt
	.venv/bin/pip install --quiet --no-deps --no-compile --require-hashes -r requirements/dev.txt
	touch $@

# npm writes this file last.
tests/clients/node_modules/.package-lock.json: tests/clients/package-lock.json | .venv/complete
	.venv/bin/npm ci --prefix tests/clients --ignore-scripts --no-audit --no-fund --no-update-notifier --loglevel=error
	touch $@

LINT = .venv/bin/ruff check && .venv/bin/ruff format --check && .venv/bin/mypy && .venv/bin/mypy deploy/local

lint: setup
	$(LINT)

# All of it runs, whatever fails; then what failed is said.
test: setup
	deploy/local up
	@failed=; \
	$(LINT) || failed="$$failed lint"; \
	($(LOCAL) .venv/bin/pytest -m "not long" --numprocesses 2 tests/unit tests/network tests/registry tests/service) || failed="$$failed tests/unit-network-registry-service"; \
	($(LOCAL) .venv/bin/pytest -m "not long" tests/black_box tests/faults) || failed="$$failed tests/black_box-faults"; \
	[ -z "$$failed" ] || { echo "make test: failed:$$failed" >&2; exit 1; }

# A Debian system in namespaces of its own, as root: `make demo` there from nothing, or RUN="make test".
bare:
	PYTHONPATH=build $(PYTHON) -m tests.bare $(if $(RUN),--run "$(RUN)")

# What `make test` leaves out of tests/black_box: broken versions, deploys that are killed in every phase and under load,
# a swarm, several engines, podman's and containerd's. Half an hour.
deploys: setup
	deploy/local up
	$(LOCAL) .venv/bin/pytest -m long tests/black_box

# Every row of the service's fault table; `make test` leaves the long ones out. And the service's tests on RabbitMQ 4, of which
# `make test` runs the contract, erroneous input and the quarantine.
faults: setup
	deploy/local up
	@failed=; \
	($(LOCAL) .venv/bin/pytest tests/faults) || failed="$$failed tests/faults"; \
	($(LOCAL) .venv/bin/pytest -m long --numprocesses 2 tests/service) || failed="$$failed tests/service"; \
	[ -z "$$failed" ] || { echo "make faults: failed:$$failed" >&2; exit 1; }

# What docs/benchmarks.md says, measured here: SOURCES="FILE..." are other texts than the corpus or, without it, the tests'.
BENCHMARKS = $(LOCAL) .venv/bin/python -m tests.benchmarks $@ --write-docs $(addprefix --sources ,$(SOURCES))

peers: .venv/peers
.venv/peers: requirements/peers.txt | setup
	.venv/bin/pip install --quiet --no-deps --no-compile --require-hashes -r $<
	touch $@

bench peers soak profile: setup
	deploy/local up
	$(BENCHMARKS)

# A name of its own for each clone: two of them can share an engine.
DEMO := demo-$(shell pwd | sha256sum | cut -c1-6)

# A repository name of its own each time: a version in the registry is never overwritten.
demo: REPOSITORY := dragoman/demo-$(shell date +%Y%m%d-%H%M%S)
# What the model's own network gives for an example: a sentence of the language that it reads.
demo: EXAMPLE = $(shell $(PYTHON) -c 'import json; print(json.load(open("model/checkpoint/manifest.json"))["example"])')
demo: .venv/demo
	deploy/local up
	$(LOCAL) .venv/bin/build-model --version $(VERSION) --registry $$REGISTRY --repository $(REPOSITORY) --push
	$(LOCAL) .venv/bin/build-model deploy $(VERSION) --observe 2 --name $(DEMO) --registry $$REGISTRY --repository $(REPOSITORY) --amqp-url $$CONTAINER_AMQP_URL --client-amqp-url $$AMQP_URL
	$(LOCAL) .venv/bin/build-model translate "$(EXAMPLE)" --amqp-url $$AMQP_URL

clean:
	docker ps --all --quiet --filter label=dragoman.deployment=$(DEMO) | xargs --no-run-if-empty docker rm --force --volumes
	deploy/local down
	rm -rf .venv tests/clients/node_modules .local artifacts .pytest_cache .mypy_cache .ruff_cache .hypothesis
