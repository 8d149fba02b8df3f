"""A workload as a Score file: valid by its schema, the same objects when it comes back, and what it cannot say listed."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

import portable_schemas
from portable.compile import compile_app
from portable.compile.objects import logical_name
from portable.eject.score import export_score
from portable.errors import UsageError
from portable.importing.score import from_score
from portable.importing.write import check, imported
from portable.spec import load_app
from tests.unit.compile.apps import PROFILE

pytestmark = pytest.mark.unit

SHOP = Path(__file__).parents[3] / "examples" / "shop" / "portable.yaml"
SPEC = """\
apiVersion: portable/v1
kind: App
metadata: {name: web}
workloads:
  web:
    containers:
      init:
        image: init:1
        before: {main: {ready: complete}}
      main:
        image: web:1
        command: [serve]
        args: ["--x", "$5"]
        variables: {DB: "${resources.db.url}", KEY: "${resources.key.value}", ME: "${workloads.web.host}:${workloads.web.port.http}"}
        files:
          /etc/a.conf: {content: "x=${resources.db.host} $$\\n", mode: "0600"}
          /etc/raw: {content: "${not}", noExpand: true}
        volumes: {/data: {source: data, readOnly: true}, /conf: {source: conf}}
        resources: {requests: {cpu: 100m, memory: 64Mi}}
        livenessProbe: {httpGet: {path: /live, port: 8080}}
    service: {ports: {http: {port: 80, targetPort: 8080}}}
    routes: {main: {host: web.example.com, port: http, tls: cert}}
    annotations: {example.com/team: shop}
resources:
  db: {type: postgres, size: 2Gi, version: "16"}
  key: {type: secret}
  cert: {type: secret, keys: [tls.crt, tls.key]}
  data: {type: volume, size: 3Gi, access: shared}
  conf: {type: config, data: {a: b}}
"""
LOSSY = "    scale: {min: 3}\n    security: {user: 7}\n    after: {other: ready}\n  other: {containers: {other: {image: 'o:1', startupProbe: {tcpSocket: {port: 1}}}}}\n"


def objects(path: Path) -> dict[str, Any]:
    return {logical_name(i.manifest): i.manifest for i in compile_app(load_app(path).app, PROFILE).items}


def test_a_score_file_comes_back_as_the_same_objects(tmp_path: Path) -> None:
    (tmp_path / "portable.yaml").write_text(SPEC)
    exported = export_score(load_app(tmp_path / "portable.yaml").app, None)
    assert exported.lost == ()
    jsonschema.validate(yaml.safe_load(exported.text), portable_schemas.load("score.v1b1"))
    (tmp_path / "score.yaml").write_text(exported.text)
    before = objects(tmp_path / "portable.yaml")
    assert objects(tmp_path / "score.yaml") == before
    result = imported(from_score(tmp_path / "score.yaml"), "score.yaml")
    check(result, tmp_path / "again.yaml")
    assert objects(tmp_path / "again.yaml") == before


def test_what_score_cannot_say_is_listed_with_its_place(tmp_path: Path) -> None:
    text = SPEC.replace("resources:\n  db", LOSSY + "resources:\n  db")
    (tmp_path / "portable.yaml").write_text(text)
    app = load_app(tmp_path / "portable.yaml").app
    lost = {each.path: each for each in export_score(app, "web").lost}
    assert set(lost) == {"workloads.web.scale", "workloads.web.security", "workloads.web.after"}
    lines = text.splitlines()
    assert all(path.rpartition(".")[2] in lines[each.line - 1] for path, each in lost.items())
    other = export_score(app, "other")
    assert {each.path for each in other.lost} == {"metadata.name", "workloads.other.containers.other.startupProbe"}
    with pytest.raises(UsageError, match="2 workloads"):
        export_score(app, None)
    with pytest.raises(UsageError, match='did you mean "other"'):
        export_score(app, "othr")


@pytest.mark.parametrize("workload", ["web", "api", "worker", "uploads", "report", "migrate"])
def test_every_workload_of_the_shop_is_valid_score(workload: str, tmp_path: Path) -> None:
    exported = export_score(load_app(SHOP).app, workload)
    jsonschema.validate(yaml.safe_load(exported.text), portable_schemas.load("score.v1b1"))
    shutil.copytree(SHOP.parent / "config", tmp_path / "config")
    (tmp_path / "score.yaml").write_text(exported.text)
    assert workload in load_app(tmp_path / "score.yaml").app.workloads
