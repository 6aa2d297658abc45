-- Lists are ordered by creation, which never changes: who walks through the pages misses nothing that starts meanwhile. `sort_time` is the creation from now
-- on, and the start, which filters ask for, is beside it; in rows of before `start_time` is null and `sort_time` is the start.
ALTER TABLE open_event ADD COLUMN start_time timestamptz;
ALTER TABLE ended_event ADD COLUMN start_time timestamptz;
