"""Writes the generated reference pages anew: `make docs`. A test compares them with what they are made from."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from portable.cli.reference import cli_markdown
from portable.spec import reference_markdown

REFERENCE = Path(__file__).resolve().parent.parent / "docs" / "reference"
PAGES: Mapping[str, Callable[[], str]] = {"spec.md": reference_markdown, "cli.md": cli_markdown}


def main(folder: Path = REFERENCE) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, page in PAGES.items():
        (folder / name).write_text(page(), encoding="utf-8")


if __name__ == "__main__":
    main()
