"""What is ejected runs with kubectl alone: on a real cluster, no `portable` after the files are written."""

from __future__ import annotations

import os
import secrets
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from portable.spec import model
from tests.control_plane import binary
from tests.e2e.conftest import HELLO, AppUnderTest, Cluster, Portable, app
from tests.e2e.web import fetch

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]


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
    from portable_kind import Kind

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


def test_the_yaml_runs_with_kubectl_alone(
    portable: Portable, cluster: Cluster, kubectl: Kubectl, namespace: str, tmp_path: Path, say: Callable[[str], None]
) -> None:
    from portable_kind import Kind

    host = f"{namespace}.localhost"
    main = {**HELLO["containers"]["main"], "variables": {"GREETING": "${resources.greeting.value}"}}
    web = {**HELLO, "containers": {"main": main}, "routes": {"main": {"host": host}}}
    spec = tmp_path / "portable.yaml"
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
    (address,) = Kind().addresses(model.Cluster(name=cluster.name), [(host, "/", False)])
    body = answered(address.url)
    assert body.startswith("Plainly from web-"), body
    say(f"eject: plain YAML applied by kubectl, answered after {time.monotonic() - started:.0f} s")


def answered(url: str) -> str:
    """The first answer that is the app's: the ingress controller takes a moment to hear of a new route."""
    deadline = time.monotonic() + 60
    while True:
        try:
            answer = fetch(url)
            if answer.status == 200:
                return answer.body.decode()
            failure = f"status {answer.status}"
        except OSError as error:
            failure = str(error)
        assert time.monotonic() < deadline, f"{url}: {failure}"
        time.sleep(0.5)


def test_an_imported_compose_file_runs(make_app: Callable[[str], AppUnderTest], tmp_path: Path) -> None:
    from portable_kind import Kind

    shop = make_app("imported")
    (tmp_path / "compose.yaml").write_text(
        f"name: {shop.name}\n"
        "services:\n"
        f"  {shop.name}: {{image: 'hello:1.0', ports: ['80:8080'], environment: {{GREETING: 'Composed $$5', BACK: 'http://back:8080'}}}}\n"
        "  back: {image: 'hello:1.0', expose: [8080], healthcheck: {disable: true}}\n"
    )
    shop.portable("import", "compose", tmp_path / "compose.yaml", "-o", shop.file)
    shop.file.write_text(f"{shop.file.read_text()}cluster: {{name: {shop.cluster.name}}}\n")
    assert shop.up()["changed"] is True
    (address,) = Kind().addresses(model.Cluster(name=shop.cluster.name), [(f"{shop.name}.localhost", "/", False)])
    assert answered(address.url).startswith(f"Composed $5 from {shop.name}-")
