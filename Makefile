# Commands for developers. They run as root on a Debian machine and install missing dependencies; `check` and `format` also run
# without root. See tests/README.md.
SUITE ?= trixie
LAB = tests/lab --suite $(SUITE)
# Number of labs that run the tests in parallel.
LABS ?= 2

.PHONY: help up down test test-interop unit bench check format

help: ## list these commands
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 14

up: ## boot a relay in a container and show two Delta Chat clients talking through it
	$(LAB) up

down: ## stop and remove what `make up` started
	$(LAB) down

test: ## run all tests: the generated configuration, unit tests, whole relays with real clients
	$(LAB) --labs $(LABS) all $(ARGS)

test-interop: ## run every client and program that is not ours against relays, and renew tests/interop.md
	$(LAB) test tests/interop --all-cores --table tests/interop.md $(ARGS)

unit: ## run only chatmaild's unit tests, in the machine image
	$(LAB) unit $(ARGS)

bench: ## run the benchmark and print its tables
	$(LAB) bench $(ARGS)

check: ## check types, lint and formatting
	$(LAB) check

format: ## format the Python and Nix code
	$(LAB) format
