"""Which images an app wants built, what they are called, and what of them is known already."""

from __future__ import annotations

from pathlib import Path

import pytest

from portable.images.wanted import TAG_LENGTH, host_platform, known_from, pinned, tagged, wanted
from portable.spec.model import App, Build, BuildSecret, Container, Workload

pytestmark = pytest.mark.unit
DIGEST = "sha256:" + "a" * 64


def app(tmp_path: Path, **containers: Container) -> App:
    (tmp_path / "Dockerfile").write_text("FROM scratch\n")
    found = {name: Workload(name, "worker", {"main": container}) for name, container in containers.items()}
    return App("shop", None, None, found)


def built(tmp_path: Path, name: str, **more: object) -> Container:
    return Container("main", f"portable.local/shop/{name}-main", build=Build(str(tmp_path), **more))  # type: ignore[arg-type]


def image(found: App, workload: str) -> str:
    return found.workloads[workload].containers["main"].image


def test_what_is_built_alike_is_one_image(tmp_path: Path) -> None:
    shop = tagged(app(tmp_path, web=built(tmp_path, "web"), migrate=built(tmp_path, "migrate")), local=True)
    (only,) = wanted(shop, local=True)
    assert image(shop, "web") == image(shop, "migrate") == only.name
    assert only.repository == "portable.local/shop/web-main"
    assert len(only.tag) == TAG_LENGTH
    assert only.containers == (("web", "main"), ("migrate", "main"))
    assert only.platforms == (host_platform(),)


def test_clouds_get_their_nodes_platform(tmp_path: Path) -> None:
    (only,) = wanted(tagged(app(tmp_path, web=built(tmp_path, "web")), local=False), local=False)
    assert only.platforms == ("linux/amd64",)


def test_other_arguments_are_another_image(tmp_path: Path) -> None:
    two = app(tmp_path, a=built(tmp_path, "a"), b=built(tmp_path, "b", args={"X": "1"}))
    assert len(wanted(tagged(two, local=True), local=True)) == 2


def test_other_secrets_are_another_image(tmp_path: Path) -> None:
    two = app(tmp_path, a=built(tmp_path, "a"), b=built(tmp_path, "b", secrets={"npm": BuildSecret(env="NPM_TOKEN")}))
    assert [each.build.secrets.keys() for each in wanted(tagged(two, local=True), local=True)] == [set(), {"npm"}]


def test_a_repository_of_the_specs_own_is_kept(tmp_path: Path) -> None:
    own = Container("main", "ghcr.io/acme/api", build=Build(str(tmp_path)))
    (only,) = wanted(tagged(app(tmp_path, web=own), local=True), local=True)
    assert only.repository == "ghcr.io/acme/api"
    assert not only.local


def test_an_earlier_revisions_image_of_the_same_content_is_known(tmp_path: Path) -> None:
    shop = tagged(app(tmp_path, web=built(tmp_path, "web"), other=Container("main", "redis:7")), local=True)
    tag = image(shop, "web").rpartition(":")[2]
    mine = f"1.dkr.ecr.eu-west-1.amazonaws.com/portable/shop/web-main:{tag}@{DIGEST}"
    known = known_from(shop, ["redis:7", f"x:{'0' * TAG_LENGTH}@{DIGEST}", mine])
    assert image(pinned(shop, known), "web") == mine
    assert image(pinned(shop, known), "other") == "redis:7"


def test_nothing_is_known_without_a_digest(tmp_path: Path) -> None:
    shop = tagged(app(tmp_path, web=built(tmp_path, "web")), local=True)
    assert known_from(shop, [image(shop, "web")]) == {}
