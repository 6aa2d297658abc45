-- When the log took the record of that owner's beginning, by the log's own clock; null where it does not say.
ALTER TABLE applied ADD COLUMN owner_time timestamptz;
