"""The settings as a table in Markdown, for docs/reference/configuration.md.

`python -m controlplane.config_reference` rewrites that page; a test fails while it is out of date.
"""

from __future__ import annotations

from pathlib import Path

from pydantic.fields import FieldInfo

from controlplane.config import Config

PAGE = Path(__file__).resolve().parent.parent / "docs" / "reference" / "configuration.md"
BEGIN, END = "<!-- settings: begin -->\n", "<!-- settings: end -->\n"
_KIB = 1024


def table() -> str:
    """One line for each setting, in the order of `Config`.

    Raises:
        ValueError: a setting has no description.
    """
    rows = [_row(name, field) for name, field in Config.model_fields.items()]
    return "\n".join(["| setting | default | meaning |", "| --- | --- | --- |", *rows, ""])


def page(present: str) -> str:
    """`present` with the table between the two marks made anew."""
    head, _, rest = present.partition(BEGIN)
    _, _, tail = rest.partition(END)
    return f"{head}{BEGIN}{table()}{END}{tail}"


def _row(name: str, field: FieldInfo) -> str:
    if not field.description:
        raise ValueError(f"The setting {name} has no description.")
    return f"| `SLIPWAY_{name.upper()}` | {_default(name, field.default)} | {field.description} |"


def _default(name: str, value: object) -> str:
    match value:
        case None | "":
            return "–"
        case bool():
            return f"`{str(value).lower()}`"
        case int() if name.endswith("_bytes"):
            return f"`{value}` ({value // _KIB**3} GiB)"
        case list():
            return f"`{value}`".replace("'", '"')
        case float() if value.is_integer():
            return f"`{value:.0f}`"
    return f"`{value}`"


if __name__ == "__main__":
    PAGE.write_text(page(PAGE.read_text()))
