"""The shop on its way from cloud to cloud, with all that its users have uploaded, under load."""

from __future__ import annotations

import secrets
import shutil
import time
from collections.abc import Callable, Sequence

import yaml

from tests import soak
from tests.benchmarks import page
from tests.e2e.conftest import ROOT, Run
from tests.e2e.migrating import MovingApp, World, trusting_all
from tests.load import Stream, load

# Small files, bytes of each, bytes of the large one.
_FILES, _EACH, _LARGE = soak.size(300, 100_000), 6_000, soak.size(4, 512) << 20
_PAGE = ROOT / "docs" / "migrate.md"


def new_shop(there: World, name: str, cloud: str) -> MovingApp:
    """The example on one of the clouds, with all of its files."""
    spec = yaml.safe_load((ROOT / "examples" / "shop" / "portable.yaml").read_text())
    spec["metadata"]["name"] = name
    spec["resources"]["files"]["size"] = "2Gi"
    spec["environments"] = {"prod": {"cloud": cloud}}
    app = there.app(name, yaml.safe_dump(spec, sort_keys=False), "shop.localhost")
    shutil.copytree(ROOT / "examples" / "shop" / "config", app.file.parent / "config")
    token = app.file.with_name("token.txt")
    token.write_text(secrets.token_hex(16))
    app.run("up", "--yes", "--secret", f"api-token={token}")
    token.unlink()
    app.files(cloud, "uploads").fill(_FILES, _EACH, _LARGE)
    app.upload(cloud, "note", b"by the app itself")
    return app


def stage(shop: MovingApp, here: str, to: str) -> None:
    """Somebody writes into the large file all the time."""
    with shop.files(here, "uploads").written_to() as written:
        shop.migrate(here, to, "--stage")
    assert written[0] > 10, "nobody wrote while it was staged"


def move_under_load(shop: MovingApp, here: str, to: str, go: Callable[[], Run]) -> tuple[str, ...]:
    """Every acknowledged write is there, files are equal, and no longer gap than was promised. Returns the journey's row."""
    files = shop.files(here, "uploads").listing()
    assert len(files) == 2 * (_FILES + 1 + len(shop.uploaded))
    writes = Stream("writes", rate=5, path="/api/items", method="POST", body=lambda n: f'{{"name": "{to}-{n}"}}'.encode(), patience=3)  # fmt: skip
    reads = Stream("reads", rate=5, path="/healthz", patience=3)
    with load(
        f"https://{shop.host}/", writes, reads, address=shop.places[here].address, trust=trusting_all()
    ) as record:
        time.sleep(2)
        result = go().events()[-1]
        time.sleep(2)
    assert result["phase"] == "committed", result
    acknowledged = {f"{to}-{each.number}" for each in record.responses if each.stream == "writes" and each.good}
    assert acknowledged - shop.items(to) == set(), "every acknowledged write is there"
    assert len(acknowledged) > 20
    assert sorted(files ^ shop.files(to, "uploads").listing())[:10] == []
    assert shop.differing(to) == [], "the app itself has them"
    promised, said = result["promise"]["downtime"], record.summary()
    assert result["kept"]["downtime"] <= promised
    assert said.longest_gap <= promised
    assert shop.pods(here) == [], "nothing of it runs on both sides"
    kept = result["kept"]
    return (
        f"`{here}` to `{to}`",
        f"{promised:.0f} s",
        f"{kept['downtime']:.0f} s",
        ", ".join(f"{name} {seconds:.1f} s" for name, seconds in kept["parts"].items()),
        f"{said.longest_gap:.0f} s",
        f"{said.requests:,}",
        f"{said.failed:,}",
        f"{kept['total']:.0f} s",
    )


def report(journeys: Sequence[tuple[str, ...]]) -> str:
    """Their table, which is also written into the page where all of the data has moved."""
    head = ("the shop", "promised", "kept", "of that", "longest gap", "requests", "failed", "whole migration")
    body = f"{_FILES:,} files of {_EACH:,} bytes and one of {_LARGE >> 20} MiB.\n\n{page.table(head, journeys)}"
    if soak.SOAK:
        page.rewrite("the shop", body, command="PORTABLE_SOAK=1 pytest tests/e2e/test_migrate.py", page=_PAGE)
    return body
