"""One file a release of the schema; each runs the SQL file of its number."""
