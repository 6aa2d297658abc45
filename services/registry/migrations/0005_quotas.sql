-- Limits of namespaces and of access keys; "*" names the default of those that have none. Counts are not kept here: they are counted when something is added.
CREATE TABLE namespace_quota (
  namespace text COLLATE "C" PRIMARY KEY,
  spec      bytea NOT NULL,  -- evenfall.v1.NamespaceQuota
  instances integer          -- those of it: the scheduler asks for them often
);
CREATE TABLE key_quota (
  key_id text COLLATE "C" PRIMARY KEY,
  spec   bytea NOT NULL  -- evenfall.v1.KeyQuota
);
