# Every target does its own set-up, from a clean clone on: Node 24 comes with `npm ci`, as the devDependency `node`.
export PATH := $(CURDIR)/node_modules/.bin:$(PATH)
MAKEFLAGS += --no-print-directory
# Prisma looks for this engine, and would download it, even where nothing needs it: any file that exists contents it.
export PRISMA_SCHEMA_ENGINE_BINARY := $(CURDIR)/package.json

# npm writes its lock file here when it has installed everything.
INSTALLED := node_modules/.package-lock.json
GENERATED := prisma/client/client.ts
COMPOSE_DATABASE_URL := postgresql://answerback:answerback@127.0.0.1:5434/answerback

SECONDS ?= 600

.PHONY: help run test test-integration chaos chaos-campaign chaos-mutants faketime mutants bench bench-quick bench-faults bench-compare lint format compose compose-down migrate client-start zipkin clean
.DEFAULT_GOAL := help

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  make %-18s %s\n", $$1, $$2}' Makefile

run: $(GENERATED) ## the whole on this machine: embedded PostgreSQL, both services, one log (no Docker)
	@exec node deploy/local/run.ts

test: $(GENERATED) ## all tests, beside a throwaway PostgreSQL; ARGS="-g text" singles out
	@exec npm test --silent -- $(ARGS)

test-integration: $(GENERATED) ## the end-to-end tests against services that run already (make run, make compose)
	@export DATABASE_URL="$${DATABASE_URL:-$$(cat .local/database-url 2>/dev/null || echo $(COMPOSE_DATABASE_URL))}"; \
	INTEGRATION=1 exec mocha --no-config --forbid-only --timeout 120000 test/end-to-end.test.ts $(ARGS)

chaos: $(GENERATED) faketime ## three callback services under a fault every five seconds, and what was lost; SECONDS=60 SEED=7 repeats a run, FAULTS=1000 is as fast as can be
	@exec node test/chaos/run.ts $(if $(FAULTS),--faults=$(FAULTS),--seconds=$(SECONDS)) $(if $(SEED),--seed=$(SEED)) $(ARGS)

chaos-campaign: $(GENERATED) faketime ## a thousand faults for each seed, in one table; SEEDS=1,2,3 FAULTS=1000
	@exec node test/chaos/campaign.ts --seeds=$(or $(SEEDS),1,2,3) --faults=$(or $(FAULTS),1000) $(ARGS)

chaos-mutants: $(GENERATED) faketime ## proves that chaos sees faults planted into the services
	@exec node test/chaos/run-mutants.ts

mutants: $(GENERATED) ## small mistakes in a file, one at a time, and which of them no test notices; FILE=services/callback-service/domain/backoff.ts
	@exec node test/support/with-postgres.ts node test/mutants/run.ts --file=$(FILE) $(ARGS)

bench: $(GENERATED) ## all benchmarks (40 minutes); make bench-accept for one (bench/*.ts); ARGS="--rounds=3" for its settings
	@exec node bench/support/all.ts $(ARGS)

bench-quick: $(GENERATED) ## proves that every benchmark works; says nothing about speed
	@exec node bench/support/all.ts --quick

bench-faults: $(GENERATED) ## outages, failovers, overload and slow sockets, measured (docs/reliability.md; 30 minutes)
	@for file in bench/faults/*.ts; do node $$file $(ARGS) || exit 1; done

bench-compare: $(GENERATED) ## this checkout against an earlier commit, side by side; BASE=HEAD~5
	@exec node bench/support/compare.ts --base=$(or $(BASE),HEAD~1) $(ARGS)

bench-%: bench/%.ts $(GENERATED)
	@exec node $< $(ARGS)

lint: $(GENERATED) ## formatting, lint rules, types
	@exec npm run --silent lint

format: $(INSTALLED) ## formats all files
	@exec npm run --silent format

compose: ## the whole in containers, with Zipkin; prints the addresses
	@exec deploy/docker/compose.sh up

compose-down: ## stops the containers and drops their data
	@exec deploy/docker/compose.sh down

migrate: $(INSTALLED) ## migrates the database of DATABASE_URL; without one, that of a running make run
	@url="$${DATABASE_URL:-$$(cat .local/database-url 2>/dev/null)}"; \
	[ -n "$$url" ] || { echo 'make migrate: set DATABASE_URL, or start make run first' >&2; exit 2; }; \
	DATABASE_URL="$$url" exec node prisma/migrate.ts

client-start: $(INSTALLED) ## the client service alone
	@exec node services/client-service/main.ts $(ARGS)

zipkin: ## a real Zipkin on port 9411, with Docker or else with Java and Maven
	@exec deploy/local/zipkin.sh

clean: ## drops what was generated and stored (also the local database); the next target installs anew
	@staged=$$(readlink .local/postgres/staged) && rm -rf "$$staged" || true
	rm -rf .local prisma/client $(INSTALLED)

# Chaos steps the database's clock where libfaketime is there, or can be installed; elsewhere it leaves that out, and says so.
faketime:
	@ls /usr/lib*/faketime/libfaketime.so.1 /usr/lib/*/faketime/libfaketime.so.1 >/dev/null 2>&1 || [ "$$(id -u)" != 0 ] || ! command -v apt-get >/dev/null \
		|| { timeout 120 apt-get update -qq && timeout 120 apt-get install -y -qq faketime; } >/dev/null 2>&1 || echo 'libfaketime could not be installed'

# engine-strict is off whatever the person's settings are: the Node that runs npm may be an older one.
$(INSTALLED): package.json package-lock.json
	npm ci --no-audit --no-fund --loglevel=error --engine-strict=false
	@touch $@

$(GENERATED): prisma/schema.prisma .config/prisma.ts $(INSTALLED)
	@rm -rf prisma/client
	npm run --silent generate
	@touch $@
