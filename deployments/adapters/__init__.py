"""What reaches the outside world: hosts, gateways, storage."""
