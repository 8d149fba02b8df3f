"""The ejected Pulumi program carries on the stack that portable made: nothing of the running app would change.

Run by the real Pulumi CLI against a real API server, as `tests.ejected` says.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from portable.compile.objects import Objects
from portable.eject.pulumi_program import program
from portable.engine import Engine, Settings
from portable.events import nowhere
from portable.kube import Kube
from portable.target import Request, Target, compile_target, open_target
from portable.tools import require
from portable.tools.pulumi import PULUMI
from tests.control_plane import ControlPlane
from tests.ejected import preview, take_over

pytestmark = pytest.mark.unit

SPEC = """\
apiVersion: portable/v1
kind: App
metadata: {name: taken-over}
workloads:
  web:
    containers:
      web:
        image: web:1
        variables: {URL: "${resources.cache.url}", TEXT: 'quotes " and '' and $5'}
        files: {/etc/a.conf: {content: "several\\nlines\\n"}}
    service: {ports: {http: {port: 80}}}
    routes: {main: {host: web.localhost}}
    scale: {min: 2}
  later: {after: {web: ready}, containers: {later: {image: "later:1"}}}
resources:
  cache: {type: redis}
"""


@pytest.fixture
def target(tmp_path: Path) -> Target:
    (tmp_path / "portable.yaml").write_text(SPEC)
    return open_target(Request(file=tmp_path / "portable.yaml", cloud="kind"))


@pytest.fixture
def engine(state_root: Path) -> Engine:
    return Engine(Settings(pulumi=require(PULUMI), kubernetes_provider="builtin"), nowhere)


def ejected(engine: Engine, target: Target, objects: Objects, tmp_path: Path) -> Path:
    folder = tmp_path / "program"
    folder.mkdir(exist_ok=True)
    for name, content in program(target.home, objects, engine.stacks.recorded(target.home.app_stack)).files.items():
        (folder / name).write_text(content)
    return folder


def test_the_program_changes_nothing_of_what_runs(
    engine: Engine, target: Target, kube: Kube, control_plane: ControlPlane, tmp_path: Path
) -> None:
    objects = compile_target(target)
    engine.app.up(target.home, objects, kube, control_plane.kubeconfig, lambda *_: None, superseded="keep")
    folder = ejected(engine, target, objects, tmp_path)
    take_over(engine, target.home, folder)
    found = preview(engine, target.home, kube, (folder / "__main__.py").read_text())
    assert {"Namespace/taken-over", "Deployment/web", "StatefulSet/cache", "Ingress/taken-over"} <= set(found)
    assert set(found.values()) == {"same"}, found
    changed = (folder / "__main__.py").read_text().replace("'web:1'", "'web:2'")
    assert preview(engine, target.home, kube, changed) == found | {"Deployment/web": "update"}
    assert kube.get("v1", "Secret", "cache", "taken-over"), "what only portable can serve stays in the cluster"


def test_without_a_state_the_program_holds_what_the_spec_compiles_to(
    engine: Engine, target: Target, tmp_path: Path
) -> None:
    objects = compile_target(target)
    folder = ejected(engine, target, objects, tmp_path)
    source = (folder / "__main__.py").read_text()
    for item in objects.items:
        assert f"    '{item.manifest['kind']}/{item.manifest['metadata']['name']}',\n" in source
    assert "portable:index" not in source
    assert "Secret/cache" not in source
    assert "what the spec compiles to" in (folder / "Pulumi.yaml").read_text()


def test_the_program_is_typed(engine: Engine, target: Target, tmp_path: Path) -> None:
    folder = ejected(engine, target, compile_target(target), tmp_path)
    done = subprocess.run(
        [Path(sys.executable).with_name("basedpyright"), "--level", "error", "--pythonpath", sys.executable, folder / "__main__.py"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert "0 errors" in done.stdout, done.stdout
