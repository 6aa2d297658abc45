-- Id of the access key, or of the subject of the token, that made a function (version 0) or published a version, and of the one that brought the code package
-- which the row names. Null where that is not known: rows of before, and calls of gateways of an earlier release. Quotas of keys count by them.
ALTER TABLE function_version ADD COLUMN made_by_key text, ADD COLUMN code_by_key text;
CREATE INDEX function_version_made_by_key ON function_version (made_by_key);
CREATE INDEX function_version_code_by_key ON function_version (code_by_key);
