"""Entry points of governance, and what the API of every app is built on."""
