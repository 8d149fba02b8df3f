"""Built images into a cloud's registry, and a migration's images into the other's: real builders, real registries."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

import pytest

from portable import tools
from portable.errors import ProviderError, UsageError
from portable.events import Emit, Event, Step, nowhere
from portable.images import builders
from portable.images.delivery import deliver
from portable.migrate.images import mirror, private
from portable.migrate.sides import Side
from portable.provider import RegistryLogin
from portable.spec.model import Cluster
from portable.target import Request, Target, open_target
from portable.tools.crane import CRANE
from tests import oci
from tests.packages import need
from tests.registries import LocalRegistry, registry

pytestmark = pytest.mark.contract


@dataclass
class Cloud:
    """A plugin's Registry whose registry is a real one of this machine."""

    at: LocalRegistry
    title: str = "a cloud"
    name: str = "cloud"

    def repository(self, cluster: Cluster, name: str) -> str:
        return f"{self.at.server}/{name}"

    def ensure_repository(self, cluster: Cluster, name: str, emit: Emit) -> str:
        return self.repository(cluster, name)

    def registry_login(self, cluster: Cluster) -> RegistryLogin:
        return self.at.login or RegistryLogin(self.at.server, "nobody", "")

    def owns_image(self, cluster: Cluster, image: str) -> bool:
        return image.startswith(f"{self.at.server}/")


@pytest.fixture(scope="module", autouse=True)
def _tools() -> None:
    tools.obtain(CRANE, nowhere)
    need("buildah")


@pytest.fixture(scope="module")
def clouds(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Cloud, Cloud]]:
    with (
        registry(tmp_path_factory.mktemp("one"), password="first") as one,
        registry(tmp_path_factory.mktemp("two"), password="second") as two,
    ):
        yield Cloud(one), Cloud(two, "another cloud")


@pytest.fixture
def target(tmp_path: Path, clouds: tuple[Cloud, Cloud], monkeypatch: pytest.MonkeyPatch) -> Target:
    """An app whose image is built by Buildah for two platforms, on the first cloud. Every test has an app of its own."""
    monkeypatch.setenv("PORTABLE_BUILDER", "buildah")
    name = f"shop{abs(hash(tmp_path)) % 10**8}"
    (tmp_path / "api").mkdir()
    (tmp_path / "api" / "Dockerfile").write_text("FROM scratch\nCOPY data /data\n")
    (tmp_path / "api" / "data").write_text(name)
    build = "{context: ./api, platforms: [linux/amd64, linux/arm64]}"
    (tmp_path / "portable.yaml").write_text(
        f"apiVersion: portable/v1\nkind: App\nmetadata: {{name: {name}}}\n"
        f"workloads: {{web: {{containers: {{main: {{build: {build}}}}}}}}}\n"
    )
    return on(open_target(Request(tmp_path / "portable.yaml", cloud="gcp")), clouds[0])


def on(target: Target, cloud: Cloud) -> Target:
    return replace(target, provider=cast("Any", cloud))


def test_pushed_by_digest_and_not_built_again(
    target: Target, clouds: tuple[Cloud, Cloud], monkeypatch: pytest.MonkeyPatch
) -> None:
    events: list[Event] = []
    built = deliver(target, events.append).built
    ((name, reference),) = built.items()
    repository, _, digest = reference.partition("@")
    path, _, tag = repository.removeprefix(f"{clouds[0].at.server}/").partition(":")
    assert name == f"portable.local/{path}:{tag}"
    assert clouds[0].at.digest(path, tag) == digest
    assert any(isinstance(event, Step) and event.name == "build" for event in events)

    def unavailable() -> builders.Builder:
        raise AssertionError("the registry has it: no builder is asked")

    monkeypatch.setattr(builders, "find", unavailable)
    assert deliver(target, nowhere).built == built


def test_a_cloud_without_a_registry_says_what_to_do(target: Target) -> None:
    bare = replace(target, provider=cast("Any", type("Bare", (), {"title": "a bare cloud"})()))
    with pytest.raises(UsageError) as caught:
        deliver(bare, nowhere)
    assert "`image` beside `build`" in caught.value.fix


def side(target: Target, cloud: Cloud, role: str) -> Side:
    return Side(cast("Any", role), on(target, cloud), cast("Any", None), cast("Any", None))


def test_a_migration_copies_what_the_other_cloud_cannot_pull(target: Target, clouds: tuple[Cloud, Cloud]) -> None:
    one, two = clouds
    (reference,) = deliver(target, nowhere).built.values()
    source, there = side(target, one, "source"), side(target, two, "target")
    images = [reference, "docker.io/library/redis:7"]
    assert private(images, source) == [reference]
    moved = mirror(images, source, there, nowhere)
    assert list(moved) == [reference]
    assert moved[reference].startswith(f"{two.at.server}/")
    assert moved[reference].partition("@")[2] == reference.partition("@")[2]
    assert mirror(images, source, there, nowhere) == moved, "may be repeated"
    # what `up` on the target would deliver is the same image, which it finds there
    assert list(deliver(on(target, two), nowhere).built.values()) == [moved[reference]]


def test_images_of_nodes_alone_are_delivered_to_the_target(target: Target, clouds: tuple[Cloud, Cloud]) -> None:
    """As on a local cluster: there is no registry to copy from, but the spec says how they are built."""
    one, two = clouds
    bare = cast("Any", type("Local", (), {"title": "a local cluster"})())
    source = replace(side(target, one, "source"), app=replace(target, provider=bare))
    name = target.app.workloads["web"].containers["main"].image
    in_nodes = f"{name}@sha256:{'a' * 64}"
    moved = mirror([in_nodes], source, side(target, two, "target"), nowhere)
    assert moved[in_nodes].startswith(f"{two.at.server}/")
    other = f"{name.rpartition(':')[0]}:{'0' * 16}@sha256:{'a' * 64}"
    with pytest.raises(ProviderError, match="built from something else"):
        mirror([other], source, side(target, two, "target"), nowhere)


def test_a_target_without_a_registry_is_refused_in_words(
    tmp_path: Path, target: Target, clouds: tuple[Cloud, Cloud]
) -> None:
    from portable.images import crane

    one = clouds[0]
    oci.layout(tmp_path / "own", {"a": b"own"})
    pushed = crane.push(tmp_path / "own", f"{one.at.server}/own/image:1", [one.registry_login(Cluster())])
    bare = cast("Any", type("Bare", (), {"title": "a bare cloud"})())
    there = replace(side(target, one, "target"), app=replace(target, provider=bare))
    with pytest.raises(ProviderError, match="has no registry"):
        mirror([pushed], side(target, one, "source"), there, nowhere)


def test_a_build_secret_is_read_and_left_nowhere(
    tmp_path: Path, target: Target, clouds: tuple[Cloud, Cloud], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The build fails unless it reads the right value; a wrapper in Buildah's place notes its arguments."""
    value = f"s3cret-{tmp_path.name}"
    context = tmp_path / "api"
    (context / "busybox").write_bytes(Path(need("busybox", "busybox-static")).read_bytes())
    (context / "busybox").chmod(0o755)
    (context / "Dockerfile").write_text(
        "FROM scratch\nCOPY busybox /busybox\n"
        f'RUN --mount=type=secret,id=npm ["/busybox", "grep", "-q", "{value}", "/run/secrets/npm"]\n'
    )
    spec = tmp_path / "portable.yaml"
    asked = "{context: ./api, secrets: {npm: {env: E1_TOKEN}}, platforms: [linux/amd64]}"
    spec.write_text(
        spec.read_text().partition("workloads")[0]
        + f"workloads: {{web: {{containers: {{main: {{build: {asked}}}}}}}}}\n"
    )
    seen, real = tmp_path / "seen", need("buildah")
    (tmp_path / "bin").mkdir()
    wrapper = tmp_path / "bin" / "buildah"
    wrapper.write_text(f'#!/bin/sh\necho "$@" >> {seen}\nexec {real} "$@"\n')
    wrapper.chmod(0o755)
    monkeypatch.setenv("PATH", f"{wrapper.parent}:{os.environ['PATH']}")
    app = on(open_target(Request(spec, cloud="gcp")), clouds[0])
    monkeypatch.delenv("E1_TOKEN", raising=False)
    with pytest.raises(UsageError, match="npm of web is not set"):
        deliver(app, nowhere)
    monkeypatch.setenv("E1_TOKEN", "wrong")
    with pytest.raises(builders.BuildFailed):
        deliver(app, nowhere)
    monkeypatch.setenv("E1_TOKEN", value)
    (reference,) = deliver(app, nowhere).built.values()
    assert reference.startswith(clouds[0].at.server)
    assert "--secret=id=npm" in seen.read_text()
    assert value not in seen.read_text()
