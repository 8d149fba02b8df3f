"""The script that makes an app's Secrets, run with the real kubectl against a real API server."""

from __future__ import annotations

import base64
import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from portable.kube import Kube
from tests.control_plane import ControlPlane

pytestmark = pytest.mark.unit

SPEC = """\
apiVersion: portable/v1
kind: App
metadata: {name: plain-secrets}
workloads:
  web:
    containers:
      web:
        image: web:1
        variables: {URL: "${resources.cache.url}", TOKEN: "${resources.token.value}"}
        files:
          /etc/app.conf: {content: "pass='${resources.cache.password}' $$5\\n"}
    service: {ports: {http: {port: 80}}}
    routes: {main: {host: plain.localhost, tls: auto}}
resources:
  cache: {type: redis}
  token: {type: secret}
  images: {type: registry, server: registry.example.com}
"""


@pytest.fixture
def script(tmp_path: Path, ejected: Callable[..., Any]) -> Path:
    (tmp_path / "portable.yaml").write_text(SPEC)
    _, folder = ejected(tmp_path / "portable.yaml", "kind")
    return folder / "overlays" / "kind" / "secrets.sh"


def run(plane: ControlPlane, script: Path, *arguments: Path) -> subprocess.CompletedProcess[str]:
    (plane.folder / "kubeconfig").write_text(plane.kubeconfig)
    paths = f"{plane.folder}:{os.environ['PATH']}"
    env = {"PATH": paths, "HOME": str(plane.folder), "KUBECONFIG": str(plane.folder / "kubeconfig")}
    return subprocess.run(
        ["sh", script, *arguments], env=env, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
    )


def values(kube: Kube) -> dict[str, dict[str, str]]:
    found = kube.list("v1", "Secret", "plain-secrets")
    return {
        each["metadata"]["name"]: {key: base64.b64decode(text).decode() for key, text in each["data"].items()}
        for each in found
    }


def test_values_are_drawn_given_or_asked_for_and_never_changed(
    script: Path, tmp_path: Path, control_plane: ControlPlane, kube: Kube
) -> None:
    early = run(control_plane, script)
    assert early.returncode == 1
    assert "apply the manifests first" in early.stderr
    kube.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "plain-secrets"}})
    missing = run(control_plane, script)
    assert missing.returncode != 0
    assert "no value for" in missing.stderr
    given = tmp_path / "values"
    for name, key, text in (("token", "value", "s3'cr\"et $x\n"), ("images", ".dockerconfigjson", '{"auths": {}}')):
        (given / name).mkdir(parents=True)
        (given / name / key).write_text(text)
    done = run(control_plane, script, given)
    assert done.returncode == 0, done.stderr
    made = values(kube)
    assert made["token"] == {"value": "s3'cr\"et $x\n"}
    password = made["cache"]["password"]
    assert len(password) == 32
    assert made["cache"]["url"] == f"redis://default:{password}@cache:6379/0"
    files = next(found for name, found in made.items() if name.startswith("web-secret-files"))
    assert list(files.values()) == [f"pass='{password}' $5\n"]
    assert made["tls-plain.localhost"]["tls.crt"].startswith("-----BEGIN CERTIFICATE")
    assert password not in done.stdout + done.stderr
    again = run(control_plane, script, given)
    assert again.returncode == 0, again.stderr
    assert values(kube) == made
