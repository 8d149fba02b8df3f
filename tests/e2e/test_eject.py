"""No lock-in: what is ejected runs with kubectl alone, `portable` no longer there; and what other tools wrote runs with `portable`."""

from __future__ import annotations

import os
import secrets
import shutil
import subprocess
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from portable.engine import Engine, Settings
from portable.events import nowhere
from portable.home import Home
from portable.spec import model
from portable.tools import require
from portable.tools.pulumi import PULUMI
from portable_kind import Kind
from tests.control_plane import binary
from tests.e2e.conftest import HELLO, AppUnderTest, Cluster, Portable, app
from tests.e2e.promises import Table, await_answer
from tests.e2e.web import fetch
from tests.ejected import preview, take_over
from tests.soak import drawn

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]

HEAD = ("way", "by", "what came of it", "seconds")


@pytest.fixture(scope="module")
def table(say: Callable[[str], None]) -> Iterator[Table]:
    made = Table("tests/e2e/test_eject.py", HEAD, [])
    yield made
    made.tell(say)


# -- out ---------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Kubectl:
    """The real kubectl on the tests' cluster; nothing of portable's is in its environment."""

    folder: Path

    @property
    def env(self) -> dict[str, str]:
        paths = f"{self.folder}{os.pathsep}{os.defpath}"
        return {"PATH": paths, "HOME": str(self.folder), "KUBECONFIG": str(self.folder / "kubeconfig")}

    def __call__(self, *arguments: str | Path) -> str:
        return self.run("kubectl", *arguments)

    def run(self, *command: str | Path) -> str:
        done = subprocess.run(command, env=self.env, capture_output=True, text=True, timeout=300, check=False)
        assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
        return done.stdout


@pytest.fixture
def kubectl(cluster: Cluster, tmp_path: Path) -> Kubectl:
    folder = tmp_path / "bin"
    folder.mkdir()
    (folder / "kubectl").symlink_to(binary())
    (folder / "kubeconfig").write_text(Kind().credentials(model.Cluster(name=cluster.name)).kubeconfig)
    return Kubectl(folder)


@pytest.fixture
def namespace(kubectl: Kubectl) -> Iterator[str]:
    name = f"plain-{secrets.token_hex(2)}"
    yield name
    kubectl("delete", "namespace", name, "--ignore-not-found", "--wait=false")


def greeter(greeting: str, host: str) -> dict[str, Any]:
    main = {**HELLO["containers"]["main"], "variables": {"GREETING": greeting}}
    return {**HELLO, "containers": {"main": main}, "routes": {"main": {"host": host}}}


def test_the_yaml_runs_with_kubectl_alone(
    portable: Portable, cluster: Cluster, kubectl: Kubectl, namespace: str, tmp_path: Path, table: Table
) -> None:
    host, spec = f"{namespace}.localhost", tmp_path / "portable.yaml"
    web = greeter("${resources.greeting.value}", host)
    spec.write_text(app(namespace, cluster.name, {"web": web}, resources={"greeting": {"type": "secret"}}))
    done = portable("eject", spec, "-o", tmp_path / "out", "--output", "json").json()
    assert {"aws", "azure", "gcp", "kind"} == set(done["clouds"])
    overlay = tmp_path / "out" / "overlays" / "kind"
    (tmp_path / "values" / "greeting").mkdir(parents=True)
    (tmp_path / "values" / "greeting" / "value").write_text("Plainly")
    started = time.monotonic()
    kubectl("apply", "--server-side", "-k", overlay)
    kubectl.run("sh", overlay / "secrets.sh", tmp_path / "values")
    kubectl("rollout", "status", "deployment/web", "--namespace", namespace, "--timeout=120s")
    body = answer(cluster, host)
    took = time.monotonic() - started
    table.rows.append(("`eject`, `overlays/kind`", "kubectl alone", f"answers `{greeting_of(body)}`", f"{took:.0f}"))
    assert body.startswith("Plainly from web-"), body


@drawn(0, 4)
def test_the_pulumi_program_changes_nothing_of_what_runs(
    make_app: Callable[[str], AppUnderTest], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, table: Table
) -> None:
    """On a copy of the state: the app itself stays portable's."""
    shop = make_app("program")
    shop.write({"web": greeter("Hello", f"{shop.name}.localhost")})
    shop.up()
    shop.run("eject", "-o", tmp_path / "out")
    shutil.copytree(shop.portable.env["PORTABLE_STATE"], tmp_path / "state")
    monkeypatch.setenv("PORTABLE_STATE", str(tmp_path / "state"))
    engine = Engine(Settings(pulumi=require(PULUMI), kubernetes_provider="builtin"), nowhere)
    home, folder = Home(shop.name, None, "kind", shop.cluster.name), tmp_path / "out" / "pulumi" / "kind"
    started = time.monotonic()
    take_over(engine, home, folder)
    found = preview(engine, home, shop.cluster.kube, (folder / "__main__.py").read_text())
    came = ", ".join(f"{count} {operation}" for operation, count in Counter(found.values()).items())
    by = "Pulumi's CLI and SDK, types served by portable"
    table.rows.append(("`eject`, `pulumi/kind`, previewed", by, came, f"{time.monotonic() - started:.0f}"))
    assert "Deployment/web" in found
    assert set(found.values()) == {"same"}, found


@drawn(1, 4)
def test_an_exported_score_file_runs(
    make_app: Callable[[str], AppUnderTest], portable: Portable, tmp_path: Path, table: Table
) -> None:
    shop = make_app("scored")
    host, score = f"{shop.name}.localhost", tmp_path / "score.yaml"
    shop.write({shop.name: greeter("Scored", host)})
    done = portable("export", "score", shop.file, "-o", score, "--output", "json").json()
    shop.file.unlink()
    kubeconfig = Kind().credentials(model.Cluster(name=shop.cluster.name)).kubeconfig
    (tmp_path / "kubeconfig").write_text(kubeconfig)
    portable = replace(portable, env={**portable.env, "KUBECONFIG": str(tmp_path / "kubeconfig")})
    # A Score file names no cluster.
    where = ("--cloud", "kind", "--context", yaml.safe_load(kubeconfig)["current-context"], "--yes", score)
    started = time.monotonic()
    portable("up", *where)
    try:
        body = answer(shop.cluster, host)
        came = f"answers `{greeting_of(body)}`; {len(done['lost'])} not said"
        took = time.monotonic() - started
        table.rows.append(("`export score`", "`portable up score.yaml`", came, f"{took:.0f}"))
        assert body.startswith(f"Scored from {shop.name}-")
    finally:
        portable("destroy", "--keep-cluster", "--destroy-data", *where)


# -- in ----------------------------------------------------------------------------------------------------------------


def compose(name: str) -> str:
    return (
        f"name: {name}\n"
        "services:\n"
        f"  {name}: {{image: 'hello:1.0', ports: ['80:8080'], environment: {{GREETING: 'Imported $$5', BACK: 'http://back:8080'}}}}\n"
        "  back: {image: 'hello:1.0', expose: [8080], healthcheck: {disable: true}, privileged: true}\n"
    )


def score(name: str) -> str:
    return yaml.safe_dump(
        {
            "apiVersion": "score.dev/v1b1",
            "metadata": {"name": name},
            "service": {"ports": {"http": {"port": 80, "targetPort": 8080}}},
            "containers": {"main": {"image": "hello:1.0", "variables": {"GREETING": "Imported $$5"}}},
            "resources": {"main": {"type": "route", "params": {"host": f"{name}.localhost", "path": "/", "port": 80}}},
        }
    )


def manifests(name: str) -> str:
    container = {"name": "main", "image": "hello:1.0", "ports": [{"containerPort": 8080}]}
    container["env"] = [{"name": "GREETING", "value": "Imported $5"}]
    pod = {"metadata": {"labels": {"app": name}}, "spec": {"nodeSelector": {"disk": "fast"}, "containers": [container]}}
    backend = {"service": {"name": name, "port": {"number": 80}}}
    rule = {"host": f"{name}.localhost", "http": {"paths": [{"path": "/", "pathType": "Prefix", "backend": backend}]}}
    objects = {
        ("apps/v1", "Deployment"): {"selector": {"matchLabels": {"app": name}}, "template": pod},
        ("v1", "Service"): {"selector": {"app": name}, "ports": [{"port": 80, "targetPort": 8080}]},
        ("networking.k8s.io/v1", "Ingress"): {"rules": [rule]},
    }
    return yaml.safe_dump_all(
        {"apiVersion": version, "kind": kind, "metadata": {"name": name}, "spec": spec}
        for (version, kind), spec in objects.items()
    )


WRITTEN: Mapping[str, Callable[[str], str]] = {"compose": compose, "score": score, "manifests": manifests}


@pytest.mark.parametrize(
    "form", [pytest.param(form, marks=drawn(number, len(WRITTEN))) for number, form in enumerate(WRITTEN)]
)
def test_what_is_imported_runs(
    make_app: Callable[[str], AppUnderTest], tmp_path: Path, table: Table, form: str
) -> None:
    shop = make_app("imported")
    (tmp_path / f"{shop.name}.yaml").write_text(WRITTEN[form](shop.name))
    said = shop.portable("import", form, tmp_path / f"{shop.name}.yaml", "-o", shop.file)
    shop.file.write_text(f"{shop.file.read_text()}cluster: {{name: {shop.cluster.name}}}\n")
    started = time.monotonic()
    shop.up()
    body = answer(shop.cluster, f"{shop.name}.localhost")
    listed = said.err.count("is not taken over")
    came = f"answers `{greeting_of(body)}`; {listed} not taken over, listed"
    table.rows.append((f"`import {form}`", "`portable up`", came, f"{time.monotonic() - started:.0f}"))
    assert body.startswith(f"Imported $5 from {shop.name}-")
    assert listed == (form != "score")


def answer(cluster: Cluster, host: str) -> str:
    """The first answer that is the app's."""
    (address,) = Kind().addresses(model.Cluster(name=cluster.name), [(host, "/", False)])
    await_answer(address.url)
    return fetch(address.url).body.decode()


def greeting_of(body: str) -> str:
    return body.partition(" from ")[0]
