"""Images: `up` builds what the spec says and runs it by digest, again only when something changed; and images that any builder
made, of either kind of media type, for one platform or several, by tag and by digest, all run."""

from __future__ import annotations

import os
import random
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from portable.events import nowhere
from portable.spec import model
from portable_kind import Kind
from tests import oci, soak
from tests.e2e.conftest import ROOT, AppUnderTest, app
from tests.packages import need

pytestmark = pytest.mark.e2e
HELLO = ROOT / "examples" / "hello" / "build" / "hello"
SMALL = {"requests": {"cpu": "10m", "memory": "16Mi"}}
PORTS = {"ports": {"http": {"port": 80, "targetPort": 8080}}}
# Docker's build is that of the first test; a sample runs the others in turns.
BUILDERS = ("podman", "docker", "buildah")[: soak.size(1, 3)]


def context(folder: Path) -> Path:
    """The hello example, built from its binary alone."""
    folder.mkdir(parents=True)
    shutil.copy(HELLO, folder / "hello")
    for architecture in ("amd64", "arm64"):
        (folder / f"note-{architecture}").write_text(architecture)
    (folder / "notes.md").write_text("not part of the image")
    (folder / ".dockerignore").write_text("*.md\n")
    (folder / "Dockerfile").write_text('FROM scratch\nCOPY hello /hello\nUSER 65532:65532\nENTRYPOINT ["/hello"]\n')
    return folder


def running_image(entry: AppUnderTest, workload: str) -> str:
    return entry.get("apps/v1", "Deployment", workload)["spec"]["template"]["spec"]["containers"][0]["image"]


def built(events: list[dict[str, Any]]) -> bool:
    return any(event["event"] == "step" and event["name"] == "build" and event["status"] == "done" for event in events)


def test_up_builds_only_what_changed(make_app: Callable[[str], AppUnderTest]) -> None:
    entry = make_app("build")
    at = context(entry.file.parent / "web")
    web = {"containers": {"main": {"build": "./web", "resources": SMALL}}, "service": PORTS}
    spec = app(entry.name, entry.cluster.name, {"web": web, "same": web})
    entry.file.write_text(spec)

    first = entry.run("up", "--yes", "--output", "json").events()
    assert built(first)
    image = running_image(entry, "web")
    assert image.startswith(f"portable.local/{entry.name}/web-main:")
    assert "@sha256:" in image
    assert running_image(entry, "same") == image, "one image for containers that are built alike"

    again = entry.run("up", "--yes", "--output", "json").events()
    assert not built(again)
    assert again[-1]["changed"] is False

    (at / "notes.md").write_text("changed, and still not part of the image")
    assert entry.run("up", "--yes", "--output", "json").events()[-1]["changed"] is False

    before = entry.pod_uids("web")
    (at / "more").write_text("part of the context")
    plan = entry.run("plan", "--output", "json").json()
    assert plan["changes"] is True
    changed = entry.run("up", "--yes", "--output", "json").events()
    assert built(changed)
    assert running_image(entry, "web") != image
    assert entry.pod_uids("web") != before

    # back to what was: it is on the nodes, and nothing is built
    (at / "more").unlink()
    back = entry.run("up", "--yes", "--output", "json").events()
    assert not built(back)
    assert running_image(entry, "web") == image


def test_a_build_that_fails_says_why_and_changes_nothing(make_app: Callable[[str], AppUnderTest]) -> None:
    entry = make_app("broken")
    at = context(entry.file.parent / "web")
    (at / "Dockerfile").write_text("FROM scratch\nCOPY not-there /\n")
    entry.write({"web": {"containers": {"main": {"build": "./web"}}}})
    error = entry.run("up", "--yes", "--output", "json", code=1).error()
    assert "image of web could not be built" in error["message"]
    assert "not-there" in error["detail"]
    assert str(at / "Dockerfile") in error["fix"]
    assert entry.cluster.kube.get("v1", "Namespace", entry.namespace) is None


def test_build_alone(make_app: Callable[[str], AppUnderTest]) -> None:
    entry = make_app("alone")
    context(entry.file.parent / "web")
    entry.write({"web": {"containers": {"main": {"build": "./web"}}}})
    (first,) = entry.run("build", "--output", "json").events()[-1]["images"]
    assert first["built"] is True
    (second,) = entry.run("build", "--output", "json").events()[-1]["images"]
    assert second == {**first, "built": False}
    (pushed,) = entry.run("build", "--push", "--output", "json").events()[-1]["images"]
    assert pushed["reference"].startswith(f"{first['name']}@sha256:")


@dataclass(frozen=True)
class Variant:
    """How an image is made, and how a spec names it."""

    builder: str
    media: str
    platforms: int
    by: str

    @property
    def name(self) -> str:
        return f"{self.builder}-{self.media}-{self.platforms}-{self.by}"


VARIANTS = [
    Variant(builder, media, platforms, by)
    for builder, media, platforms in (
        ("docker", "docker", 1),
        ("podman", "oci", 1),
        ("podman", "docker", 1),
        ("podman", "oci", 2),
        ("buildah", "oci", 1),
        ("buildah", "docker", 1),
        ("buildah", "oci", 2),
        ("layout", "oci", 1),
        ("layout", "docker", 1),
        ("layout", "oci", 2),
        ("layout", "docker", 2),
    )
    for by in ("tag", "digest")
]
CHOSEN = random.Random(20261123).sample(VARIANTS, soak.size(5, len(VARIANTS)))


@pytest.fixture
def archive() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="portable-variants-") as folder:
        yield Path(folder)


def test_images_of_every_builder_run(
    make_app: Callable[[str], AppUnderTest], archive: Path, say: Callable[[str], None]
) -> None:
    entry = make_app("variants")
    at = context(entry.file.parent / "web")
    cluster = model.Cluster(name=entry.cluster.name)
    workloads: dict[str, Any] = {}
    for variant in CHOSEN:
        name = f"example.test/{entry.name}/{variant.name}:1.0"
        made = _make(variant, name, at, archive / variant.name)
        Kind().load_archive(cluster, made, name, nowhere)
        image = name if variant.by == "tag" else Kind().held_images(cluster, [name])[name]
        workloads[variant.name] = {"containers": {"main": {"image": image, "resources": SMALL}}, "service": PORTS}
    entry.write(workloads)
    entry.up()
    for variant in CHOSEN:
        (pod,) = entry.pods(variant.name)
        assert pod["status"]["containerStatuses"][0]["ready"], variant
    say("images that run: " + ", ".join(variant.name for variant in CHOSEN))


def _make(variant: Variant, name: str, at: Path, folder: Path) -> Path:
    """The image as a file of `docker save` or as an OCI layout, as its builder makes it by hand."""
    folder.mkdir()
    if variant.builder == "layout":
        platforms = ("amd64", "arm64")[: variant.platforms]
        oci.layout(
            folder, {"hello": HELLO.read_bytes()}, platforms, docker=variant.media == "docker", entrypoint=["/hello"]
        )
        return folder
    if variant.builder == "docker":
        _run("docker", "build", "--tag", name, str(at), env={"DOCKER_BUILDKIT": "0"})
        _run("docker", "save", "--output", str(folder / "image.tar"), name)
        return folder / "image.tar"
    program, several = need(variant.builder), variant.platforms > 1
    if several:
        _run(program, "build", "--platform", "linux/amd64,linux/arm64", "--layers=false", "--manifest", name, str(at))
        _run(program, "manifest", "push", "--all", name, f"oci:{folder / 'image'}:{name}")
        return folder / "image"
    _run(program, "build", "--format", variant.media, "--tag", name, str(at))
    if variant.media == "docker":
        _run(program, "push", name, f"docker-archive:{folder / 'image.tar'}:{name}")
        return folder / "image.tar"
    _run(program, "push", name, f"oci:{folder / 'image'}:{name}")
    return folder / "image"


def _run(*command: str, env: Mapping[str, str] | None = None) -> None:
    done = subprocess.run(command, capture_output=True, text=True, env=os.environ | (env or {}), check=False)
    assert done.returncode == 0, f"{' '.join(command)}\n{done.stdout}{done.stderr}"


@pytest.mark.parametrize("builder", ("buildah", "podman")[: soak.size(1, 2)])
def test_an_image_of_ones_own_by_its_tag(make_app: Callable[[str], AppUnderTest], builder: str) -> None:
    """As with Docker: built by hand under a name, named in the spec, found on this machine, loaded."""
    entry = make_app(f"own-{builder}")
    at = context(entry.file.parent / "web")
    (at / "Dockerfile").write_text((at / "Dockerfile").read_text() + f'CMD ["{entry.name}"]\n')
    name = f"{entry.name}:1.0"
    _run(need(builder), "build", "--tag", name, str(at))
    entry.write({"web": {"containers": {"main": {"image": name, "resources": SMALL}}, "service": PORTS}})
    entry.up()
    assert running_image(entry, "web") == name
    assert entry.up()["changed"] is False


@pytest.mark.parametrize("builder", BUILDERS)
def test_up_with_each_builder(make_app: Callable[[str], AppUnderTest], builder: str) -> None:
    if builder != "docker":
        need(builder)
    entry = make_app(f"by-{builder}")
    at = context(entry.file.parent / "web")
    (at / "builder").write_text(builder)  # another content: another image
    platforms = {} if builder == "docker" else {"platforms": ["linux/amd64", "linux/arm64"]}
    build = {"context": "./web", **platforms}
    entry.write({"web": {"containers": {"main": {"build": build, "resources": SMALL}}, "service": PORTS}})
    portable = replace(entry.portable, env={**entry.portable.env, "PORTABLE_BUILDER": builder})
    assert built(portable("up", "--cloud", "kind", "--yes", "--output", "json", entry.file).events())
    assert "@sha256:" in running_image(entry, "web")
