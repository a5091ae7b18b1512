"""The API's conventions, which know no app: strict input, cursors, ETags, idempotency, limits."""
