-- Which event was made of whose dead letter: the way back of Event.redriven_from. Rows are written only by redrives, and go with the retention.
CREATE TABLE redriven (
  from_id uuid PRIMARY KEY,
  to_id uuid NOT NULL,
  time timestamptz NOT NULL
);
