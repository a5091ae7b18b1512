"""What every package above shares: errors, clock, ids, models, concurrency, live topics."""
