"""Static files under hashed names, ES modules' imports included."""

from __future__ import annotations

from whitenoise.storage import CompressedManifestStaticFilesStorage


class HashedModules(CompressedManifestStaticFilesStorage):
    support_js_module_import_aggregation = True
    # A missing file should fail in the test that asks for it, not show a page without style.
    manifest_strict = True
