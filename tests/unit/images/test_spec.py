"""`build` in a spec: what it becomes, and what is said where it is wrong."""

from __future__ import annotations

from pathlib import Path

import pytest

from portable.errors import SpecError
from portable.spec import load_app
from portable.spec.model import Build, BuildSecret, Container

pytestmark = pytest.mark.unit


def write(folder: Path, container: str) -> Path:
    (folder / "api").mkdir(exist_ok=True)
    (folder / "api" / "Dockerfile").write_text("FROM scratch\n")
    spec = folder / "portable.yaml"
    head = "apiVersion: portable/v1\nkind: App\nmetadata: {name: shop}\nworkloads:\n  web:\n    containers:\n"
    spec.write_text(f"{head}      main: {container}\n")
    return spec


def container(folder: Path, text: str) -> Container:
    return load_app(write(folder, text)).app.workloads["web"].containers["main"]


def test_a_text_is_the_context(tmp_path: Path) -> None:
    found = container(tmp_path, "{build: ./api}")
    assert found.build == Build(str((tmp_path / "api").resolve()))
    assert found.image == "portable.local/shop/web-main"


def test_every_key(tmp_path: Path) -> None:
    (tmp_path / "api").mkdir()
    (tmp_path / "api" / "other").write_text("FROM scratch\n")
    found = container(
        tmp_path,
        "{image: ghcr.io/acme/api, build: {context: api, dockerfile: other, target: run, args: {V: '1'}, "
        "secrets: {npm: {env: NPM_TOKEN}, key: {file: ./key.pem}}, "
        "platforms: [linux/amd64, linux/arm64], sync: {src: /app/src}}}",
    )
    assert found.image == "ghcr.io/acme/api"
    assert found.build == Build(
        str((tmp_path / "api").resolve()),
        "other",
        "run",
        {"V": "1"},
        {"npm": BuildSecret(env="NPM_TOKEN"), "key": BuildSecret(file=str((tmp_path / "key.pem").resolve()))},
        ("linux/amd64", "linux/arm64"),
        {"src": "/app/src"},
    )


def test_a_containerfile_and_scores_dot(tmp_path: Path) -> None:
    """Score writes `image: .` for an image that is built from here."""
    (tmp_path / "only").mkdir()
    (tmp_path / "only" / "Containerfile").write_text("FROM scratch\n")
    found = container(tmp_path, "{image: ., build: only}")
    assert found.image == "portable.local/shop/web-main"
    assert found.build is not None
    assert found.build.dockerfile == "Containerfile"


@pytest.mark.parametrize(
    ("text", "place", "message"),
    [
        ("{build: ./nowhere}", "7:21", 'there is no folder "./nowhere"'),
        ("{build: {context: ./api, dockerfile: x}}", "7:50", 'there is no x in "./api"'),
        ("{build: {dockerfile: x}}", "7:14", '"context" is missing in build'),
        ("{build: ./api, image: 'a/b:1'}", "7:35", "it has a tag or digest"),
        ("{build: {context: api, args: {A: '${resources.db.url}'}}}", "7:46", "no placeholders"),
        ("{build: {context: api, sync: {../x: /x}}}", "7:43", '"../x" is outside'),
        ("{build: {context: api, platforms: [windows/amd64]}}", "7:48", "is not a valid"),
        ("{build: {context: api, secrets: {a: {env: A, file: b}}}}", "7:46", "a has 2 keys"),
        ("{build: {context: api, secrets: {a: abc}}}", "7:49", "a must be a map"),
        ("{build: {context: api, tag: x}}", "7:36", 'unknown key "tag"'),
        ("{build: 3}", "7:21", "build must be text or a map"),
        ("{build: {context: api, args: {A: 3}}}", "7:46", "A must be text"),
    ],
)
def test_faults_have_their_place(tmp_path: Path, text: str, place: str, message: str) -> None:
    with pytest.raises(SpecError) as caught:
        container(tmp_path, text)
    found = [(f"{each.line}:{each.column}", each.message) for each in caught.value.problems]
    assert any(at == place and message in said for at, said in found), found


def test_a_secret_among_the_arguments_is_warned_of(tmp_path: Path) -> None:
    loaded = load_app(write(tmp_path, "{build: {context: api, args: {NPM_TOKEN: abc}}}"))
    assert any("NPM_TOKEN looks like a secret" in warning.message for warning in loaded.warnings)


def test_an_environment_may_pin_what_another_builds(tmp_path: Path) -> None:
    spec = write(tmp_path, "{build: ./api}")
    prod = "environments:\n  prod: {workloads: {web: {containers: {main: {build: null, image: 'ghcr.io/a/b:1.2'}}}}}\n"
    spec.write_text(spec.read_text() + prod)
    found = load_app(spec, environment="prod").app.workloads["web"].containers["main"]
    assert (found.image, found.build) == ("ghcr.io/a/b:1.2", None)
