"""The node image's name is a digest of what it is made from; its parts are complete."""

from __future__ import annotations

import shutil
import subprocess
from importlib.resources import files
from pathlib import Path

import pytest
import yaml

from portable.tools import GoBuild, go_build
from portable_kind import node_image
from portable_kind.kind_tool import KIND

pytestmark = pytest.mark.unit

NODE = Path(str(files("portable_kind"))) / "node"


@pytest.fixture
def copy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the node's sources, which the module reads instead."""
    folder = tmp_path / "node"
    shutil.copytree(NODE, folder)
    recipes = tuple(
        GoBuild(recipe.name, folder / recipe.module.name, recipe.packages, recipe.ldflags, recipe.tags)
        for recipe in node_image.BUILDS
    )
    monkeypatch.setattr(node_image, "_NODE", folder)
    monkeypatch.setattr(node_image, "BUILDS", recipes)
    return folder


def test_the_same_inputs_give_the_same_name(copy: Path) -> None:
    assert node_image.reference() == node_image.reference()
    assert node_image.reference().startswith("portable/kind-node:v1.36.3-")


@pytest.mark.parametrize(
    "file",
    [
        "kubernetes/network.go",
        "kubernetes/go.mod",
        "kubernetes/go.sum",
        "ingress/table.go",
        "containerd/go.mod",
        "setup.sh",
        "iptables.sh",
        "manifests/default-storage.yaml",
    ],
)
def test_a_change_of_an_input_changes_the_name(copy: Path, file: str) -> None:
    before = node_image.reference()
    with (copy / file).open("a") as source:
        source.write("\n")
    assert node_image.reference() != before


@pytest.mark.parametrize("file", ["addons/ingress.yaml", "ingress/table_test.go"])
def test_what_is_not_in_the_image_does_not(copy: Path, file: str) -> None:
    before = node_image.reference()
    with (copy / file).open("a") as source:
        source.write("\n")
    assert node_image.reference() == before


def test_every_build_is_pinned() -> None:
    for recipe in (*node_image.BUILDS, KIND.build):
        assert recipe is not None
        for name in ("go.mod", "go.sum"):
            assert (recipe.module / name).read_text().strip(), f"{recipe.name} has no {name}"


def test_what_pods_of_the_node_run_is_preloaded() -> None:
    """Every image that a manifest names is made here, and may not be pulled; every command is a name in the binary."""
    preloaded = {"docker.io/portable/kubernetes:v1.36.3", "docker.io/portable/ingress:v1"}
    preloaded.add("docker.io/portable/local-path-provisioner:v0.0.30")
    programs = {*node_image.IN_PODS, "portable-ingress", "local-path-provisioner"}
    seen = 0
    for path in (*(NODE / "manifests").glob("*.yaml"), *(NODE / "addons").glob("*.yaml")):
        for document in yaml.safe_load_all(path.read_text()):
            if document is None or document["kind"] not in ("DaemonSet", "Deployment"):
                continue
            for container in document["spec"]["template"]["spec"]["containers"]:
                seen += 1
                assert container["image"] in preloaded, path.name
                assert container["imagePullPolicy"] == "Never", path.name
                assert container["command"][0] in programs, path.name
    assert seen == 5


@pytest.mark.skipif(shutil.which("go") is None, reason="the Go toolchain is not installed")
@pytest.mark.skipif(
    not go_build.folder(node_image.INGRESS).exists(), reason="the ingress controller was never built here"
)
def test_the_ingress_controllers_own_tests() -> None:
    """Run only where its dependencies are compiled already: from nothing they take minutes."""
    done = subprocess.run(
        ["go", "test", "-trimpath", "-vet=off", "."],
        cwd=NODE / "ingress",
        env=go_build.environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
