-- Access keys. Of a secret only its digest is here, but for keys that sign requests of SCF: theirs is here sealed as well.
CREATE TABLE access_key (
  id              text COLLATE "C" PRIMARY KEY,
  change          integer NOT NULL DEFAULT 1,  -- every change of the row moves it on
  spec            bytea NOT NULL,              -- evenfall.v1.AccessKey
  secret_sha256   bytea NOT NULL,
  sealed          bytea,
  previous_sha256 bytea,                       -- of the secret before, while that is good too
  previous_sealed bytea,
  gone_time       timestamptz                  -- when it stopped being good, or will; null for never
);

-- Who changed what. Rows are written once, and deleted in batches past their retention. Ids are UUIDs of version 7: they hold the time, and rise with it.
CREATE TABLE audit_record (
  id        uuid PRIMARY KEY,
  key_id    text NOT NULL,
  action    text NOT NULL,
  namespace text NOT NULL,
  subject   text NOT NULL,
  spec      bytea NOT NULL  -- evenfall.v1.AuditRecord
);
CREATE INDEX audit_record_key ON audit_record (key_id, id);
CREATE INDEX audit_record_namespace ON audit_record (namespace, id);
CREATE INDEX audit_record_subject ON audit_record (subject, id);
