"""Uploaded files while they are inspected: private, and gone with the process that took them."""

from __future__ import annotations

from typing import Any

from django.core.files.uploadhandler import TemporaryFileUploadHandler

from core import scratch


class PrivateUploads(TemporaryFileUploadHandler):
    """Streams to a file that only this account can read. What a killed process has left is deleted
    when the next file comes, or `web` starts."""

    def new_file(self, *args: Any, **kwargs: Any) -> None:
        scratch.sweep()
        super().new_file(*args, **kwargs)
        scratch.hold(self.file)
