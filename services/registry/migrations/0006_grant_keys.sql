-- Keys by which schedulers sign what they give to agents. The newest signs, the older ones check what was signed before.
CREATE TABLE grant_key (
  id          uuid PRIMARY KEY,
  create_time timestamptz NOT NULL,
  secret      bytea NOT NULL,   -- 32 bytes, sealed where the registry has a sealing key
  is_sealed   boolean NOT NULL
);
