-- Postgres uses a new value of an enum only after the transaction that adds it: the indexes come with the next migration. The columns have no
-- default, so no row is rewritten.
ALTER TYPE "callback_state" ADD VALUE 'paused';
ALTER TYPE "callback_state" ADD VALUE 'cancelled';

ALTER TABLE "callbacks"
    ADD COLUMN "wish" TEXT,
    ADD COLUMN "retried_at" TIMESTAMPTZ(6),
    ADD COLUMN "steered_at" TIMESTAMPTZ(6),
    ADD COLUMN "timeline" JSONB;
