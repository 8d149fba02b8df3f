"""A cluster in the state becomes a file for `pulumi import`; where there is none, that is said."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.unit

SPEC = "apiVersion: portable/v1\nkind: App\nmetadata: {name: small}\nworkloads: {web: {containers: {web: {image: 'a:1'}}}}\n"
ACME = {"project": "acme", "region": "europe-west1", "name": "portable", "cluster": "portable"}


@pytest.fixture
def spec(tmp_path: Path) -> Path:
    (tmp_path / "portable.yaml").write_text(SPEC)
    return tmp_path / "portable.yaml"


def record(root: Path, stack: str, *resources: tuple[str, str, dict[str, Any], dict[str, Any]]) -> None:
    """A stack's state as Pulumi's local backend keeps it."""
    latest = {
        "resources": [
            {
                "urn": f"urn:pulumi:{stack}::portable::{token}::{name}",
                "type": token,
                "id": name,
                "custom": True,
                "inputs": inputs,
                "outputs": outputs,
            }
            for token, name, inputs, outputs in resources
        ]
    }
    file = root / "backend" / ".pulumi" / "stacks" / "portable" / f"{stack}.json"
    file.parent.mkdir(parents=True)
    file.write_text(json.dumps({"version": 3, "checkpoint": {"stack": stack, "latest": latest}}))


def test_a_cluster_in_the_state_is_written_for_import(
    spec: Path, state_root: Path, ejected: Callable[..., Any]
) -> None:
    ca = {"4dabf18193072939515e22adb298388d": "1b47061264138c4ac30d75fd1eb44270", "ciphertext": "v1:hidden"}
    record(
        state_root, "gcp.portable",
        ("portable:gcp:Network", "network", ACME, {}),
        ("portable:gcp:Cluster", "cluster", ACME, {"ca": ca}),
        ("portable:gcp:Other", "strange", ACME, {}),
    )  # fmt: skip
    found, folder = ejected(spec, "gcp", "kind")
    written = json.loads((folder / "clusters" / "gcp" / "import.json").read_text())
    assert written == {
        "resources": [
            {"type": "gcp:compute/network:Network", "name": "network", "id": "projects/acme/global/networks/portable"},
            {
                "type": "gcp:container/cluster:Cluster",
                "name": "cluster",
                "id": "projects/acme/locations/europe-west1/clusters/portable",
            },
        ]
    }
    readme = (folder / "README.md").read_text()
    assert "pulumi import --file clusters/gcp/import.json" in readme
    assert "has not been run against Google Kubernetes Engine" in readme
    assert "gcp: no native resource stands for strange" in readme
    assert "no official Pulumi plugin knows clusters of kind" in readme
    assert not (folder / "clusters" / "kind").exists()
    assert "v1:hidden" not in "".join(found.files.values())


def test_without_a_state_nothing_is_claimed(spec: Path, ejected: Callable[..., Any]) -> None:
    found, folder = ejected(spec, "aws")
    assert "there is no cluster of aws in the state: clusters/aws is not written" in found.notes
    assert "pulumi import" not in (folder / "README.md").read_text()
