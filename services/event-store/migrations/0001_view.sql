-- The view of the event log. Nothing but the fold writes events here; everything in it can be made again from the log.

-- How far each partition of the log has been folded. Moved by compare-and-set in the statement that folds.
CREATE TABLE applied (
  partition int PRIMARY KEY,
  end_offset bigint NOT NULL DEFAULT 0
) WITH (fillfactor = 50);

-- One row per event that has not ended. `data` is a StoredEvent without its payload.
CREATE TABLE open_event (
  id uuid PRIMARY KEY,
  partition int NOT NULL,
  namespace text NOT NULL,
  function text NOT NULL,
  version text NOT NULL,
  trigger text NOT NULL,
  state smallint NOT NULL CHECK (state BETWEEN 1 AND 3),
  sort_time timestamptz NOT NULL,
  data bytea NOT NULL,
  payload bytea NOT NULL
) WITH (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 2000);
CREATE INDEX open_event_by_function ON open_event (namespace, function, sort_time, id);

-- One row per event that has ended. `data` is an Event. Partitions of six hours are made ahead and dropped whole; there is no default one.
CREATE TABLE ended_event (
  id uuid NOT NULL,
  namespace text NOT NULL,
  function text NOT NULL,
  version text NOT NULL,
  trigger text NOT NULL,
  state smallint NOT NULL CHECK (state BETWEEN 4 AND 7),
  sort_time timestamptz NOT NULL,
  end_time timestamptz NOT NULL,
  data bytea NOT NULL,
  PRIMARY KEY (id, end_time)
) PARTITION BY RANGE (end_time);
CREATE INDEX ended_event_by_start ON ended_event (namespace, function, sort_time, id);
CREATE INDEX ended_event_by_end ON ended_event (namespace, function, end_time, id);

-- What functions wrote. The platform's own lines are not here: they are rendered from the event when the log is read.
CREATE TABLE log_line (
  event_id uuid NOT NULL,
  attempt int NOT NULL,
  sequence int NOT NULL,
  time timestamptz NOT NULL,
  stream smallint NOT NULL,
  instance_id text NOT NULL,
  text text NOT NULL,
  PRIMARY KEY (event_id, attempt, sequence, time)
) PARTITION BY RANGE (time);
