# Every target works from a clean clone and does its own set-up. `npm ci` installs Node 24, as the devDependency `node`.
export PATH := $(CURDIR)/node_modules/.bin:$(PATH)
MAKEFLAGS += --no-print-directory
# Prisma downloads this engine if it is missing, even if nothing needs it. Any existing file satisfies it.
export PRISMA_SCHEMA_ENGINE_BINARY := $(CURDIR)/package.json

# npm writes this file when it has installed everything.
INSTALLED := node_modules/.package-lock.json
GENERATED := prisma/client/client.ts
COMPOSE_DATABASE_URL := postgresql://answerback:answerback@127.0.0.1:5434/answerback

SECONDS ?= 600

.PHONY: help run test test-integration screenshots chaos chaos-campaign chaos-mutants faketime mutants bench bench-quick bench-faults bench-compare lint format compose compose-down migrate key client-start agent zipkin clean
.DEFAULT_GOAL := help

help: ## list all commands
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  make %-18s %s\n", $$1, $$2}' Makefile

run: $(GENERATED) ## start PostgreSQL and both services, with one log; needs no Docker. STORE=ephemeral keeps nothing, STORE=external uses DATABASE_URL
	@exec node deploy/local/run.ts

test: $(GENERATED) ## run all tests, three files at a time, with throwaway PostgreSQL servers; ARGS="-g text" runs those whose names match
	@exec npm test --silent -- $(ARGS)

test-integration: $(GENERATED) ## run the end-to-end tests against a running make run or make compose
	@export DATABASE_URL="$${DATABASE_URL:-$$(cat .local/database-url 2>/dev/null || echo $(COMPOSE_DATABASE_URL))}"; \
	INTEGRATION=1 exec mocha --no-config --forbid-only --timeout 120000 test/end-to-end.test.ts $(ARGS)

chaos: $(GENERATED) faketime ## make a random fault every five seconds, then count what was lost; SECONDS=60 SEED=7 repeats a run, FAULTS=1000 makes faults without pauses
	@exec node test/chaos/run.ts $(if $(FAULTS),--faults=$(FAULTS),--seconds=$(SECONDS)) $(if $(SEED),--seed=$(SEED)) $(ARGS)

chaos-campaign: $(GENERATED) faketime ## make a thousand faults for each seed, in one table; SEEDS=1,2,3 FAULTS=1000
	@exec node test/chaos/campaign.ts --seeds=$(or $(SEEDS),1,2,3) --faults=$(or $(FAULTS),1000) $(ARGS)

chaos-mutants: $(GENERATED) faketime ## prove that chaos notices faults planted into the services
	@exec node test/chaos/run-mutants.ts

mutants: $(GENERATED) ## plant small mistakes into a file and list those that no test notices; FILE=services/fetching/backoff.ts
	@exec node test/support/with-postgres.ts node test/mutants/run.ts --file=$(FILE) $(ARGS)

bench: $(GENERATED) ## run all benchmarks (40 minutes); make bench-accept runs one of bench/*.ts, ARGS="--rounds=3" sets its settings
	@exec node bench/support/all.ts $(ARGS)

bench-quick: $(GENERATED) ## prove that every benchmark works; says nothing about speed
	@exec node bench/support/all.ts --quick

bench-faults: $(GENERATED) ## measure outages, failovers, overload and slow or hostile connections (30 minutes; docs/reliability.md)
	@for file in bench/faults/*.ts; do node $$file $(ARGS) || exit 1; done

bench-compare: $(GENERATED) ## compare this checkout with an earlier commit, side by side; BASE=HEAD~5
	@exec node bench/support/compare.ts --base=$(or $(BASE),HEAD~1) $(ARGS)

bench-%: bench/%.ts $(GENERATED)
	@exec node $< $(ARGS)

screenshots: $(GENERATED) ## take the pictures of the live page in docs/images, after 15 minutes of work; ARGS=--minutes=2
	@exec node test/support/with-postgres.ts node test/page/screenshots.ts $(ARGS)

lint: $(GENERATED) ## check formatting, lint rules and types
	@exec npm run --silent lint

format: $(INSTALLED) ## format all files
	@exec npm run --silent format

compose: ## start everything in containers, with Zipkin, and print the addresses
	@exec deploy/docker/compose.sh up

compose-down: ## stop the containers and delete their data
	@exec deploy/docker/compose.sh down

migrate: $(INSTALLED) ## migrate the database of DATABASE_URL, or by default that of a running make run
	@url="$${DATABASE_URL:-$$(cat .local/database-url 2>/dev/null)}"; \
	[ -n "$$url" ] || { echo 'make migrate: set DATABASE_URL, or start make run first' >&2; exit 2; }; \
	DATABASE_URL="$$url" exec node prisma/migrate.ts

key: $(GENERATED) ## make a key of a workspace, in the database of DATABASE_URL or of a running make run; WORKSPACE=shop ROLE=send (or read, manage)
	@url="$${DATABASE_URL:-$$(cat .local/database-url 2>/dev/null)}"; \
	[ -n "$$url" ] || { echo 'make key: set DATABASE_URL, or start make run first' >&2; exit 2; }; \
	DATABASE_URL="$$url" exec node services/callback-service/make-key.ts $(ARGS)

client-start: $(INSTALLED) ## start only the client service
	@exec node services/client-service/main.ts $(ARGS)

agent: $(INSTALLED) ## start an agent, which fetches objects for a callback service; AGENT_KEY=... ANSWERBACK_URL=... CLIENT_SERVICE_URL=... (docs/agents.md)
	@exec node services/agent/main.ts $(ARGS)

zipkin: ## start a real Zipkin on port 9411, with Docker, or with Java and Maven
	@exec deploy/local/zipkin.sh

clean: ## delete everything generated and stored, including the local database
	@staged=$$(readlink .local/postgres/staged) && rm -rf "$$staged" || true
	rm -rf .local prisma/client $(INSTALLED)

# Chaos steps the database's clock if libfaketime is installed or can be installed. Otherwise it skips these faults and says so.
faketime:
	@ls /usr/lib*/faketime/libfaketime.so.1 /usr/lib/*/faketime/libfaketime.so.1 >/dev/null 2>&1 || [ "$$(id -u)" != 0 ] || ! command -v apt-get >/dev/null \
		|| { timeout 120 apt-get update -qq && timeout 120 apt-get install -y -qq faketime; } >/dev/null 2>&1 || echo 'libfaketime could not be installed'

# engine-strict is off, whatever the user's settings are, because the Node that runs npm may be older.
$(INSTALLED): package.json package-lock.json
	npm ci --no-audit --no-fund --loglevel=error --engine-strict=false
	@touch $@

$(GENERATED): prisma/schema.prisma .config/prisma.ts $(INSTALLED)
	@rm -rf prisma/client
	npm run --silent generate
	@touch $@
