-- Records are written before their change as begun, and again with its outcome: of two with one id the one that says more stays. Rows of before say all.
ALTER TABLE audit_record ADD COLUMN certainty smallint NOT NULL DEFAULT 2;  -- 0 begun; 1 refused, or of unknown outcome; 2 done
