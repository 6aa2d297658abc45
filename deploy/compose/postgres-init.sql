-- Run by the image of Postgres when it makes a new database: the role that the services are, with the password that was made for it.
\set password `cat /run/identity/app-password`
\i /etc/evenfall/role.sql
