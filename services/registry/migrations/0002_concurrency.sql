-- Every change of what is reserved or provisioned moves this on: sums over all functions are judged against one state of them.
CREATE TABLE concurrency_change (
  single boolean PRIMARY KEY DEFAULT true CHECK (single),
  number bigint NOT NULL
);
INSERT INTO concurrency_change (number) VALUES (0);

-- Memory reserved for functions; what is not here shares what is left. It goes with its function, whose "$LATEST" is version 0.
CREATE TABLE reserved_concurrency (
  namespace text NOT NULL,
  name      text NOT NULL,
  version   integer NOT NULL DEFAULT 0 CHECK (version = 0),
  memory_mb integer NOT NULL CHECK (memory_mb >= 0),
  PRIMARY KEY (namespace, name),
  FOREIGN KEY (namespace, name, version) REFERENCES function_version ON DELETE CASCADE
);

-- Instances kept ready of published versions. It goes with its version.
CREATE TABLE provisioned_concurrency (
  namespace text NOT NULL,
  name      text NOT NULL,
  version   integer NOT NULL CHECK (version > 0),
  instances integer NOT NULL CHECK (instances > 0),
  PRIMARY KEY (namespace, name, version),
  FOREIGN KEY (namespace, name, version) REFERENCES function_version ON DELETE CASCADE
);
