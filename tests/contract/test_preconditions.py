"""What an `up` would end with once a cluster is there is said before anything is made, and by `plan` too."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from tests.contract.programs import Portable, environment

pytestmark = pytest.mark.contract

SPEC = """\
apiVersion: portable/v1
kind: App
metadata: {name: early}
cluster: {name: early-cluster}
workloads:
  web:
    containers: {main: {image: example.com/web:1}}
    service: {ports: {http: {port: 80}}}
resources:
  token: {type: secret}
"""
WEB = "    containers: {main: {image: example.com/web:1}}\n"
ROUTE = "    routes: {site: {host: shop.example.test, tls: auto}}\n"
BUILT = "    containers: {main: {build: .}}\n"


@dataclass(frozen=True)
class Early:
    """`more`: what `web` has besides, or instead of its containers; `code`: how both commands end; `said`: what they say."""

    more: str
    said: tuple[str, ...]
    code: int = 2
    env: Mapping[str, str] = field(default_factory=dict)
    instead: bool = False


EARLY = {
    "an identity that the cloud does not know": Early(
        "    identity: Robot\n",
        ("'Robot' is no identity", "portable.yaml:8", "workloads.web.identity", "lower-case letters"),
    ),
    "a DNS mode that does not exist": Early(
        ROUTE, ("the DNS mode 'cloud' does not exist", "PORTABLE_DNS is one of"), env={"PORTABLE_DNS": "cloud"}
    ),
    "a DNS key that is not there": Early(
        ROUTE.replace(", tls: auto", ""),
        ("no-such.key",),
        env={"PORTABLE_DNS_SERVER": "127.0.0.1:5353", "PORTABLE_DNS_KEY_FILE": "no-such.key"},
    ),
    "a certificate without a zone to prove it in": Early(
        ROUTE, ("no way to a certificate for shop.example.test", "cert-manager")
    ),
    "an image to build, and no registry": Early(
        BUILT, ("has no registry that portable can push the image of web to", "ghcr.io/acme/api"), instead=True
    ),
}


@pytest.fixture
def portable(tmp_path: Path, acme_site: Path, acme_cloud: Path) -> Portable:
    (tmp_path / "portable.yaml").write_text(SPEC)
    return Portable(tmp_path, environment(tmp_path, acme_site, acme_cloud))


def _nothing_made(cloud: Path) -> bool:
    return [path.name for path in cloud.rglob("*.json")] == ["api.json"]


@pytest.mark.parametrize("early", EARLY.values(), ids=EARLY)
def test_before_a_cluster_is_made(early: Early, portable: Portable, acme_cloud: Path) -> None:
    spec = SPEC.replace(WEB, early.more) if early.instead else SPEC.replace(WEB, WEB + early.more)
    (portable.folder / "portable.yaml").write_text(spec)
    (portable.folder / "Dockerfile").write_text("FROM scratch\n")
    portable = replace(portable, env={**portable.env, **early.env})
    for command in (("plan",), ("up", "--yes")):
        run = portable(*command, "--cloud", "acme", code=early.code)
        assert [words for words in early.said if words not in run.err] == [], run
    assert _nothing_made(acme_cloud)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("other=value", "the spec has no secret called 'other'"),
        ("token.other=value", "the secret 'token' has no key 'other'"),
    ],
)
def test_a_secret_that_the_spec_does_not_have(given: str, said: str, portable: Portable, acme_cloud: Path) -> None:
    (portable.folder / "value").write_text("hunter2")
    run = portable("up", "--cloud", "acme", "--yes", "--secret", given, code=2)
    assert said in run.err
    assert "hunter2" not in run.out + run.err
    assert _nothing_made(acme_cloud)


def test_two_disks_of_one_claim(portable: Portable, acme_cloud: Path) -> None:
    (acme_cloud / "disks").mkdir()
    for name in ("one", "two"):
        disk = {"name": name, "cluster": "early-cluster", "claim": "early/data", "size": "1Gi", "waits": 0}
        (acme_cloud / f"disks/{name}.json").write_text(json.dumps(disk))
    run = portable("up", "--cloud", "acme", "--yes", code=1)
    assert "2 disks belong to early/data: one, two" in run.err
    assert not (acme_cloud / "networks").exists()
