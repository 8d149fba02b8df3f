"""What is ejected is what `render` writes, object for object: as the real kubectl builds it."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from portable.eject.layers import layered
from portable.errors import SpecError, UsageError
from portable.render import render
from portable.target import Request
from tests.unit.eject.conftest import by_name

pytestmark = pytest.mark.unit

ROOT = Path(__file__).parents[3]
SHOP = ROOT / "examples" / "shop" / "portable.yaml"
RICH = ROOT / "tests" / "unit" / "compile" / "rich.yaml"
CLOUDS = ("aws", "azure", "gcp", "kind")


@pytest.mark.parametrize("spec", [SHOP, RICH], ids=["shop", "rich"])
def test_each_overlay_is_what_render_writes(
    spec: Path, ejected: Callable[..., Any], kustomize: Callable[[Path], Any]
) -> None:
    found, folder = ejected(spec)
    assert len(found.clouds) >= 2
    for cloud in found.clouds:
        rendered = render(Request(file=spec, cloud=cloud)).text()
        assert kustomize(folder / "overlays" / cloud) == by_name(yaml.load_all(rendered, yaml.CSafeLoader))


def test_the_base_holds_what_is_equal_and_no_more(ejected: Callable[..., Any]) -> None:
    _, folder = ejected(SHOP)
    web = yaml.safe_load_all((folder / "base" / "web.yaml").read_text())
    deployment = next(each for each in web if each["kind"] == "Deployment")
    assert "replicas" not in deployment["spec"], "one on kind, two on clouds"
    assert deployment["spec"]["template"]["spec"]["containers"][0]["image"] == "shop/app:1.0"
    patch = yaml.safe_load((folder / "overlays" / "aws" / "patches" / "deployment-web.yaml").read_text())
    assert {"op": "add", "path": "/spec/replicas", "value": 2} in patch


def test_a_cloud_that_cannot_run_the_spec_is_left_out_with_its_reason(
    tmp_path: Path, ejected: Callable[..., Any]
) -> None:
    spec = tmp_path / "portable.yaml"
    spec.write_text(
        "apiVersion: portable/v1\nkind: App\nmetadata: {name: files}\n"
        "workloads: {web: {containers: {web: {image: 'a:1', volumes: {/d: {source: d}}}}}}\n"
        "resources: {d: {type: volume, size: 1Gi, access: shared}}\n"
    )
    found, folder = ejected(spec)
    assert "aws" not in found.clouds
    assert "block volumes on Amazon EKS" in found.left_out["aws"]
    assert "aws is left out: " in (folder / "README.md").read_text()
    with pytest.raises(SpecError):
        ejected(spec, "aws")


def test_a_folder_that_holds_something_is_left_alone(ejected: Callable[..., Any], tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine").write_text("mine")
    with pytest.raises(UsageError, match="not empty"):
        ejected(SHOP)
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["mine"]


def test_no_value_of_a_secret_is_written_and_the_script_is_a_shell_script(ejected: Callable[..., Any]) -> None:
    found, folder = ejected(SHOP)
    kinds = [
        line for path in folder.rglob("*.yaml") for line in path.read_text().splitlines() if line == "kind: Secret"
    ]
    assert kinds == []
    for cloud in found.clouds:
        checked = subprocess.run(
            ["sh", "-n", folder / "overlays" / cloud / "secrets.sh"], capture_output=True, text=True, check=False
        )
        assert checked.returncode == 0, checked.stderr


_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(2, 4) | st.sampled_from(["", "a", "b/c~d", "no"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["a", "b", "c/d"]), inner, max_size=3),
    max_leaves=8,
)


def _object(name: str, spec: Any) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "Thing", "metadata": {"name": name}, "spec": spec}


@given(st.dictionaries(st.sampled_from(["one", "two", "three"]), _VALUES, min_size=1))
def test_the_base_and_an_overlay_are_the_clouds_own_objects(specs: dict[str, Any]) -> None:
    import jsonpatch

    clouds = {cloud: [_object("same", spec), _object(cloud, spec)] for cloud, spec in specs.items()}
    layers = layered(clouds)
    for cloud, objects in clouds.items():
        built = {each["metadata"]["name"]: each for each in layers.base}
        for patch in layers.overlays[cloud].patches:
            built[patch.target.name] = jsonpatch.apply_patch(built[patch.target.name], list(patch.operations))
        built |= {each["metadata"]["name"]: each for each in layers.overlays[cloud].objects}
        assert built == {each["metadata"]["name"]: each for each in objects}
