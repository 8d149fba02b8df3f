"""The page on clusters is run on a third party's cloud: what it shows has to come out."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from portable.kube import Kube
from tests.contract.programs import describe_api, environment
from tests.control_plane import ControlPlane
from tests.unit.docs.documents import ROOT, Command, blocks, commands
from tests.unit.rollout import kubelet

pytestmark = pytest.mark.contract

HERE = "tests/contract/test_documents.py"
SPEC = """\
apiVersion: portable/v1
kind: App
metadata: {name: shop}
cluster: {name: shop, version: "1.34", nodes: {min: 2}}
workloads:
  web:
    containers: {main: {image: "example.com/web:1", readinessProbe: {httpGet: {path: /, port: 8080}}}}
    service: {ports: {http: {port: 80, targetPort: 8080}}}
environments:
  prod: {cloud: acme, protect: true}
"""


@pytest.mark.parametrize("page", ["clusters.md"])
def test_what_the_page_shows_is_so(
    page: str, tmp_path: Path, acme_site: Path, acme_cloud: Path, control_plane: ControlPlane, kube: Kube
) -> None:
    describe_api(acme_cloud, control_plane)
    env = environment(tmp_path, acme_site, acme_cloud)
    (tmp_path / "portable.yaml").write_text(SPEC)
    shown = [block for block in blocks(ROOT / "docs" / page) if HERE in block.lead]
    assert len(shown) >= 4
    with kubelet.running(kube, "shop"):
        _run(Command("portable up --cloud acme --yes", 0), tmp_path, env)
        for command in [command for block in shown for command in commands(block)]:
            _run(command, tmp_path, env)
        _run(Command("portable destroy --cloud acme --yes --destroy-data", 0), tmp_path, env)
    assert [path.name for path in acme_cloud.rglob("*.json")] == ["api.json"]
    assert "secret" not in json.dumps((tmp_path / "shop.kubeconfig").read_text())


def _run(command: Command, folder: Path, env: dict[str, str]) -> None:
    done = subprocess.run(
        ["bash", "-c", command.text], cwd=folder, env=env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
        stderr=subprocess.PIPE if ">" in command.text else subprocess.STDOUT, text=True, timeout=300, check=False,
    )  # fmt: skip
    at = f"{command.line}: {command.text}\n{done.stdout}"
    assert done.returncode == command.code, at
    came = [" ".join(line.split()) for line in done.stdout.splitlines()]
    for line in command.output:
        wanted = " ".join(line.removesuffix("...").split())
        assert any(other.startswith(wanted) if line.endswith("...") else other == wanted for other in came), (
            f"{line!r}: {at}"
        )
