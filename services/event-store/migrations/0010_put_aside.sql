-- Records of the event log that could not be folded into the view. The fold goes on without them, or with what was left of them.
CREATE TABLE put_aside (
  partition int NOT NULL,
  record_offset bigint NOT NULL,
  -- As far as the record could be read.
  event_id text NOT NULL,
  attempt int NOT NULL,
  change text NOT NULL,
  reason text NOT NULL,
  -- Whether what was left of it was folded, so that its event goes on.
  is_reduced boolean NOT NULL,
  put_time timestamptz NOT NULL DEFAULT now(),
  -- The record as it is in the log, or its beginning.
  data bytea NOT NULL,
  data_bytes int NOT NULL,
  PRIMARY KEY (partition, record_offset)
);
CREATE INDEX put_aside_by_time ON put_aside (put_time DESC, partition, record_offset);
