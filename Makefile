# The developer's menu. Everything runs as root on a Debian machine and installs what it lacks; tests/README.md explains the rest.
SUITE ?= trixie
LAB = tests/lab --suite $(SUITE)
# So many labs share the tests of one run.
LABS ?= 2

.PHONY: help up down test unit bench check format

help: ## this list
	@sed -n 's/^\([a-z]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 10

up: ## boot a relay in a container and show two Delta Chat clients talking through it
	$(LAB) up

down: ## take down what `make up` started
	$(LAB) down

test: check unit ## run everything there is: the value, Python units, whole relays with real clients
	$(LAB) --labs $(LABS) test $(ARGS)

unit: ## only the unit tests of chatmaild, in the machine image
	$(LAB) unit $(ARGS)

bench: ## print the benchmark tables
	$(LAB) bench $(ARGS)

check: ## types, lint and formatting, without starting anything
	$(LAB) check

format: ## format Python and Nix
	$(LAB) format
