"""Built images into a cloud's registry, and a migration's images into the other's: real builders, real registries."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

import pytest

from portable import tools
from portable.errors import UsageError
from portable.events import Emit, Event, Step, nowhere
from portable.images import builders, building, crane
from portable.images.delivery import deliver
from portable.migrate.images import mirror
from portable.migrate.sides import Side
from portable.provider import RegistryLogin
from portable.spec.model import Cluster
from portable.target import Request, Target, compile_target, open_target
from portable.tools.crane import CRANE
from tests import oci, soak
from tests.buildkit import REMOTE
from tests.packages import need
from tests.registries import LocalRegistry, registry

pytestmark = [pytest.mark.contract, pytest.mark.timeout(1800)]  # BuildKit itself may have to be built
PUBLIC = "docker.io/library/redis:7"
# Builder -> its program. BuildKit takes minutes to be built itself: whole runs only.
BUILDERS: Mapping[str, str] = {"buildah": "buildah", "buildkit": "buildctl", "buildx": "docker"}


@dataclass
class Cloud:
    """A plugin's Registry whose registry is a real one of this machine."""

    at: LocalRegistry
    title: str = "a cloud"
    name: str = "cloud"

    def ensure_repository(self, cluster: Cluster, name: str, emit: Emit) -> str:
        return f"{self.at.server}/{name}"

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


@pytest.fixture(params=list(BUILDERS)[: soak.size(1, 3)])
def program(request: pytest.FixtureRequest, with_buildkit: Mapping[str, str], monkeypatch: pytest.MonkeyPatch) -> str:
    """The program of the builder that the test builds with."""
    builder = request.param
    found = {"PORTABLE_BUILDER": "docker" if builder == "buildx" else builder}
    if builder != "buildah":
        found |= {**with_buildkit, **REMOTE}
    for name, value in found.items():
        monkeypatch.setenv(name, value)
    return BUILDERS[builder]


@pytest.fixture
def target(tmp_path: Path, clouds: tuple[Cloud, Cloud], program: str) -> Target:
    """An app whose image is built for two platforms, on the first cloud. Every test has an app of its own."""
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
    return Side(cast("Any", role), on(target, cloud), cast("Any", None), compile_target(target))


def test_a_migration_copies_what_the_target_is_to_find_in_its_own_registry(
    tmp_path: Path, clouds: tuple[Cloud, Cloud]
) -> None:
    """The image of the old cloud's registry, which a patch replaces by one of the new cloud's; what all can pull stays."""
    one, two = clouds
    oci.layout(tmp_path / "own", {"a": tmp_path.name.encode()})
    pushed = crane.push(tmp_path / "own", f"{one.at.server}/shop/web:1", [one.registry_login(Cluster())])
    digest = pushed.partition("@")[2]

    def app(image: str) -> Target:
        file = tmp_path / "portable.yaml"
        file.write_text(
            "apiVersion: portable/v1\nkind: App\nmetadata: {name: shop}\nworkloads:\n"
            f"  web: {{containers: {{main: {{image: '{image}'}}, side: {{image: '{PUBLIC}'}}}}}}\n"
        )
        return open_target(Request(file, cloud="gcp"))

    source = side(app(f"{one.at.server}/shop/web:1"), one, "source")
    there = side(app(f"{two.at.server}/moved/web:1"), two, "target")
    said: list[str] = []
    copied = mirror(source, there, nowhere, said.append)
    assert [reference.partition("@")[2] for reference in copied] == [digest]
    assert two.at.digest("moved/web", "1") == digest
    assert said == [f"copying {one.at.server}/shop/web:1"], "the public image is nobody's to copy"
    assert mirror(source, there, nowhere, said.append) == copied, "may be repeated"


def test_a_build_secret_is_read_and_left_nowhere(
    tmp_path: Path, target: Target, program: str, clouds: tuple[Cloud, Cloud], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The build fails unless it reads the right value; a wrapper in the builder's place notes its arguments."""
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
    seen, real = tmp_path / "seen", shutil.which(program)
    (tmp_path / "bin").mkdir()
    wrapper = tmp_path / "bin" / program
    wrapper.write_text(f'#!/bin/sh\necho "$@" >> {seen}\nexec {real} "$@"\n')
    wrapper.chmod(0o755)
    monkeypatch.setenv("PATH", f"{wrapper.parent}:{os.environ['PATH']}")
    app = on(open_target(Request(spec, cloud="gcp")), clouds[0])
    monkeypatch.delenv("E1_TOKEN", raising=False)
    with pytest.raises(UsageError, match="npm of web is not set"):
        deliver(app, nowhere)
    monkeypatch.setenv("E1_TOKEN", "wrong")
    with pytest.raises(building.BuildFailed):
        deliver(app, nowhere)
    monkeypatch.setenv("E1_TOKEN", value)
    (reference,) = deliver(app, nowhere).built.values()
    assert reference.startswith(clouds[0].at.server)
    assert "--secret=id=npm" in seen.read_text()
    assert value not in seen.read_text()
