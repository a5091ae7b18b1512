"""Serves the gateways' configuration and hears what they acknowledge."""
