-- Run by the image of Postgres when it makes a new database: the roles of the services, with the passwords that were made for them.
\set registry_password `cat /run/identity/registry-password`
\set event_store_password `cat /run/identity/event-store-password`
\i /etc/evenfall/roles.sql
