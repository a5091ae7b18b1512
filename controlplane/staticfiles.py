"""Static files under hashed names, ES modules' imports included."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from django.conf import settings
from whitenoise.storage import CompressedManifestStaticFilesStorage


class HashedModules(CompressedManifestStaticFilesStorage):  # type: ignore[misc]
    support_js_module_import_aggregation = True
    # A missing file should fail in the test that asks for it, not show a page without style.
    manifest_strict = True

    def compress_files(self, paths: Iterable[str]) -> Iterator[tuple[str, str]]:
        """Only where there is a network to save: on one machine it costs the start 4 s."""
        if settings.PRODUCTION:
            yield from super().compress_files(paths)
