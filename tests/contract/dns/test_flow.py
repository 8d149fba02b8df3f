"""`portable up` and `destroy` as a user runs them: real engine, API server, name server and ACME authority; a third party's cloud."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography import x509

from portable.kube import Kube
from portable.provider import Record
from tests.contract.dns.name_server import KEY, NameServer
from tests.contract.dns.pebble import Pebble
from tests.contract.dns.test_acme import check_chain, secret, text
from tests.contract.programs import Portable, describe_api, environment
from tests.control_plane import ControlPlane
from tests.unit.rollout import kubelet

pytestmark = pytest.mark.contract
ZONE = "example.test"
SPEC = """\
apiVersion: portable/v1
kind: App
metadata: {name: NAME}
cluster: {name: NAME-cluster}
workloads:
  web:
    containers:
      main:
        image: example.com/web:1
        readinessProbe: {httpGet: {path: /, port: 8080}}
    service: {ports: {http: {port: 80, targetPort: 8080}}}
    routes:
      shop: {host: NAME.example.test, tls: auto}
      plain: {host: plain-NAME.ZONE}
"""
_numbers = itertools.count(1)


@pytest.fixture
def app(tmp_path: Path) -> str:
    name = f"routed{next(_numbers)}"
    (tmp_path / "portable.yaml").write_text(SPEC.replace("NAME", name).replace("ZONE", ZONE))
    return name


@pytest.fixture
def portable(
    tmp_path: Path,
    acme_site: Path,
    acme_cloud: Path,
    control_plane: ControlPlane,
    name_server: NameServer,
    pebble: Pebble,
) -> Portable:
    describe_api(acme_cloud, control_plane)
    settings = {
        "PORTABLE_CONFIG": str(tmp_path / "none.toml"),
        "PORTABLE_DNS_SERVER": name_server.address,
        "PORTABLE_DNS_KEY_FILE": str(name_server.key),
        "PORTABLE_ACME_DIRECTORY": pebble.directory,
        "PORTABLE_ACME_CA": str(pebble.ca),
    }
    return Portable(tmp_path, environment(tmp_path, acme_site, acme_cloud) | settings)


@pytest.fixture(autouse=True)
def _cluster_at_work(kube: Kube, app: str) -> Iterator[None]:
    """Pods run, and an Ingress has its load balancer, as soon as they are there."""
    over = threading.Event()

    def balance() -> None:
        while not over.wait(0.1):
            for ingress in kube.list("networking.k8s.io/v1", "Ingress", app):
                status = {"status": {"loadBalancer": {"ingress": [{"ip": "192.0.2.80"}]}}}
                if not ingress.get("status", {}).get("loadBalancer"):
                    name = ingress["metadata"]["name"]
                    kube.merge_patch("networking.k8s.io/v1", "Ingress", name, status, app, subresource="status")

    thread = threading.Thread(target=balance, daemon=True)
    thread.start()
    with kubelet.running(kube, app):
        yield
    over.set()
    thread.join(timeout=10)


def test_up_ends_with_records_and_a_certificate_and_destroy_takes_them(
    portable: Portable, app: str, kube: Kube, name_server: NameServer, pebble: Pebble
) -> None:
    host, zones = f"{app}.example.test", name_server.zones
    theirs = Record(f"plain-{app}.{ZONE}", "A", ("192.0.2.99",), 60)
    zones.upsert(ZONE, theirs)
    failed = portable("up", "--cloud", "acme", "--yes", code=1)
    assert f"{theirs.name} is somebody else's" in failed.err
    assert "192.0.2.99" in failed.err
    assert zones.records(ZONE, host) == [Record(host, "A", ("192.0.2.80",), 300)]
    leaf = check_chain(text(secret(kube, app, f"tls-{host}"), "tls.crt"), pebble, host)

    zones.delete(ZONE, theirs)
    again = portable("up", "--cloud", "acme", "--yes", "--output", "json").json()
    assert again["changed"] is False  # the app was ready; only the record was missing
    assert zones.records(ZONE, theirs.name)[0].values == ("192.0.2.80",)
    kept = x509.load_pem_x509_certificate(text(secret(kube, app, f"tls-{host}"), "tls.crt").encode())
    assert kept.serial_number == leaf.serial_number
    status = portable("status", "--cloud", "acme").out
    assert f"https://{host}/" in status
    assert "create the DNS record" not in status
    outputs = portable("outputs", "--cloud", "acme", "--output", "json").json()
    assert outputs["workloads.web.routes.shop.record"] == f"{host}. 300 IN A 192.0.2.80"

    portable("destroy", "--cloud", "acme", "--yes", "--destroy-data")
    for name in (host, f"_portable.{host}", theirs.name, f"_portable.{theirs.name}"):
        assert zones.records(ZONE, name) == []
    shared = KEY.split('secret "')[1].split('"')[0]
    written = b"".join(path.read_bytes() for path in portable.folder.rglob("*") if path.is_file())
    assert shared.encode() not in written


def test_without_a_way_to_a_certificate_no_cluster_is_made(portable: Portable, acme_cloud: Path) -> None:
    by_hand = Portable(portable.folder, {**portable.env, "PORTABLE_DNS": "manual"})
    failed = by_hand("up", "--cloud", "acme", "--yes", code=2)
    assert "no way to a certificate" in failed.err
    assert not (acme_cloud / "clusters").exists()
