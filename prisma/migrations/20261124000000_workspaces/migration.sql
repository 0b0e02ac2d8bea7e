-- Building the indexes reads both tables once, and holds up inserts for that long: about a second for each few million rows. While replicas
-- of the release before run, use no workspace but `default`: they know of no other, and cannot store objects until they are replaced.
CREATE TABLE "workspaces" (
    "name" TEXT COLLATE "C" NOT NULL,
    "description" TEXT NOT NULL DEFAULT '',
    "client_service_url" TEXT,
    "ttl_seconds" DOUBLE PRECISION,
    "keep_offline" BOOLEAN,
    "signing_secrets" TEXT[] DEFAULT ARRAY[]::TEXT[],
    "paused" BOOLEAN NOT NULL DEFAULT false,
    "weight" INTEGER NOT NULL DEFAULT 1,
    "limits" JSONB NOT NULL DEFAULT '{}',
    "created_at" TIMESTAMPTZ(6) NOT NULL DEFAULT clock_timestamp(),
    "archived_at" TIMESTAMPTZ(6),

    CONSTRAINT "workspaces_pkey" PRIMARY KEY ("name")
);
INSERT INTO "workspaces" ("name", "description") VALUES ('default', 'Everything that names no workspace.');

CREATE TABLE "access_keys" (
    "id" UUID NOT NULL,
    "workspace" TEXT COLLATE "C" NOT NULL,
    "role" TEXT NOT NULL,
    "name" TEXT NOT NULL DEFAULT '',
    "hash" BYTEA NOT NULL,
    "created_at" TIMESTAMPTZ(6) NOT NULL DEFAULT clock_timestamp(),
    "expires_at" TIMESTAMPTZ(6),
    "last_used_at" TIMESTAMPTZ(6),

    CONSTRAINT "access_keys_pkey" PRIMARY KEY ("id")
);
CREATE UNIQUE INDEX "access_keys_hash_key" ON "access_keys" ("hash");
CREATE INDEX "access_keys_workspace" ON "access_keys" ("workspace", "id");

-- One row. Every change of a workspace or a key increments `number` in its own transaction, so changes wait for each other.
CREATE TABLE "access_revision" (
    "id" INTEGER NOT NULL DEFAULT 1,
    "number" BIGINT NOT NULL DEFAULT 1,

    CONSTRAINT "access_revision_pkey" PRIMARY KEY ("id")
);
INSERT INTO "access_revision" DEFAULT VALUES;

ALTER TABLE "callbacks" ADD COLUMN "workspace" TEXT COLLATE "C" NOT NULL DEFAULT 'default';
DROP INDEX "callbacks_idempotency_key_key";
CREATE UNIQUE INDEX "callbacks_idempotency_key" ON "callbacks" ("workspace", "idempotency_key") WHERE idempotency_key IS NOT NULL;
DROP INDEX "callbacks_due";
CREATE INDEX "callbacks_due" ON "callbacks" ("workspace", "priority" DESC, "due_at") WHERE state = 'pending';

ALTER TABLE "objects" ADD COLUMN "workspace" TEXT COLLATE "C" NOT NULL DEFAULT 'default';
ALTER TABLE "objects" DROP CONSTRAINT "objects_pkey", ADD CONSTRAINT "objects_pkey" PRIMARY KEY ("workspace", "id");
