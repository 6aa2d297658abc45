-- The owner of each partition at its applied offset: writer of the newest OwnerChanged; empty before the first.
ALTER TABLE applied ADD COLUMN owner text NOT NULL DEFAULT '';
