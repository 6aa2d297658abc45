-- When a batch was appended, by this server's clock: what one owner of a partition writes is measured by the next one with it. Null in what was written before.
ALTER TABLE batch ADD COLUMN append_time timestamptz;
