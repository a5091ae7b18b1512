"""House rules of templates, styles and scripts that no formatter knows."""

from __future__ import annotations

import re
from pathlib import Path

from frontend import words

FRONTEND = Path(__file__).parents[3] / "frontend"
TEMPLATES = sorted((FRONTEND / "templates").rglob("*.html"))
STYLES = sorted((FRONTEND / "static" / "frontend" / "css").glob("*.css"))
SCRIPTS = sorted((FRONTEND / "static" / "frontend" / "js").glob("*.js"))

INLINE = re.compile(r"<script(?![^>]*\bsrc=)|<style|\sstyle=|\son[a-z]+=|javascript:|hx-on|js:")
ELSEWHERE = re.compile(r"""(?:src|href|url\()\s*=?\s*["']?https?://""")
COLOUR = re.compile(r"#[0-9a-fA-F]{3,8}\b|\brgba?\(|\bhsla?\(|\boklch\(")


def test_no_template_has_anything_inline_that_the_policy_would_refuse() -> None:
    assert TEMPLATES
    found = [path.name for path in TEMPLATES if INLINE.search(path.read_text())]
    assert found == []


def test_nothing_is_loaded_from_elsewhere() -> None:
    for path in (*TEMPLATES, *STYLES, *SCRIPTS):
        assert not ELSEWHERE.search(path.read_text()), path.name


def test_colours_are_written_once_as_tokens_with_both_values() -> None:
    for path in STYLES:
        if path.name != "tokens.css":
            assert not COLOUR.search(path.read_text()), path.name
    tokens = next(path for path in STYLES if path.name == "tokens.css").read_text()
    names = re.findall(r"^\s*(--[a-z0-9-]+): ", tokens, re.MULTILINE)
    assert len(names) == len(set(names))


def test_every_token_that_is_used_exists() -> None:
    tokens = next(path for path in STYLES if path.name == "tokens.css").read_text()
    known = set(re.findall(r"(--[a-z0-9-]+):", tokens))
    for path in (*STYLES, *SCRIPTS):
        used = set(re.findall(r"var\((--[a-z0-9-]+)\)", path.read_text()))
        assert used <= known, path.name


def test_every_icon_that_is_used_is_in_the_sprite() -> None:
    sprite = FRONTEND / "templates" / "frontend" / "icons.html"
    known = set(re.findall(r'id="i-([a-z-]+)"', sprite.read_text()))
    used: set[str] = {icon for _, _, icon in words._TONES.values()} | {*words._STEP_ICONS.values()}
    for path in TEMPLATES:
        if path != sprite:
            used |= set(re.findall(r'\{% icon "([a-z-]+)"', path.read_text()))
    assert used <= known


def test_every_style_sheet_names_its_layer() -> None:
    for path in STYLES:
        text = re.sub(r"/\*.*?\*/", "", path.read_text(), flags=re.DOTALL).strip()
        assert text.startswith("@layer"), path.name
