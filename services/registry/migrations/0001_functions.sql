-- Code packages by digest. A row lives as long as a function version names it.
CREATE TABLE code_package (
  sha256 text PRIMARY KEY,
  size   bigint NOT NULL,
  data   bytea NOT NULL
);
-- Zip files do not compress; kept uncompressed, a piece can be read without reading the whole.
ALTER TABLE code_package ALTER COLUMN data SET STORAGE EXTERNAL;

-- Revisions rise over all functions, so that a function made anew is never older than the one that was deleted.
CREATE SEQUENCE revision AS integer;

-- One row per version; version 0 is "$LATEST", the others never change.
CREATE TABLE function_version (
  namespace   text NOT NULL,
  name        text NOT NULL,
  version     integer NOT NULL,
  revision    integer NOT NULL,
  spec        bytea NOT NULL,  -- evenfall.v1.Function; version, revision and code digest are this row's
  code_sha256 text REFERENCES code_package,
  PRIMARY KEY (namespace, name, version)
);
CREATE INDEX function_version_code ON function_version (code_sha256);
