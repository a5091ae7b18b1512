"""Plain uploads never outlive the process that took them."""

from __future__ import annotations

import stat
import subprocess
import sys
from pathlib import Path

import pytest
from django.conf import settings as django_settings

from core import scratch
from core.uploads import PrivateUploads

# Takes an upload as `web` does, and says so; what follows is a kill.
_TAKER = """
import sys, time
import django
from django.conf import settings
settings.configure(FILE_UPLOAD_TEMP_DIR=sys.argv[1])
from core.uploads import PrivateUploads
handler = PrivateUploads()
handler.new_file("artifact", "m.onnx", "application/octet-stream", None)
handler.receive_data_chunk(b"the plain model", 0)
handler.file.flush()
print(handler.file.temporary_file_path(), flush=True)
time.sleep(600)
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(django_settings, "FILE_UPLOAD_TEMP_DIR", tmp_path / "tmp")
    monkeypatch.setattr(scratch, "_YOUNG_SECONDS", 0.0)
    return tmp_path / "tmp"


def test_the_folder_is_for_this_account_only(folder: Path) -> None:
    assert stat.S_IMODE(scratch.folder().stat().st_mode) == 0o700


def test_what_a_killed_process_left_is_deleted_and_what_is_in_use_is_not(folder: Path) -> None:
    scratch.folder()
    taker = subprocess.Popen(
        [sys.executable, "-c", _TAKER, str(folder)], stdout=subprocess.PIPE, text=True
    )
    try:
        assert taker.stdout is not None
        path = Path(taker.stdout.readline().strip())
        assert path.read_bytes() == b"the plain model"
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert scratch.sweep() == 0
    finally:
        taker.kill()
        taker.communicate()
    assert path.exists()
    assert scratch.sweep() == 1
    assert list(folder.iterdir()) == []


def test_the_next_upload_sweeps_as_well(folder: Path) -> None:
    (scratch.folder() / "left.upload").write_bytes(b"the plain model")
    handler = PrivateUploads()
    handler.new_file("artifact", "m.onnx", "application/octet-stream", None)
    assert [str(path) for path in folder.iterdir()] == [handler.file.temporary_file_path()]
    handler.file.close()
    assert list(folder.iterdir()) == []


def test_a_file_that_was_made_just_now_is_left_alone(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scratch, "_YOUNG_SECONDS", 600.0)
    (scratch.folder() / "new").write_bytes(b"")
    assert scratch.sweep() == 0


def test_links_and_folders_are_not_followed(folder: Path, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.write_text("keep me")
    (scratch.folder() / "link").symlink_to(elsewhere)
    (folder / "sub").mkdir()
    assert scratch.sweep() == 0
    assert elsewhere.read_text() == "keep me"
