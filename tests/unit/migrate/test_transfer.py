"""The data plane's decisions: which movers there are and as whom, what their objects are, what failures are called."""

from __future__ import annotations

import base64
import os
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
import yaml
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec

from portable.compile import names
from portable.errors import ClusterError
from portable.events import Transferred
from portable.images import crane
from portable.kube import Kube
from portable.migrate.sides import Side, Sides
from portable.migrate.transfer import VolumeCopy, images, keys, levels, mover_image, objects, paths, relay
from portable.migrate.transfer.control import MoverError
from portable.migrate.transfer.model import Path as Way
from portable.migrate.transfer.pairs import FIRST_PORT, LINK, Pair, plan
from portable.migrate.transfer.problems import explain
from portable.provider import Provider, RegistryLogin
from portable.reach import PortStream
from portable.target import Request, compile_target, open_target
from portable.terminal.state import transferred_words

pytestmark = pytest.mark.unit

SPEC = {
    "apiVersion": "portable/v1",
    "kind": "App",
    "metadata": {"name": "shop"},
    "cluster": {"name": "one"},
    "workloads": {
        "web": {
            "kind": "stateful",
            "containers": {"main": {"image": "hello:1.0", "volumes": {"/data": {"source": "${resources.files}"}}}},
            "security": {"user": 1234},
        }
    },
    "resources": {"files": {"type": "volume", "size": "1Gi"}},
}


def side(folder: Path, kube: Kube | None, namespace: str, role: str = "source") -> Side:
    file = folder / f"{namespace}.yaml"
    file.write_text(yaml.safe_dump(SPEC | {"metadata": {"name": namespace}}))
    target = open_target(Request(file=file, cloud="kind"))
    return Side("source" if role == "source" else "target", target, cast("Kube", kube), compile_target(target))


def pod(name: str, *claims: str, node: str = "n1", phase: str = "Running", uid: int | None = None) -> dict[str, Any]:
    volumes = [{"name": claim, "persistentVolumeClaim": {"claimName": claim}} for claim in claims]
    status: dict[str, Any] = {"phase": phase}
    if uid is not None:
        status["containerStatuses"] = [{"user": {"linux": {"uid": uid, "gid": 0}}}]
    return {"metadata": {"name": name}, "spec": {"nodeName": node, "volumes": volumes}, "status": status}


def copy(claim: str, uid: int | None = 1234, used_by: str = "web") -> VolumeCopy:
    return VolumeCopy(claim, uid, uid or 1000, used_by)


# Pairs


def test_volumes_of_one_pod_have_one_mover_on_its_node() -> None:
    pods = [pod("web-0", "a-web-0", "b-web-0", node="n1"), pod("web-1", "a-web-1", "b-web-1", node="n2")]
    volumes = [copy(claim) for claim in ("a-web-0", "a-web-1", "b-web-0", "b-web-1")]
    found = plan(volumes, pods, {LINK: Pair(LINK, FIRST_PORT)})
    movers = {pair.claims: pair for pair in found.values() if pair.claims}
    assert set(movers) == {("a-web-0", "b-web-0"), ("a-web-1", "b-web-1")}
    assert movers["a-web-0", "b-web-0"].node == "n1"
    assert movers["a-web-1", "b-web-1"].node == "n2"
    assert len({pair.port for pair in found.values()}) == len(found), "each pair has a port of its own"


def test_volumes_of_stopped_workloads_go_by_their_ordinal() -> None:
    volumes = [copy(claim) for claim in ("a-web-0", "a-web-1", "b-web-0")] + [copy("shared", used_by="api")]
    found = {pair.claims for pair in plan(volumes, [], {}).values()}
    assert found == {("a-web-0", "b-web-0"), ("a-web-1",), ("shared",)}


def test_volumes_of_different_users_have_movers_of_their_own() -> None:
    found = plan([copy("a", 1), copy("b", 2)], [pod("p", "a", "b")], {})
    assert {(pair.claims, pair.uid) for pair in found.values()} == {(("a",), 1), (("b",), 2)}


def test_pairs_stay_when_the_app_has_stopped_and_follow_its_pod_to_another_node() -> None:
    before = plan([copy("a")], [pod("p", "a", node="n1")], {})
    assert plan([copy("a")], [], before) == before
    assert plan([copy("a")], [pod("p", "a", phase="Succeeded", node="n3")], before) == before
    (moved,) = plan([copy("a")], [pod("p", "a", node="n2")], before).values()
    assert moved.node == "n2"
    assert moved.port == next(iter(before.values())).port


def test_an_images_own_user_is_what_the_kubelet_says_else_root() -> None:
    (known,) = plan([copy("a", None)], [pod("p", "a", uid=70)], {}).values()
    assert (known.uid, known.group, known.root) == (70, 0, False), "images often leave the group at 0"
    (unknown,) = plan([copy("a", None)], [], {}).values()
    assert unknown.root
    assert "image's own user" in unknown.why_root


def test_a_pair_survives_being_written_down() -> None:
    pair = Pair("volumes-0", 7874, ("a", "b"), "web", 5, 5, 6, "why", "n", "db:5432")
    assert Pair.of_json(pair.as_json()) == pair
    way = paths.Way(Way("reverse", 1.5, "x"), "10.0.0.1", True)
    assert paths.Way.of_json(way.as_json()) == way


# Objects


def test_movers_fit_the_level_restricted_unless_they_are_root(tmp_path: Path) -> None:
    source, target = side(tmp_path, None, "shop"), side(tmp_path, None, "shop", "target")
    pair = Pair("volumes-0", 7874, ("files-web-0",), "web", 1234, 1234, 1234, node="n1")
    here, there = (_pod(each, pair) for each in (source, target))
    for spec in (here, there):
        container = spec["containers"][0]["securityContext"]
        assert spec["securityContext"]["runAsNonRoot"]
        assert container["capabilities"] == {"drop": ["ALL"]}
        assert container["allowPrivilegeEscalation"] is False
        assert not spec["automountServiceAccountToken"]
    mounts = {mount["mountPath"]: mount for mount in here["containers"][0]["volumeMounts"]}
    assert mounts["/volumes/files-web-0"]["readOnly"], "nothing writes to the source"
    assert "fsGroup" not in here["securityContext"], "the kubelet must not change owners on the source"
    assert there["securityContext"]["fsGroup"] == 1234
    assert "n1" in str(here["affinity"])
    assert "n1" not in str(there.get("affinity", ""))
    root = _pod(target, Pair("volumes-0", 7874, ("files-web-0",), "web", 0))
    assert root["containers"][0]["securityContext"]["capabilities"]["add"]


def test_no_key_is_on_a_command_line_or_in_an_environment(tmp_path: Path) -> None:
    made = keys.make("m1")
    manifest = _mover(side(tmp_path, None, "shop"), Pair("volumes-0", 7874, ("files-web-0",), "web", 1234))
    for value in (*made.source.values(), *made.target.values()):
        assert value not in str(manifest)
        assert value not in repr(made)


def test_movers_are_in_no_service_of_the_app(tmp_path: Path) -> None:
    manifest = _mover(side(tmp_path, None, "shop"), Pair("volumes-0", 7874, ("files-web-0",), "web", 1234))
    assert names.WORKLOAD_LABEL not in manifest["spec"]["template"]["metadata"]["labels"]


def test_what_is_made_is_accepted_by_an_api_server_and_goes_again(kube: Kube, namespace: str, tmp_path: Path) -> None:
    here = side(tmp_path, kube, namespace)
    pair = Pair("forward-db", 7875, forward="db:5432")
    made = keys.make("m1")
    manifests = [
        objects.secret(here, "m1", made.authority, made.source),
        objects.policy(here, "m1"),
        objects.forward_policy(here, "m1", pair),
        objects.entrance(here, "m1", [Pair(LINK, FIRST_PORT), pair]),
        objects.forward_service(here, "m1", pair, "db-primary"),
        _mover(here, pair),
    ]
    for manifest in manifests:
        kube.apply(manifest)
    found = [
        live["metadata"]["name"]
        for kind, api_version in objects.KINDS.items()
        for live in kube.list(api_version, kind, namespace, label_selector=objects.selector("m1"))
    ]
    assert len(found) == len(manifests), "everything is found again by its label"
    assert not kube.list("v1", "Service", namespace, label_selector=objects.selector("another"))


def test_a_level_is_lowered_once_and_put_back_as_it_was(kube: Kube, namespace: str, tmp_path: Path) -> None:
    here, enforce = side(tmp_path, kube, namespace), "pod-security.kubernetes.io/enforce"

    def level() -> tuple[str | None, bool]:
        live = (kube.get("v1", "Namespace", namespace) or {})["metadata"]
        return live.get("labels", {}).get(enforce), objects.LEVEL_ANNOTATION in live.get("annotations", {})

    levels.lower(here)
    assert level() == (None, False), "a namespace without a level has nothing to lower"
    kube.merge_patch("v1", "Namespace", namespace, {"metadata": {"labels": {enforce: "restricted"}}})
    levels.lower(here)
    levels.lower(here)
    assert level() == ("baseline", True)
    levels.put_back(here)
    levels.put_back(here)
    assert level() == ("restricted", False)
    kube.merge_patch("v1", "Namespace", namespace, {"metadata": {"labels": {enforce: "privileged"}}})
    levels.lower(here)
    assert level() == ("privileged", False)


def _mover(here: Side, pair: Pair) -> dict[str, Any]:
    return objects.mover(here, "m1", pair, image="mover:1", authority="abc", dial="", like={})


def _pod(here: Side, pair: Pair) -> dict[str, Any]:
    return _mover(here, pair)["spec"]["template"]["spec"]


# Keys


def test_keys_prove_one_end_to_the_other_and_to_nobody_else() -> None:
    made, other = keys.make("m1"), keys.make("m1")
    assert made.authority != other.authority
    for role, data in (("source", made.source), ("target", made.target)):
        authority, own = (
            x509.load_pem_x509_certificate(base64.b64decode(data[name])) for name in ("ca.crt", "tls.crt")
        )
        own.verify_directly_issued_by(authority)
        names_ = own.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        assert names_.get_values_for_type(x509.DNSName) == [role]
        assert isinstance(own.public_key(), ec.EllipticCurvePublicKey)
        stranger = x509.load_pem_x509_certificate(base64.b64decode(other.source["ca.crt"]))
        with pytest.raises(InvalidSignature):
            own.verify_directly_issued_by(stranger)


# Images and failures


def test_where_an_image_cannot_come_from_is_said_with_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = side(tmp_path, None, "shop")
    monkeypatch.delenv(images.ENVIRONMENT, raising=False)
    assert mover_image(here) == images.LOCAL_IMAGE
    elsewhere = replace(here, app=replace(here.app, provider=cast("Provider", SimpleNamespace(title="elsewhere"))))
    with pytest.raises(ClusterError) as refused:
        mover_image(elsewhere)
    assert images.ENVIRONMENT in refused.value.fix
    monkeypatch.setenv(images.ENVIRONMENT, "registry.example/mover@sha256:1")
    assert mover_image(elsewhere) == "registry.example/mover@sha256:1"


def test_an_image_is_pushed_to_the_clouds_registry_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(images.ENVIRONMENT, raising=False)
    program = tmp_path / "docker"
    program.write_text(
        '#!/bin/sh\ncase "$1" in image) echo sha256:0123456789abcdef0123;; save) echo archive > "$3";; *) exit 1;; esac\n'
    )
    program.chmod(0o755)
    pushed: dict[str, str] = {}

    def push(archive: Path, target: str, _logins: Any, **_more: Any) -> str:
        pushed[target] = archive.read_text()
        return f"{target}@sha256:1"

    monkeypatch.setattr(crane, "digest", lambda image, _logins: "sha256:1" if image in pushed else None)
    monkeypatch.setattr(crane, "push", push)
    here = side(tmp_path, None, "shop")
    registry = replace(here, app=replace(here.app, provider=cast("Provider", CloudRegistry())))
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    wanted = "cloud.example/portable/mover:0123456789abcdef@sha256:1"
    assert mover_image(registry) == wanted
    assert pushed == {"cloud.example/portable/mover:0123456789abcdef": "archive\n"}
    monkeypatch.setattr(crane, "push", None)
    assert mover_image(registry) == wanted


class CloudRegistry:
    title = "a cloud"

    def ensure_repository(self, _cluster: Any, name: str, _emit: Any) -> str:
        return f"cloud.example/{name}"

    def registry_login(self, _cluster: Any) -> RegistryLogin:
        return RegistryLogin("cloud.example", "me", "secret")

    def owns_image(self, _cluster: Any, image: str) -> bool:
        return image.startswith("cloud.example")


@pytest.mark.parametrize("kind", ["full", "disconnected", "permission", "changed", "empty", "failed"])
def test_every_failure_names_the_volume_and_what_to_do(kind: str, tmp_path: Path) -> None:
    sides = Sides("m1", side(tmp_path, None, "shop"), side(tmp_path, None, "shop", "target"))
    error = explain(sides, "files-web-0", MoverError(kind, "what the mover said", "some/file", 10 << 20, 1000 << 20))
    assert "files-web-0" in error.message
    assert error.fix
    assert "what the mover said" in error.detail
    if kind == "full":
        assert "1,000 MiB" in error.detail
        assert "10 MiB" in error.detail
        assert "size" in error.fix


def test_progress_is_told_in_words() -> None:
    event = Transferred("files", 1 << 30, 4 << 30, 310, 5000, 88 * 2**20, 33.4)
    assert transferred_words(event) == "1.0 GiB of 4.0 GiB, 310 of 5,000 files, 88.0 MiB/s, 33 s left"
    assert transferred_words(Transferred("files", 512, 512, 2, 2, 0.0, 0.0, done=True)) == "512 B, 2 files"


# Relay


class Pipe:
    """A port stream of a test: gives what it is told to and keeps what it gets."""

    def __init__(self, gives: list[bytes]) -> None:
        self.gives, self.got = gives, b""
        self.closed = threading.Event()

    def receive(self) -> Iterator[bytes]:
        yield from self.gives

    def send(self, data: bytes) -> None:
        self.got += data

    def close(self) -> None:
        self.closed.set()


def test_a_relay_carries_and_ends_both_ends_with_either() -> None:
    source, target = Pipe([b"a", b"b"]), Pipe([])
    relay._carry(cast("PortStream", source), cast("PortStream", target))
    assert target.got == b"ab"
    assert source.closed.is_set()
    assert target.closed.is_set()
