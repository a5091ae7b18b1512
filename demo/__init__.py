"""The story of `make demo`: told over REST, with the SDK, like any user could."""
