-- The role and the schemas that Evenfall needs: the role may connect, and owns three schemas. Run this once, as an administrator, in the database
-- for Evenfall, with a password of your own:
--   psql -d evenfall -v password=… -f role.sql
CREATE ROLE evenfall_app LOGIN PASSWORD :'password' NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS CONNECTION LIMIT 100;
SELECT format('REVOKE ALL ON DATABASE %I FROM PUBLIC; GRANT CONNECT ON DATABASE %I TO evenfall_app', current_database(), current_database()) \gexec
REVOKE ALL ON SCHEMA public FROM PUBLIC;
CREATE SCHEMA registry AUTHORIZATION evenfall_app;
CREATE SCHEMA events AUTHORIZATION evenfall_app;
-- Only for the event log in Postgres; with Kafka it remains empty.
CREATE SCHEMA event_log AUTHORIZATION evenfall_app;
