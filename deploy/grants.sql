-- The rights that the callback service needs, for a database user of its own. The user owns nothing and creates nothing.
-- Create the user with CREATE ROLE answerback_service LOGIN PASSWORD '...'. Then run this file after each `make migrate`, as the owner of the tables:
-- psql "$DATABASE_URL" -v ON_ERROR_STOP=1 -f deploy/grants.sql

GRANT USAGE ON SCHEMA public TO answerback_service;
GRANT SELECT ON _prisma_migrations TO answerback_service;
GRANT SELECT, INSERT, UPDATE, DELETE ON callbacks, objects, workers, operations, agents, ledger_hours, ledger_answers TO answerback_service;
GRANT SELECT, INSERT ON clock_steps TO answerback_service;
GRANT SELECT, INSERT, UPDATE ON workspaces TO answerback_service;
GRANT SELECT, INSERT, UPDATE, DELETE ON access_keys TO answerback_service;
GRANT SELECT, UPDATE ON access_revision TO answerback_service;
-- Without it a worker cannot take a number: the service would accept callbacks but process none.
GRANT USAGE ON SEQUENCE workers_number_seq TO answerback_service;
-- By default everybody may execute pg_logical_emit_message. If that was revoked, grant it as well.
