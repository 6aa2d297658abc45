-- When the log took the record of that owner's beginning, by the log's own clock; null where it does not say. It is of `timed_owner`: while the version of before
-- still folds beside this one it moves `owner` alone, and then the time is another owner's.
ALTER TABLE applied ADD COLUMN owner_time timestamptz, ADD COLUMN timed_owner text NOT NULL DEFAULT '';
