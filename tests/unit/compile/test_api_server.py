"""What the compiler makes is accepted by a real API server: schemas, validation, and admission by Pod Security."""

from __future__ import annotations

import copy
import subprocess

import pytest

from portable.compile import compile_app
from portable.compile.app import pod_template
from portable.compile.objects import Objects
from portable.compile.render import render_yaml
from portable.errors import ClusterError
from portable.kube import Kube
from portable.provider import KubeObject
from portable.spec import load_app
from tests.clouds import managed_certificates
from tests.control_plane import ControlPlane
from tests.unit.compile.test_golden import CLOUDS, FOLDER, profile_of

pytestmark = pytest.mark.contract
PRIORITY: KubeObject = {
    "apiVersion": "scheduling.k8s.io/v1",
    "kind": "PriorityClass",
    "metadata": {"name": "high"},
    "value": 1000,
}


@pytest.fixture(scope="module", autouse=True)
def _types_of_clouds(control_plane: ControlPlane) -> None:
    with Kube.connect(control_plane.kubeconfig) as kube:
        managed_certificates.define(kube)


def objects_in(cloud: str, namespace: str) -> Objects:
    """The rich app for a cloud, in a namespace of its own: its names begin with the app's."""
    from dataclasses import replace

    app = load_app(FOLDER / "rich.yaml", environment=cloud).app
    return compile_app(replace(app, environment=namespace), profile_of(cloud))


@pytest.mark.parametrize("cloud", CLOUDS)
def test_every_object_is_accepted(control_plane: ControlPlane, cloud: str) -> None:
    objects = objects_in(cloud, f"dry-{cloud}")
    with Kube.connect(control_plane.kubeconfig) as kube:
        kube.apply(objects.items[0].manifest)
        refused = [f"{fault.message} {fault.detail}" for fault in _refusals(kube, objects)]
    assert refused == []


def _refusals(kube: Kube, objects: Objects) -> list[ClusterError]:
    found: list[ClusterError] = []
    for item in objects.items[1:]:
        try:
            kube.apply(item.manifest, dry_run=True)
        except ClusterError as fault:
            found.append(fault)
    return found


@pytest.mark.parametrize("cloud", CLOUDS)
def test_every_pod_is_admitted_at_the_namespace_level(control_plane: ControlPlane, cloud: str) -> None:
    objects = objects_in(cloud, f"pods-{cloud}")
    assert objects.security_level == "baseline"  # one workload runs as root
    with Kube.connect(control_plane.kubeconfig) as kube:
        kube.apply(PRIORITY)
        kube.apply(objects.items[0].manifest)
        for pod in _pods(objects):
            kube.apply(pod, dry_run=True)


def test_restricted_pods_pass_a_restricted_namespace_and_root_does_not(control_plane: ControlPlane) -> None:
    objects = objects_in("kind", "strict")
    namespace = copy.deepcopy(objects.items[0].manifest)
    namespace["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] = "restricted"
    refused: list[str] = []
    with Kube.connect(control_plane.kubeconfig) as kube:
        kube.apply(PRIORITY)
        kube.apply(namespace)
        for pod in _pods(objects):
            try:
                kube.apply(pod, dry_run=True)
            except ClusterError:
                refused.append(pod["metadata"]["name"])
    assert refused == ["legacy"]


def _pods(objects: Objects) -> list[KubeObject]:
    """A pod as each controller would make it."""
    found: list[KubeObject] = []
    for item in objects.items:
        template = pod_template(item.manifest)
        if template is not None:
            pod = {"apiVersion": "v1", "kind": "Pod", **copy.deepcopy(template)}
            pod["metadata"] |= {"name": item.workload, "namespace": objects.namespace}
            claims = item.manifest["spec"].get("volumeClaimTemplates", ())
            volumes = pod["spec"].setdefault("volumes", [])
            for claim in claims:
                name = claim["metadata"]["name"]
                volumes.append({"name": name, "persistentVolumeClaim": {"claimName": name}})
            found.append(pod)
    return found


@pytest.mark.parametrize("cloud", CLOUDS)
def test_kubectl_reads_the_rendered_file(control_plane: ControlPlane, cloud: str) -> None:
    objects = objects_in(cloud, f"file-{cloud}")
    (control_plane.folder / "kubeconfig").write_text(control_plane.kubeconfig)
    with Kube.connect(control_plane.kubeconfig) as kube:
        kube.apply(objects.items[0].manifest)
    done = subprocess.run(
        [control_plane.kubectl, "--kubeconfig", control_plane.folder / "kubeconfig", "apply", "--server-side",
         "--dry-run=server", "--validate=strict", "-o", "name", "-f", "-"],
        input=render_yaml(objects), text=True, capture_output=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.splitlines()) == len(objects.items)
