CREATE TYPE "callback_state" AS ENUM ('pending', 'running', 'completed', 'failed');

CREATE TABLE "callbacks" (
    "id" UUID NOT NULL,
    "state" "callback_state" NOT NULL DEFAULT 'pending',
    "priority" SMALLINT NOT NULL DEFAULT 0,
    "due_at" TIMESTAMPTZ(6) NOT NULL DEFAULT clock_timestamp(),
    "attempts" SMALLINT NOT NULL DEFAULT 0,
    "object_ids" BIGINT[],
    "unstored" JSONB,
    "claimed_by" INTEGER,
    "claim_token" UUID,
    "idempotency_key" TEXT,
    "request_id" TEXT,
    "traceparent" TEXT,
    "tracestate" TEXT,
    "baggage" TEXT,
    "received_at" TIMESTAMPTZ(6) NOT NULL DEFAULT clock_timestamp(),
    "finished_at" TIMESTAMPTZ(6),

    CONSTRAINT "callbacks_pkey" PRIMARY KEY ("id")
);

CREATE TABLE "objects" (
    "id" BIGINT NOT NULL,
    "online" BOOLEAN NOT NULL,
    "last_seen_at" TIMESTAMPTZ(6),
    "fetched_at" TIMESTAMPTZ(6) NOT NULL,
    "stored_at" TIMESTAMPTZ(6) NOT NULL,
    "expires_at" TIMESTAMPTZ(6) NOT NULL,
    "callback_id" UUID NOT NULL,
    "traceparent" TEXT,

    CONSTRAINT "objects_pkey" PRIMARY KEY ("id")
);

CREATE TABLE "workers" (
    "number" SERIAL NOT NULL,
    "host" TEXT NOT NULL,
    "pid" INTEGER NOT NULL,
    "started_at" TIMESTAMPTZ(6) NOT NULL DEFAULT clock_timestamp(),
    "lease_expires_at" TIMESTAMPTZ(6) NOT NULL,

    CONSTRAINT "workers_pkey" PRIMARY KEY ("number")
);

CREATE UNIQUE INDEX "callbacks_idempotency_key_key" ON "callbacks" ("idempotency_key");
CREATE INDEX "callbacks_due" ON "callbacks" ("priority" DESC, "due_at") WHERE state = 'pending';
CREATE INDEX "callbacks_claimed" ON "callbacks" ("claimed_by") WHERE state = 'running';
CREATE INDEX "callbacks_finished" ON "callbacks" ("finished_at") WHERE finished_at IS NOT NULL;
CREATE INDEX "objects_expires_at" ON "objects" ("expires_at");

-- Rows of both tables live for seconds to an hour: dead ones must go long before a fifth of the table is dead.
ALTER TABLE "callbacks" SET (autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_insert_scale_factor = 0.1, fillfactor = 80);
ALTER TABLE "objects" SET (autovacuum_vacuum_scale_factor = 0.02, fillfactor = 80);
