-- Whom the log believed in each partition where the fold stands: writer of the newest OwnerChanged; empty before the first.
ALTER TABLE applied ADD COLUMN owner text NOT NULL DEFAULT '';
