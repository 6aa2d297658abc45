-- A role for each service that keeps something in Postgres. Each may connect, and owns one schema; neither reads that of the other. Run as an administrator in the
-- database that Evenfall is to use, with passwords of your own. Again it changes nothing but the passwords; what a role of before owned becomes theirs:
--   psql -d evenfall -v registry_password=… -v event_store_password=… -f roles.sql
SELECT format('CREATE ROLE %I', name) FROM unnest(ARRAY['evenfall_registry', 'evenfall_event_store']) AS name
WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = name) \gexec
ALTER ROLE evenfall_registry LOGIN PASSWORD :'registry_password' NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS CONNECTION LIMIT 40;
ALTER ROLE evenfall_event_store LOGIN PASSWORD :'event_store_password' NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS CONNECTION LIMIT 40;
SELECT format('REVOKE ALL ON DATABASE %I FROM PUBLIC; GRANT CONNECT ON DATABASE %I TO evenfall_registry, evenfall_event_store', current_database(), current_database()) \gexec
REVOKE ALL ON SCHEMA public FROM PUBLIC;
CREATE SCHEMA IF NOT EXISTS registry AUTHORIZATION evenfall_registry;
CREATE SCHEMA IF NOT EXISTS events AUTHORIZATION evenfall_event_store;
ALTER SCHEMA registry OWNER TO evenfall_registry;
ALTER SCHEMA events OWNER TO evenfall_event_store;
-- Tables, and sequences that belong to none of them.
SELECT format('ALTER %s %I.%I OWNER TO %I', CASE c.relkind WHEN 'S' THEN 'SEQUENCE' ELSE 'TABLE' END, n.nspname, c.relname,
  CASE n.nspname WHEN 'registry' THEN 'evenfall_registry' ELSE 'evenfall_event_store' END)
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname IN ('registry', 'events') AND c.relkind IN ('r', 'p', 'S') AND pg_get_userbyid(c.relowner) NOT IN ('evenfall_registry', 'evenfall_event_store')
  AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.objid = c.oid AND d.deptype IN ('a', 'i') AND c.relkind = 'S') \gexec
