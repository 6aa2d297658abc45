-- Ended events with a pending delivery to their destination, with their payloads. `data` is a StoredEvent without its payload; `destination` is the event
-- model's key of it. A row is deleted after the delivery, or when it is given up.
CREATE TABLE delivery (
  id uuid PRIMARY KEY,
  partition int NOT NULL,
  destination uuid NOT NULL,
  end_time timestamptz NOT NULL,
  data bytea NOT NULL,
  payload bytea NOT NULL
) WITH (fillfactor = 80, autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 2000);
CREATE INDEX delivery_by_destination ON delivery (partition, destination, end_time, id);
