"""Who may do what, decided without a database: pure functions over frozen values."""
