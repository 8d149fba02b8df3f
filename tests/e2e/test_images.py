"""Images: `up` builds what the spec says and runs it by digest, again only when something changed; and images that any builder
made, of either kind of media type, for one platform or several, by tag and by digest, all run."""

from __future__ import annotations

import os
import random
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from portable.events import nowhere
from portable.spec import model
from portable_kind import Kind, docker
from portable_kind.images import CTR
from tests import oci, soak
from tests.buildkit import REMOTE
from tests.e2e.conftest import ROOT, AppUnderTest, app
from tests.e2e.promises import Table
from tests.packages import need

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(1800)]  # BuildKit itself may have to be built
HELLO = ROOT / "examples" / "hello" / "build" / "hello"
SMALL = {"requests": {"cpu": "10m", "memory": "16Mi"}}
PORTS = {"ports": {"http": {"port": 80, "targetPort": 8080}}}
# Docker's build is that of the first test; a sample has one of the others.
BUILDERS = ("podman", "docker", "buildah", "buildkit", "buildx", "buildx-remote")[: soak.size(1, 6)]
BUILT_HEAD = ("builder", "platforms", "built, delivered and running after", "again, nothing to do, after")
HEAD = ("built with", "media type", "platforms", "by", "runs", "made and loaded in", "ready after")
BY_BUILDKIT = ("buildkit", "buildx")


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
        ("buildkit", "oci", 1),
        ("buildkit", "docker", 1),
        ("buildkit", "oci", 2),
        ("buildkit", "docker", 2),
        ("buildx", "docker", 1),
        ("buildx", "oci", 2),
        ("layout", "oci", 1),
        ("layout", "docker", 1),
        ("layout", "oci", 2),
        ("layout", "docker", 2),
    )
    for by in ("tag", "digest")
]
# BuildKit takes minutes to be built itself: whole runs only.
QUICK = [variant for variant in VARIANTS if variant.builder not in BY_BUILDKIT]
CHOSEN = VARIANTS if soak.SOAK else random.Random(20261123).sample(QUICK, 5)


@pytest.fixture(scope="module")
def variants(say: Callable[[str], None]) -> Iterator[Table]:
    made = Table("tests/e2e/test_images.py", HEAD, [])
    yield made
    made.tell(say)


@pytest.fixture(scope="module")
def builds(say: Callable[[str], None]) -> Iterator[Table]:
    made = Table("tests/e2e/test_images.py builders", BUILT_HEAD, [])
    yield made
    made.tell(say)


@pytest.fixture
def archive() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="portable-variants-") as folder:
        yield Path(folder)


def test_images_of_every_builder_run(
    make_app: Callable[[str], AppUnderTest], archive: Path, variants: Table, with_buildkit: Mapping[str, str]
) -> None:
    entry = make_app("variants")
    at = context(entry.file.parent / "web")
    cluster = model.Cluster(name=entry.cluster.name)
    workloads: dict[str, Any] = {}
    seconds: dict[Variant, float] = {}
    for variant in CHOSEN:
        name, began = f"example.test/{entry.name}/{variant.name}:1.0", time.monotonic()
        made = _make(variant, name, at, archive / variant.name, with_buildkit)
        pinned = Kind().load_archive(cluster, made, name, nowhere)
        seconds[variant] = time.monotonic() - began
        image = name if variant.by == "tag" else pinned
        workloads[variant.name] = {"containers": {"main": {"image": image, "resources": SMALL}}, "service": PORTS}
    entry.write(workloads)
    entry.up()
    held = _media_types(entry.cluster.name)
    for variant in CHOSEN:
        (pod,) = entry.pods(variant.name)
        media = held[f"example.test/{entry.name}/{variant.name}:1.0"]
        ready = pod["status"]["containerStatuses"][0]["ready"]
        words = (variant.builder, f"`{media}`", str(variant.platforms), variant.by, "yes" if ready else "no")
        variants.rows.append((*words, f"{seconds[variant]:.1f} s", f"{_ready_after(pod):.0f} s"))
        assert ready, variant
        assert variant.media in media, f"{variant}: {media}"


def _media_types(cluster: str) -> dict[str, str]:
    """image -> what its node's containerd says that it is, without the words that all media types of images share."""
    rows = (line.split() for line in docker.execute(f"{cluster}-control-plane", *CTR, "list").splitlines()[1:])
    return {row[0]: row[1].removeprefix("application/vnd.") for row in rows}


def _ready_after(pod: Mapping[str, Any]) -> float:
    (since,) = (each["lastTransitionTime"] for each in pod["status"]["conditions"] if each["type"] == "Ready")
    begun = pod["metadata"]["creationTimestamp"]
    return (datetime.fromisoformat(since) - datetime.fromisoformat(begun)).total_seconds()


def _make(variant: Variant, name: str, at: Path, folder: Path, with_buildkit: Mapping[str, str]) -> Path:
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
    if variant.builder in BY_BUILDKIT:
        return _make_by_buildkit(variant, name, at, folder, with_buildkit)
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


def _make_by_buildkit(variant: Variant, name: str, at: Path, folder: Path, env: Mapping[str, str]) -> Path:
    platforms = ",".join(("linux/amd64", "linux/arm64")[: variant.platforms])
    image = folder / "image"
    output = f"type=oci,tar=false,oci-mediatypes={str(variant.media == 'oci').lower()},dest={image}"
    if variant.builder == "buildkit":
        words = ("--frontend=dockerfile.v0", f"--local=context={at}", f"--local=dockerfile={at}")
        _run("buildctl", "build", *words, f"--opt=platform={platforms}", f"--output={output}", env=env)
    elif variant.platforms > 1:
        _run("docker", "buildx", "build", "--platform", platforms, f"--output={output}", str(at), env={**env, **REMOTE})
    else:
        _run("docker", "buildx", "build", "--tag", name, str(at), env=env)
        _run("docker", "save", "--output", str(image), name)
    return image


def _run(*command: str, env: Mapping[str, str] | None = None) -> None:
    # by way of a shell: the program is looked for on the PATH of `env`
    words = ["sh", "-c", 'exec "$@"', "sh", *command]
    done = subprocess.run(words, capture_output=True, text=True, env=os.environ | (env or {}), check=False)
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
def test_up_with_each_builder(
    make_app: Callable[[str], AppUnderTest], builds: Table, with_buildkit: Mapping[str, str], builder: str
) -> None:
    if builder in ("podman", "buildah"):
        need(builder)
    entry = make_app(f"by-{builder}")
    at = context(entry.file.parent / "web")
    (at / "builder").write_text(builder)  # another content: another image
    # Docker's engine cannot give out an image of several platforms, whichever builder it has.
    platforms = ["linux/amd64"] if builder in ("docker", "buildx") else ["linux/amd64", "linux/arm64"]
    build = {"context": "./web", "platforms": platforms}
    entry.write({"web": {"containers": {"main": {"build": build, "resources": SMALL}}, "service": PORTS}})
    portable = replace(entry.portable, env={**entry.portable.env, **_environment(builder, with_buildkit)})
    first = portable("up", "--cloud", "kind", "--yes", "--output", "json", entry.file)
    assert built(first.events())
    assert TITLES[builder] in first.out, "it is the one that was asked for"
    assert "@sha256:" in running_image(entry, "web")
    again = portable("up", "--cloud", "kind", "--yes", "--output", "json", entry.file)
    assert again.events()[-1]["changed"] is False
    builds.rows.append((builder, ", ".join(platforms), f"{first.seconds:.1f} s", f"{again.seconds:.1f} s"))


# What the progress of `up` calls the builder.
TITLES = {
    "docker": "with Docker",
    "podman": "with Podman",
    "buildah": "with Buildah",
    "buildkit": "with BuildKit",
    "buildx": "with Docker with BuildKit",
    "buildx-remote": "with Docker with BuildKit",
}


def _environment(builder: str, with_buildkit: Mapping[str, str]) -> Mapping[str, str]:
    if builder == "buildkit":
        return {**with_buildkit, "PORTABLE_BUILDER": "buildkit"}
    if builder.startswith("buildx"):
        return {**with_buildkit, "PORTABLE_BUILDER": "docker", **(REMOTE if builder == "buildx-remote" else {})}
    return {"PORTABLE_BUILDER": builder}
