-- Tokens by which agents join. One that was used says who joined by it, for as long as that agent may have its certificate renewed.
CREATE TABLE agent_token (
  id              uuid PRIMARY KEY,       -- version 7: it rises with the time
  secret_sha256   bytea NOT NULL UNIQUE,
  agent_id        text NOT NULL,          -- empty: made when it is used
  max_capacity_mb integer NOT NULL,       -- 0: as the scheduler's settings say
  expire_time     timestamptz NOT NULL,
  create_time     timestamptz NOT NULL,
  use_time        timestamptz,
  used_by         text,
  used_key_sha256 bytea,                  -- of the key that was certified: the same request again is the same use
  revoke_time     timestamptz
);
CREATE INDEX agent_token_used_by ON agent_token (used_by, use_time DESC);
