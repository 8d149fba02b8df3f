"""`make demo` as it is, and what becomes of its data: on a cluster of its own, which is destroyed, and which vanishes."""

from __future__ import annotations

import hashlib
import json
import secrets
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests import soak
from tests.e2e.conftest import HELLO, ROOT, Portable, Run, app
from tests.e2e.web import fetch

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(1200)]
Say = Callable[[str], None]


@dataclass(frozen=True)
class Demo:
    """A copy of examples/ whose shop asks for another cluster than the user's own."""

    folder: Path
    cluster: str
    portable: Portable

    @property
    def hello(self) -> Path:
        return self.folder / "small.yaml"

    def shop(self, *command: str | Path) -> Run:
        return self.portable(*command, "-e", "dev", cwd=self.folder / "shop", timeout=600)

    def up_again(self) -> Run:
        """With a new value of its secret, which went with its cluster."""
        token = self.folder / "token"
        token.write_text(secrets.token_hex(16))
        return self.shop("up", "--yes", "--output", "json", "--secret", f"api-token={token}")

    def volumes(self) -> list[Path]:
        data = Path(self.portable.env["PORTABLE_DATA"]) / "kind" / self.cluster / "volumes"
        return list(data.rglob("*"))

    def containers(self) -> list[str]:
        label = f"label=io.x-k8s.kind.cluster={self.cluster}"
        names = subprocess.run(
            ["docker", "ps", "--all", "--filter", label, "--format", "{{.Names}}"],
            capture_output=True,
            text=True,
            check=True,
        )
        return names.stdout.split()


@pytest.fixture(scope="module")
def demo(portable: Portable, images: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    folder = tmp_path_factory.mktemp("examples")
    shutil.copytree(ROOT / "examples", folder, dirs_exist_ok=True)
    made = Demo(folder, f"demo-{secrets.token_hex(3)}", portable)
    spec = folder / "shop" / "portable.yaml"
    text = spec.read_text()
    assert text.count("\ncluster:\n  name: portable\n") == 1
    spec.write_text(text.replace("\ncluster:\n  name: portable\n", f"\ncluster:\n  name: {made.cluster}\n"))
    made.hello.write_text(app("small", made.cluster, {"web": HELLO}))
    yield made
    made.shop("destroy", "--yes", "--destroy-data")
    portable("destroy", "--cloud", "kind", "--yes", "--destroy-data", made.hello)
    assert made.containers() == []


def test_the_demo_ends_with_a_request_that_is_answered(demo: Demo, say: Say) -> None:
    started = time.monotonic()
    done = subprocess.run(
        [sys.executable, demo.folder / "demo.py"],
        env=dict(demo.portable.env),
        cwd=demo.folder,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=900,
        check=False,
    )
    said = done.stdout + done.stderr
    assert done.returncode == 0, said
    assert "POST https://shop.localhost" in done.stdout, said
    assert hashlib.sha256(b"tea").hexdigest() in done.stdout, "the worker's result was shown"
    say(f"demo: from no cluster to an answered request {time.monotonic() - started:.0f} s")


@soak.drawn(2, of=3)  # the others that make a cluster anew are in test_kind_provider.py and test_crash.py
def test_a_cluster_that_vanished_is_made_anew_and_the_data_is_found(demo: Demo, say: Say) -> None:
    demo.portable("up", "--cloud", "kind", "--yes", demo.hello)
    subprocess.run(["docker", "rm", "--force", "--volumes", *demo.containers()], check=True, capture_output=True)
    gone = demo.portable("status", "--cloud", "kind", demo.hello, code=1)
    assert f"there is no cluster '{demo.cluster}'" in gone.err
    run = demo.up_again()
    assert any("is gone: what ran on it is forgotten" in notice for notice in notices(run.events()))
    assert stored_items(demo) == [("tea", hashlib.sha256(b"tea").hexdigest())]
    say(f"demo: up after its cluster vanished {run.seconds:.0f} s")
    small = demo.portable("status", "--cloud", "kind", "--output", "json", demo.hello).json()["workloads"]
    assert {workload["state"] for workload in small} == {"absent"}, "the other app on it was forgotten too"
    run = demo.portable("up", "--cloud", "kind", "--yes", "--output", "json", demo.hello)
    assert run.events()[-1]["changed"] is True
    again = demo.portable("up", "--cloud", "kind", "--yes", "--output", "json", demo.hello)
    assert again.events()[-1]["changed"] is False


def test_destroy_takes_the_cluster_with_the_last_app_and_keeps_the_data(demo: Demo, say: Say) -> None:
    demo.portable("up", "--cloud", "kind", "--yes", demo.hello)
    demo.portable("destroy", "--cloud", "kind", "--yes", "--destroy-data", demo.hello)
    assert demo.containers() == [f"{demo.cluster}-control-plane"], "the shop is still on it"
    destroyed = demo.shop("destroy", "--yes", "--output", "json").events()[-1]
    assert demo.containers() == []
    assert {"shop-dev/data-db-0", "shop-dev/files-uploads-0", "Credential/db"} <= set(destroyed["kept"])
    say(f"demo: destroy with the cluster {destroyed['seconds']:.0f} s")
    assert demo.volumes(), "the data is on this machine"
    if soak.SOAK:
        demo.up_again()
        assert stored_items(demo) == [("tea", hashlib.sha256(b"tea").hexdigest())]
    demo.shop("destroy", "--yes", "--destroy-data")
    assert demo.containers() == demo.volumes() == []


def stored_items(demo: Demo) -> list[tuple[str, str]]:
    url = demo.shop("outputs", "--output", "json").json()["workloads.web.routes.shop.url"]
    return [(item["name"], item["result"]) for item in fetch(f"{url}api/items").json()["items"]]


def notices(events: list[dict[str, Any]]) -> list[str]:
    return [json.dumps(event) for event in events if event["event"] == "notice"]
