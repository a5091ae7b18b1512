"""Reading, each row through the gate."""
