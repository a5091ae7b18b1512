"""Making rows for tests, by the names that people have."""
