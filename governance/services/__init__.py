"""Use-cases: permission, change, record."""
