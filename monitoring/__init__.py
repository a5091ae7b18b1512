"""What replicas report, merged: windows, live charts, and later drift and fairness."""
