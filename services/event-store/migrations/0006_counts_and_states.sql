-- Lists are asked by state: with the state in the index a rare one is found at once among millions of the others.
DROP INDEX ended_event_by_start;
DROP INDEX ended_event_by_end;
CREATE INDEX ended_event_by_start ON ended_event (namespace, function, state, sort_time, id);
CREATE INDEX ended_event_by_end ON ended_event (namespace, function, state, end_time, id);
-- Of open events most are queued; the few that run are found without reading past those.
CREATE INDEX open_event_running ON open_event (namespace, function, state, sort_time, id) WHERE state > 1;

-- How many events ended in each span of six hours, the spans of ended_event's partitions. Written by the fold with the rows themselves.
CREATE TABLE ended_count (
  namespace text NOT NULL,
  function text NOT NULL,
  state smallint NOT NULL,
  from_time timestamptz NOT NULL,
  events bigint NOT NULL,
  PRIMARY KEY (namespace, function, state, from_time)
) WITH (fillfactor = 50);
INSERT INTO ended_count (namespace, function, state, from_time, events)
SELECT namespace, function, state, date_bin('6 hours', end_time, 'epoch'), count(*) FROM ended_event GROUP BY 1, 2, 3, 4;

-- When what is past the retention was last looked for, by a clock that was believed.
CREATE TABLE retention (
  is_only boolean PRIMARY KEY DEFAULT true CHECK (is_only),
  round_time timestamptz NOT NULL
);
