-- The embedded event log. One row of `batch` is what one flush wrote to one partition; offsets have no gaps, because the row of
-- `partition` is locked from taking an offset to the commit.
CREATE TABLE partition (
  partition int PRIMARY KEY,
  next_offset bigint NOT NULL DEFAULT 0
) WITH (fillfactor = 50);

CREATE TABLE batch (
  segment int NOT NULL,
  partition int NOT NULL,
  first_offset bigint NOT NULL,
  record_count int NOT NULL CHECK (record_count > 0),
  data bytea NOT NULL,
  PRIMARY KEY (segment, partition, first_offset)
) PARTITION BY LIST (segment);
-- Protobuf is small already; compressing it again costs more than it saves.
ALTER TABLE batch ALTER COLUMN data SET STORAGE EXTERNAL;

-- Segments are dropped whole. The newest is the one written to.
CREATE TABLE segment (
  segment int PRIMARY KEY,
  create_time timestamptz NOT NULL DEFAULT now()
);
INSERT INTO segment VALUES (1);
CREATE TABLE batch_1 PARTITION OF batch FOR VALUES IN (1);

-- How far each reader has applied each partition: what every reader is past may go.
CREATE TABLE reader (
  reader text NOT NULL,
  partition int NOT NULL,
  applied_offset bigint NOT NULL,
  PRIMARY KEY (reader, partition)
);
