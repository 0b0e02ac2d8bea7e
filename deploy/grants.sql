-- The rights that the callback service needs, for a database user of its own: it owns nothing and creates nothing.
-- Make the user with CREATE ROLE answerback_service LOGIN PASSWORD '...'. Then run this file after each `make migrate`, as the owner of the tables:
-- psql "$DATABASE_URL" -v ON_ERROR_STOP=1 -f deploy/grants.sql

GRANT USAGE ON SCHEMA public TO answerback_service;
GRANT SELECT ON _prisma_migrations TO answerback_service;
GRANT SELECT, INSERT, UPDATE, DELETE ON callbacks, objects, workers TO answerback_service;
GRANT SELECT, INSERT ON clock_steps TO answerback_service;
-- Without it no worker has a number: callbacks would be accepted, and nothing done about them.
GRANT USAGE ON SEQUENCE workers_number_seq TO answerback_service;
-- Everybody may execute pg_logical_emit_message. Where somebody has revoked that, it must be granted as well.
