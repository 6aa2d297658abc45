-- The image of Postgres runs this when it creates a database: the roles of the services, with generated passwords.
\set registry_password `cat /run/identity/registry-password`
\set event_store_password `cat /run/identity/event-store-password`
\i /etc/evenfall/roles.sql
