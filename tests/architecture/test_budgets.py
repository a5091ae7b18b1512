"""Files and functions stay small enough to be read at once. There is no list of exceptions."""

from __future__ import annotations

import ast
import subprocess
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
FILE_LINES, FUNCTION_LINES, TEMPLATE_LINES, SCRIPT_LINES = 400, 60, 150, 150


def tracked(*patterns: str) -> list[Path]:
    """What git tracks or would track; vendored files are not ours."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "--", *patterns],
        capture_output=True,
        text=True,
        check=True,
        cwd=ROOT,
    )
    paths = (ROOT / name for name in listed.stdout.splitlines())
    return [path for path in paths if path.exists() and "/vendor/" not in str(path)]


def long_ones(paths: list[Path], limit: int) -> list[str]:
    counted = ((len(path.read_text().splitlines()), path) for path in paths)
    return [f"{path.relative_to(ROOT)}: {lines}" for lines, path in counted if lines > limit]


def functions(path: Path) -> Iterator[tuple[str, int]]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node.name, (node.end_lineno or node.lineno) - node.lineno + 1


def ours() -> list[Path]:
    return [path for path in tracked("*.py") if "/migrations/" not in str(path)]


def test_no_python_file_is_longer_than_400_lines() -> None:
    assert long_ones(ours(), FILE_LINES) == []


def test_no_function_is_longer_than_60_lines() -> None:
    found = [
        f"{path.relative_to(ROOT)}:{name}: {lines}"
        for path in ours()
        for name, lines in functions(path)
        if lines > FUNCTION_LINES
    ]
    assert found == []


def test_no_template_is_longer_than_150_lines() -> None:
    assert long_ones(tracked("*.html"), TEMPLATE_LINES) == []


def test_no_script_is_longer_than_150_lines() -> None:
    assert long_ones(tracked("frontend/static/**.js", "*.mjs"), SCRIPT_LINES) == []


def test_no_module_is_called_utils() -> None:
    assert [path for path in ours() if path.stem in {"utils", "helpers", "misc", "common"}] == []


def test_the_map_names_every_top_level_folder() -> None:
    words = (ROOT / "ARCHITECTURE.md").read_text()
    folders = {path.relative_to(ROOT).parts[0] for path in tracked("*/*")}
    assert [name for name in sorted(folders) if f"{name}/" not in words and name != ".ci"] == []


def test_only_wakeups_send_tasks() -> None:
    """A task that is sent before the commit may run before the rows are there."""
    apps = {"core", "governance", "deployments", "monitoring", "frontend"}
    found = [
        str(path.relative_to(ROOT))
        for path in ours()
        if path.relative_to(ROOT).parts[0] in apps
        and path.name != "wakeups.py"
        and any(word in path.read_text() for word in (".delay(", ".apply_async(", ".send_task("))
    ]
    assert found == []


def test_rows_are_fetched_through_one_gate() -> None:
    found = [
        str(path.relative_to(ROOT))
        for path in ours()
        if "tests" not in path.parts and "get_object_or_404" in path.read_text()
    ]
    assert found == []
