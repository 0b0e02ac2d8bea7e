-- Pull workers beside client services that the callback service cannot reach.
CREATE TABLE "agents" (
    "id" UUID NOT NULL,
    "workspace" TEXT COLLATE "C" NOT NULL,
    "name" TEXT NOT NULL,
    "description" TEXT NOT NULL DEFAULT '',
    "labels" TEXT[] DEFAULT ARRAY[]::TEXT[],
    "max_leases" INTEGER NOT NULL DEFAULT 16,
    -- What it last said of itself, and what it has done so far. Replicas add to these every few seconds.
    "version" TEXT NOT NULL DEFAULT '',
    "objects" BIGINT NOT NULL DEFAULT 0,
    "callbacks" BIGINT NOT NULL DEFAULT 0,
    "lapses" BIGINT NOT NULL DEFAULT 0,
    "last_seen_at" TIMESTAMPTZ(6),
    "created_at" TIMESTAMPTZ(6) NOT NULL DEFAULT clock_timestamp(),
    "archived_at" TIMESTAMPTZ(6),

    CONSTRAINT "agents_pkey" PRIMARY KEY ("id")
);
CREATE UNIQUE INDEX "agents_name" ON "agents" ("workspace", "name");

-- The key of an agent has the role agent.
ALTER TABLE "access_keys" ADD COLUMN "agent_id" UUID;
CREATE INDEX "access_keys_agent" ON "access_keys" ("agent_id") WHERE agent_id IS NOT NULL;

ALTER TABLE "workspaces"
    ADD COLUMN "fetcher" TEXT,
    ADD COLUMN "agent_labels" TEXT[] DEFAULT ARRAY[]::TEXT[];

-- A leased callback is running, has a claim_token, and no claimed_by. The defaults are constants, so no row is rewritten.
ALTER TABLE "callbacks"
    ADD COLUMN "agent_id" UUID,
    ADD COLUMN "leased_at" TIMESTAMPTZ(6),
    ADD COLUMN "lease_expires_at" TIMESTAMPTZ(6),
    ADD COLUMN "delivered" BIGINT[],
    ADD COLUMN "returns" SMALLINT NOT NULL DEFAULT 0,
    ADD COLUMN "agent_labels" TEXT[],
    ADD COLUMN "assigned_to" UUID;
CREATE INDEX "callbacks_leased" ON "callbacks" ("agent_id", "claim_token") WHERE state = 'running' AND agent_id IS NOT NULL;
CREATE INDEX "callbacks_assigned" ON "callbacks" ("assigned_to", "id") WHERE assigned_to IS NOT NULL;
