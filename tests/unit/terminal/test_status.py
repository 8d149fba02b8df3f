"""`status` on screens of every width: names stay whole, images make way."""

from __future__ import annotations

from dataclasses import replace

import pytest

from portable.status import Status, WorkloadStatus
from portable.terminal.status import print_status
from tests.unit.terminal.screens import Screen

pytestmark = pytest.mark.unit

DIGEST = "sha256:" + "0123456789abcdef" * 4
BUILT = f"portable.local/shop/web-main:d0a7fa9cb145bbe3@{DIGEST}"
PINNED = f"registry.example.com:5000/acme/api@{DIGEST}"
STATUS = Status(
    "shop",
    None,
    "kind",
    "portable",
    "shop",
    workloads=(
        WorkloadStatus("web", "Deployment", "ready", 2, 2, images=(BUILT,), age=90.0),
        WorkloadStatus("api-of-the-shop", "Deployment", "waiting", 0, 1, images=(PINNED,), restarts=12, age=4000.0),
    ),
    routes=(),
)


def shown(width: int, *, whole: bool = False) -> list[str]:
    screen = Screen(width)
    print_status(screen.console, STATUS, whole=whole)
    return screen.lines


def test_an_image_is_told_by_its_tag_or_the_first_digits_of_its_digest() -> None:
    _where, _heads, web, api = shown(120)
    assert web.endswith("  portable.local/shop/web-main:d0a7fa9cb145bbe3")
    assert api.endswith("  registry.example.com:5000/acme/api@sha256:0123456789ab")


def test_verbose_tells_whole_images() -> None:
    _where, _heads, web, api = shown(200, whole=True)
    assert (BUILT in web, PINNED in api) == (True, True)


@pytest.mark.parametrize("width", [60, 80])
def test_names_and_numbers_stay_on_one_line(width: int) -> None:
    lines = shown(width)
    assert any(" ".join(line.split()).startswith("· api-of-the-shop 0/1 12 1h 06m") for line in lines), lines
    assert max(map(len, lines)) <= width


def test_what_serves_while_a_new_version_does_not_is_said() -> None:
    screen = Screen(100)
    waiting = replace(STATUS.workloads[1], earlier=2)
    print_status(screen.console, replace(STATUS, workloads=(waiting,)))
    assert "api-of-the-shop: 2 ready of an earlier version" in screen.lines
