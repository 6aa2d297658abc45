-- A large code package on its way into code_package: it comes in pieces, all within the transaction that puts them together and takes them away.
CREATE TABLE code_piece (
  upload uuid    NOT NULL,
  n      integer NOT NULL,
  data   bytea   NOT NULL,
  PRIMARY KEY (upload, n)
);
