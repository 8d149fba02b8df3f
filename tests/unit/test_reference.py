"""The committed reference pages say what the schema and the commands say."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.renew_docs import PAGES, REFERENCE, main

pytestmark = pytest.mark.unit


@pytest.mark.parametrize("name", PAGES)
def test_the_committed_page_is_current(name: str) -> None:
    assert (REFERENCE / name).read_text(encoding="utf-8") == PAGES[name](), "renew it: make docs"


def test_renewing_writes_every_page(tmp_path: Path) -> None:
    main(tmp_path / "reference")
    written = {path.name: path.read_text(encoding="utf-8") for path in (tmp_path / "reference").iterdir()}
    assert written == {name: page() for name, page in PAGES.items()}
