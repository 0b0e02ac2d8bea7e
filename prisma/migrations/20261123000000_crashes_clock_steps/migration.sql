-- Building the index reads `callbacks` once, and holds up inserts for that long: about a second for each few million rows.
ALTER TABLE "callbacks" ADD COLUMN "crashes" SMALLINT NOT NULL DEFAULT 0;
CREATE INDEX "callbacks_suspects" ON "callbacks" ("crashes", "due_at") WHERE state = 'pending' AND crashes >= 3;

CREATE TABLE "clock_steps" (
    "number" INTEGER NOT NULL,
    "step_ms" DOUBLE PRECISION NOT NULL,
    "noticed_at" TIMESTAMPTZ(6) NOT NULL DEFAULT clock_timestamp(),

    CONSTRAINT "clock_steps_pkey" PRIMARY KEY ("number")
);

-- Replicas of the release before do not write it: they have the default that they always had.
ALTER TABLE "workers" ADD COLUMN "lease_ms" INTEGER NOT NULL DEFAULT 15000;
