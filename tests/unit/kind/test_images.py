from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from portable.errors import ProviderError
from portable_kind import database_images, images, node_images, profile

pytestmark = pytest.mark.unit

# Recorded: `ctr --namespace=k8s.io images list`.
LISTING = """\
REF                                     TYPE                                                 DIGEST      SIZE      PLATFORMS   LABELS
docker.io/library/hello:1.0             application/vnd.docker.distribution.manifest.v2+json sha256:m1   5.5 MiB   linux/amd64 io.cri-containerd.image=managed
docker.io/portable/redis:7.0-bookworm   application/vnd.docker.distribution.manifest.v2+json sha256:m2   44.1 MiB  linux/amd64 -
sha256:c1                               application/vnd.docker.distribution.manifest.v2+json sha256:m1   5.5 MiB   linux/amd64 io.cri-containerd.image=managed
sha256:c2                               application/vnd.docker.distribution.manifest.v2+json sha256:m0   44.1 MiB  linux/amd64 io.cri-containerd.image=managed
"""


@pytest.mark.parametrize(
    ("image", "name"),
    [
        ("redis", "docker.io/library/redis:latest"),
        ("shop/app:1.0", "docker.io/shop/app:1.0"),
        ("localhost/app:1", "localhost/app:1"),
        ("localhost:5000/app", "localhost:5000/app:latest"),
        ("ghcr.io/a/b@sha256:ab", "ghcr.io/a/b@sha256:ab"),
        ("redis:7@sha256:ab", "docker.io/library/redis:7@sha256:ab"),
    ],
)
def test_names_are_written_as_containerd_writes_them(image: str, name: str) -> None:
    assert images.canonical(image) == name


def test_an_image_is_present_with_the_same_content_only() -> None:
    targets = images.targets_from(LISTING)
    assert images.is_present("hello:1.0", "sha256:c1", targets)
    assert not images.is_present("hello:1.0", "sha256:c9", targets), "rebuilt on the host"
    assert not images.is_present("portable/redis:7.0-bookworm", "sha256:c2", targets), (
        "the id belongs to another manifest"
    )
    assert images.is_present("hello:1.0", "sha256:m1", targets), "Docker with containerd's image store"
    assert not images.is_present("gone:1", "sha256:c1", targets)


def test_a_failed_transfer_is_an_error(program: Callable[[str, str], Path], tmp_path: Path) -> None:
    answer = tmp_path / "inspect.json"
    answer.write_text(
        '[{"Id":"i","Name":"/n","Config":{"Image":"x","Labels":{"io.x-k8s.kind.role":"control-plane"}},'
        '"State":{"Running":true},"HostConfig":{}}]'
    )
    program(
        "docker",
        f"""case "$1" in
  image) echo sha256:c9;;
  ps) echo i;;
  inspect) cat {answer};;
  save) echo data;;
  exec) case "$*" in *import*) echo 'no space left on device' >&2; exit 1;; *) echo REF;; esac;;
esac""",
    )
    with pytest.raises(ProviderError) as caught:
        images.load("dev", ["hello:1.0"], lambda _event: None)
    assert "no space left" in caught.value.detail


def test_images_that_docker_lacks_are_not_loaded(program: Callable[[str, str], Path]) -> None:
    program("docker", 'echo "Error: No such image: nginx:1" >&2; exit 1')
    assert images.load("dev", ["nginx:1"], lambda _event: None) == {}


def test_the_node_image_of_the_version_asked_for_is_taken() -> None:
    have = ["kindest/node:v1.37.0", "kindest/node:v1.36.2", "portable/kind-node:v1.36.3-0123456789ab"]
    assert node_images.choose("", have) == have[0]
    assert node_images.choose("1.36", have) == have[1]
    assert node_images.choose("v1.36.3", have) == have[2]
    with pytest.raises(ProviderError) as caught:
        node_images.choose("1.3", have)
    assert "1.37.0, 1.36.2, 1.36.3" in caught.value.detail
    with pytest.raises(ProviderError) as caught:
        node_images.choose("", [])
    assert "doctor --fix" in caught.value.fix


def test_kinds_own_images_come_first_newest_first(
    program: Callable[[str, str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    program("docker", "echo kindest/node:v1.9.1; echo kindest/node:v1.36.3; echo 'kindest/node:<none>'")
    monkeypatch.setattr(node_images.node_image, "find", lambda: "portable/kind-node:v1.36.3-x")
    assert node_images.available() == ("kindest/node:v1.36.3", "kindest/node:v1.9.1", "portable/kind-node:v1.36.3-x")
    monkeypatch.setenv("PORTABLE_KIND_NODE_IMAGE", "mine:v1.36.0")
    assert node_images.available() == ("mine:v1.36.0",)


def test_without_docker_official_images_are_assumed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert not node_images.is_self_built("dev", "")


def test_the_databases_are_built_under_the_names_that_the_profile_uses() -> None:
    built = {image.reference for image in database_images.IMAGES}
    assert built == set(profile.profile(self_built=True).images.values())


def test_an_image_of_another_recipe_counts_as_missing(program: Callable[[str, str], Path]) -> None:
    postgres, redis = database_images.IMAGES
    assert postgres.recipe != redis.recipe
    program(
        "docker",
        f"""case "$*" in
  *Labels*postgres*) echo '{{"{database_images.RECIPE_LABEL}": "{postgres.recipe}"}}';;
  *Labels*) echo '{{"{database_images.RECIPE_LABEL}": "older"}}';;
  *) echo sha256:a; echo sha256:b;;
esac""",
    )
    assert database_images.missing() == (redis,)


def test_podmans_images_are_found_where_docker_has_none(program: Callable[[str, str], Path]) -> None:
    program("docker", 'echo "Error: No such image: app:1" >&2; exit 1\n')
    program("podman", 'case "$5" in app:1) echo c7;; *) exit 125;; esac\n')
    assert images.find(["app:1"]) == {"app:1": "sha256:c7"}


def test_an_image_that_nobody_has(program: Callable[[str, str], Path]) -> None:
    program("docker", 'echo "Error: No such image: gone:1" >&2; exit 1\n')
    program("podman", "exit 125\n")
    assert images.find(["gone:1"]) == {}
