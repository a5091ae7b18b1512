"""The gateway program: starts Envoy, keeps it up, and keeps its last accepted snapshot."""
