-- Columns that hold an encoded message are named `data`, as in the schema of the event-store.
ALTER TABLE function_version RENAME COLUMN spec TO data;
ALTER TABLE access_key RENAME COLUMN spec TO data;
ALTER TABLE audit_record RENAME COLUMN spec TO data;
ALTER TABLE namespace_quota RENAME COLUMN spec TO data;
ALTER TABLE key_quota RENAME COLUMN spec TO data;
