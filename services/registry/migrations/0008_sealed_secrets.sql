-- Values of environment variables and secrets of webhooks, sealed; null where there are none, or nothing to seal them with. The spec has their names.
ALTER TABLE function_version ADD COLUMN sealed bytea;
