-- Place of an open event in its lane: the offset of its Accepted record. Lets the queue fetch a lane back in order.
ALTER TABLE open_event ADD COLUMN accept_offset bigint NOT NULL DEFAULT 0;
CREATE INDEX open_event_by_lane ON open_event (namespace, function, trigger, accept_offset);
