-- Building the indexes reads `callbacks` three times, and holds up inserts for that long: about a second for each few million rows. Steer no
-- callback while replicas of the release before run: they cannot read the new states.
CREATE INDEX "callbacks_paused" ON "callbacks" ("workspace", "id") WHERE state = 'paused';
-- Rows that nobody has steered are not in it, so it costs nothing where it counts.
CREATE INDEX "callbacks_steered" ON "callbacks" ("workspace", "steered_at") WHERE steered_at IS NOT NULL;
-- A BRIN index hardly costs an insert anything. Pages are used again after the retention: minmax would then cover all times from the first use on.
CREATE INDEX "callbacks_received" ON "callbacks" USING brin ("received_at" timestamptz_minmax_multi_ops);

CREATE TABLE "operations" (
    "id" UUID NOT NULL,
    "workspace" TEXT COLLATE "C" NOT NULL,
    "kind" TEXT NOT NULL,
    "change" JSONB NOT NULL,
    "filter" JSONB NOT NULL,
    "dry_run" BOOLEAN NOT NULL DEFAULT false,
    "rate_per_second" DOUBLE PRECISION,
    "state" TEXT NOT NULL DEFAULT 'counting',
    "position" UUID,
    "matched" BIGINT NOT NULL DEFAULT 0,
    "done" BIGINT NOT NULL DEFAULT 0,
    "skipped" BIGINT NOT NULL DEFAULT 0,
    "next_at" TIMESTAMPTZ(6) NOT NULL DEFAULT clock_timestamp(),
    "horizon" TIMESTAMPTZ(6) NOT NULL DEFAULT clock_timestamp(),
    "created_at" TIMESTAMPTZ(6) NOT NULL DEFAULT clock_timestamp(),
    "finished_at" TIMESTAMPTZ(6),

    CONSTRAINT "operations_pkey" PRIMARY KEY ("id")
);
CREATE INDEX "operations_unfinished" ON "operations" ("next_at") WHERE finished_at IS NULL;
CREATE INDEX "operations_workspace" ON "operations" ("workspace", "created_at", "id");

-- What became of callbacks whose rows are gone, by the hour in which they were received.
CREATE TABLE "ledger_hours" (
    "workspace" TEXT COLLATE "C" NOT NULL,
    "hour" TIMESTAMPTZ(6) NOT NULL,
    "accepted" BIGINT NOT NULL,
    "keyed" BIGINT NOT NULL,
    "completed" BIGINT NOT NULL,
    "failed" BIGINT NOT NULL,
    "cancelled" BIGINT NOT NULL,
    -- A sum modulo 2^64 that a BIGINT could not hold.
    "keys_digest" NUMERIC(20) NOT NULL,

    CONSTRAINT "ledger_hours_pkey" PRIMARY KEY ("workspace", "hour")
);

-- Answers that left no row: replays, and refusals by their code. A process writes the total that it has counted in the minute `at`, so that writing
-- twice changes nothing. Later the minutes of all processes are added up by the hour, in a row whose process is zero.
CREATE TABLE "ledger_answers" (
    "workspace" TEXT COLLATE "C" NOT NULL,
    "at" TIMESTAMPTZ(6) NOT NULL,
    "outcome" TEXT NOT NULL,
    "process" UUID NOT NULL,
    "count" BIGINT NOT NULL,

    CONSTRAINT "ledger_answers_pkey" PRIMARY KEY ("workspace", "at", "outcome", "process")
);
CREATE INDEX "ledger_answers_at" ON "ledger_answers" ("at");
CREATE INDEX "ledger_answers_minutes" ON "ledger_answers" ("at") WHERE process <> '00000000-0000-0000-0000-000000000000'::uuid;
CREATE INDEX "ledger_hours_hour" ON "ledger_hours" ("hour");
