"""The composition root: settings, addresses, programs, and the conventions of the API."""
