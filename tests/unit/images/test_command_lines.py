"""How each builder is told what to build. That they understand it, tests/e2e/test_images.py shows."""

from __future__ import annotations

from pathlib import Path

import pytest

from portable.errors import UsageError
from portable.images.builders import Builder
from portable.images.command_lines import command_line, environment
from portable.images.wanted import Wanted, host_platform
from portable.spec.model import Build, BuildSecret

pytestmark = pytest.mark.unit
LAYOUT = Path("/layout")
CLASSIC, BUILDX = Builder("docker", "docker"), Builder("docker", "docker", buildkit=True)
BUILDKIT = Builder("buildkit", "buildctl", buildkit=True)
BOTH = ("linux/amd64", "linux/arm64")
PUT_ASIDE = "--output=type=oci,tar=false,dest=/layout"


def image(tmp_path: Path, *platforms: str, secret: bool = False) -> Wanted:
    secrets = {"npm": BuildSecret(env="COMMAND_LINES_TOKEN")} if secret else {}
    build = Build(str(tmp_path), "docker/Dockerfile.web", target="web", args={"A": "1"}, secrets=secrets)
    return Wanted("app:1", build, platforms or (host_platform(),), (("web", "main"),))


def test_buildkit_alone_takes_the_dockerfile_by_folder_and_name(tmp_path: Path) -> None:
    words = command_line(BUILDKIT, image(tmp_path, *BOTH), LAYOUT)
    assert words[:2] == ["buildctl", "build"]
    assert {f"--local=context={tmp_path}", f"--local=dockerfile={tmp_path}/docker", PUT_ASIDE} < set(words)
    options = [word.removeprefix("--opt=") for word in words if word.startswith("--opt=")]
    assert options == ["filename=Dockerfile.web", "platform=linux/amd64,linux/arm64", "target=web", "build-arg:A=1"]


@pytest.mark.parametrize(
    ("builder", "single", "several"),
    [
        (BUILDX, ["--load", "--tag", "app:1"], ["--tag", "app:1", PUT_ASIDE]),
        (Builder("podman", "podman"), ["--tag", "app:1"], ["--layers=false", "--manifest", "app:1"]),
        (Builder("buildah", "buildah"), ["--tag", "app:1"], ["--layers=false", "--manifest", "app:1"]),
    ],
)
def test_one_platform_stays_in_the_store_and_several_come_out(
    tmp_path: Path, builder: Builder, single: list[str], several: list[str]
) -> None:
    here, both = (command_line(builder, each, LAYOUT) for each in (image(tmp_path), image(tmp_path, *BOTH)))
    assert here[-len(single) - 1 :] == [*single, str(tmp_path)]
    assert "--platform" not in here
    assert both[-len(several) - 3 :] == ["--platform", ",".join(BOTH), *several, str(tmp_path)]


@pytest.mark.parametrize(
    ("builder", "word"),
    [(BUILDX, "env"), (BUILDKIT, "env"), (Builder("podman", "p"), "src"), (Builder("buildah", "b"), "src")],
)
def test_a_secret_is_named_and_its_value_is_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, builder: Builder, word: str
) -> None:
    monkeypatch.setenv("COMMAND_LINES_TOKEN", "s3cret")
    words = command_line(builder, image(tmp_path, secret=True), LAYOUT)
    assert f"--secret=id=npm,type=env,{word}=COMMAND_LINES_TOKEN" in words
    assert "s3cret" not in " ".join(words)
    monkeypatch.delenv("COMMAND_LINES_TOKEN")
    with pytest.raises(UsageError, match="npm of web is not set"):
        command_line(builder, image(tmp_path, secret=True), LAYOUT)


def test_docker_without_buildkit_refuses_what_needs_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COMMAND_LINES_TOKEN", "s3cret")
    for asked in (image(tmp_path, *BOTH), image(tmp_path, secret=True)):
        with pytest.raises(UsageError, match="no BuildKit"):
            command_line(CLASSIC, asked, LAYOUT)
    assert "--load" not in command_line(CLASSIC, image(tmp_path), LAYOUT)
    found = environment(CLASSIC)
    assert found is not None
    assert found["DOCKER_BUILDKIT"] == "0", "or the client refuses where BuildKit is its default"
