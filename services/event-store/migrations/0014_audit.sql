-- Audit records of terminations that were folded, until the registry has them. Written with the offsets of the fold, so that none is left out; by the
-- id of the call, so that a log that is read again makes no second one.
CREATE TABLE audit_outbox (
  id uuid PRIMARY KEY,
  data bytea NOT NULL  -- evenfall.v1.AuditRecord
);
