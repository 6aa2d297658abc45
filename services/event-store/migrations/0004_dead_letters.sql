-- Events that failed for good or waited too long, with their payloads. Kept longer than the status of ended events.
CREATE TABLE dead_letter (
  id uuid NOT NULL,
  namespace text NOT NULL,
  function text NOT NULL,
  end_time timestamptz NOT NULL,
  data bytea NOT NULL,
  payload bytea NOT NULL,
  PRIMARY KEY (id, end_time)
) PARTITION BY RANGE (end_time);
CREATE INDEX dead_letter_by_function ON dead_letter (namespace, function, end_time, id);
