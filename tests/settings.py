"""Settings of the app tier: the real ones, with a folder of its own and nothing to talk to.

SQLite by default; PostgreSQL when SLIPWAY_TEST_DATABASE=postgresql and SLIPWAY_TEST_POSTGRES_URL
names a server. `tests/app/conftest.py` says so when that server is missing.
"""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile
from pathlib import Path

_home = Path(tempfile.mkdtemp(prefix="slipway-test-"))
atexit.register(shutil.rmtree, _home, ignore_errors=True)
os.environ["SLIPWAY_HOME"] = str(_home)
for _name in [name for name in os.environ if name.startswith("SLIPWAY_DATABASE")]:
    del os.environ[_name]
if os.environ.get("SLIPWAY_TEST_DATABASE") == "postgresql":
    os.environ["SLIPWAY_DATABASE_URL"] = os.environ.get("SLIPWAY_TEST_POSTGRES_URL", "")
# No port of this machine answers here: an app test that needs Redis takes a fake.
os.environ["SLIPWAY_REDIS_URL"] = "redis://127.0.0.1:1/0"
os.environ["SLIPWAY_RATE_LIMIT_PER_MINUTE"] = "1000000"
os.environ["SLIPWAY_RATE_LIMIT_WRITES_PER_MINUTE"] = "1000000"

from controlplane.settings import *  # noqa: E402, F403
from controlplane.settings import DATABASES, STORAGES  # noqa: E402

CACHES = {"default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}}
CHANNEL_LAYERS = {"default": {"BACKEND": "channels.layers.InMemoryChannelLayer"}}
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
STORAGES = {
    **STORAGES,
    "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"},
}
ALLOWED_HOSTS = ["testserver", "localhost", "127.0.0.1"]

if "postgresql" in str(DATABASES["default"]["ENGINE"]):
    # A pool would keep connections open that the test database must lose to be dropped.
    DATABASES["default"]["OPTIONS"].pop("pool", None)  # type: ignore[attr-defined]
else:
    # A file and not memory: connections that share memory do not wait for each other's locks, and
    # what the xDS endpoint and the loops do from several threads would fail in tests only.
    DATABASES["default"]["TEST"] = {"NAME": str(_home / "test.sqlite3")}

(_home / "static").mkdir()
