"""How a cluster is read from Docker and from the API server."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from portable.errors import ProviderError, ToolError
from portable_kind import docker, lifecycle, record

pytestmark = pytest.mark.unit


def inspected(name: str = "dev-control-plane", role: str = "control-plane", **changes: Any) -> dict[str, Any]:
    """An entry of `docker inspect`, cut down from a real one."""
    entry: dict[str, Any] = {
        "Id": f"id-of-{name}",
        "Name": f"/{name}",
        "Config": {
            "Image": "portable/kind-node:v1.36.3-eabd4d19f5b3",
            "Labels": {docker.CLUSTER_LABEL: "dev", docker.ROLE_LABEL: role},
        },
        "State": {"Running": True},
        "HostConfig": {
            "PortBindings": {
                "443/tcp": [{"HostIp": "127.0.0.1", "HostPort": "8443"}],
                "6443/tcp": [{"HostIp": "127.0.0.1", "HostPort": "40583"}],
                "80/tcp": [{"HostIp": "127.0.0.1", "HostPort": "8080"}],
            }
        },
        "Mounts": [
            {"Source": "/lib/modules", "Destination": "/lib/modules"},
            {"Source": "/home/me/volumes", "Destination": "/var/portable/volumes"},
        ],
    }
    return entry | changes


def test_a_node_is_read_from_docker() -> None:
    node = docker.node_from(inspected())
    assert node.name == "dev-control-plane"
    assert node.ports == {443: 8443, 6443: 40583, 80: 8080}
    assert node.volumes == "/home/me/volumes"
    assert node.self_built


def test_a_cluster_of_somebody_else_is_told_by_its_missing_mount() -> None:
    ours = docker.node_from(inspected())
    other = docker.node_from(inspected(Mounts=[], Config={"Image": "kindest/node:v1.37.0", "Labels": {}}))
    assert lifecycle.is_ours([ours])
    assert not lifecycle.is_ours([ours, other])
    assert not other.self_built


def test_the_control_plane_comes_first(program: Callable[[str, str], Path], tmp_path: Path) -> None:
    entries = [inspected("dev-a-worker", "worker"), inspected(), inspected("dev-worker2", "worker")]
    answer = tmp_path / "inspect.json"
    answer.write_text(json.dumps(entries))
    program("docker", f'case "$1" in ps) echo 1 2 3;; inspect) cat {answer};; esac')
    assert [node.name for node in docker.nodes("dev")] == ["dev-control-plane", "dev-a-worker", "dev-worker2"]


def test_no_containers_no_cluster(program: Callable[[str, str], Path]) -> None:
    program("docker", "exit 0")
    assert lifecycle.find("dev") is None


def test_a_stopped_node_is_named(program: Callable[[str, str], Path], tmp_path: Path) -> None:
    answer = tmp_path / "inspect.json"
    answer.write_text(json.dumps([inspected(), inspected("dev-worker", "worker", State={"Running": False})]))
    program("docker", f'case "$1" in ps) echo 1 2;; inspect) cat {answer};; esac')
    state = lifecycle.find("dev")
    assert state is not None
    assert (state.healthy, state.detail) == (False, "stopped: dev-worker")


def test_a_container_that_goes_away_meanwhile_is_asked_for_again(
    program: Callable[[str, str], Path], tmp_path: Path
) -> None:
    answer = tmp_path / "inspect.json"
    answer.write_text(json.dumps([inspected()]))
    once = tmp_path / "once"
    program(
        "docker",
        f"""case "$1" in
  ps) echo 1;;
  inspect) [ -e {once} ] && exec cat {answer}; touch {once}; echo "Error: No such container: 1" >&2; exit 1;;
esac""",
    )
    assert [node.name for node in docker.nodes("dev")] == ["dev-control-plane"]


def test_dockers_own_words_come_with_a_fix(program: Callable[[str, str], Path]) -> None:
    program("docker", "echo 'permission denied while trying to connect to the Docker daemon socket' >&2; exit 1")
    with pytest.raises(ProviderError) as caught:
        docker.run("ps")
    assert "permission denied" in caught.value.detail
    assert "usermod" in caught.value.fix


def test_no_docker_at_all_is_a_missing_tool(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ToolError, match="docker"):
        docker.nodes("dev")


def test_images_that_docker_lacks_are_left_out(program: Callable[[str, str], Path]) -> None:
    # As Docker does: what it has on standard output, what it lacks on standard error, exit code 1.
    program(
        "docker",
        """shift 4; code=0
for image; do
  case $image in
    have*) echo "sha256:$image";;
    *) echo "Error response from daemon: No such image: $image" >&2; code=1;;
  esac
done
exit $code""",
    )
    assert docker.image_ids(["have1", "gone", "have2"]) == {"have1": "sha256:have1", "have2": "sha256:have2"}
    assert docker.image_ids(["gone"]) == {}
    assert docker.image_ids([]) == {}


def node(name: str, ready: str) -> dict[str, Any]:
    return {"metadata": {"name": name}, "status": {"conditions": [{"type": "Ready", "status": ready}]}}


def test_a_node_that_the_api_server_does_not_know_is_not_ready() -> None:
    containers = [docker.node_from(inspected(name)) for name in ("a", "b", "c")]
    assert lifecycle.not_ready(containers, [node("a", "True"), node("b", "Unknown")]) == ["b", "c"]


def test_a_node_is_silent_until_its_lease_is_renewed() -> None:
    since = dt.datetime(2026, 11, 23, 8, 0, tzinfo=dt.UTC)
    leases = [
        {"metadata": {"name": "a"}, "spec": {"renewTime": "2026-11-23T08:00:01.000000Z"}},
        {"metadata": {"name": "b"}, "spec": {"renewTime": "2026-11-23T07:59:59.900000Z"}},
    ]
    names = [{"metadata": {"name": name}} for name in ("a", "b", "c")]
    assert lifecycle.silent_nodes(names, leases, since) == ["b", "c"]


def test_a_cluster_is_complete_only_if_this_very_one_was_finished() -> None:
    nodes = [docker.node_from(inspected())]
    assert not lifecycle.is_complete("dev", nodes)
    record.write("dev", record.Record("id-of-dev-control-plane", 80, 443))
    assert lifecycle.is_complete("dev", nodes)
    record.write("dev", record.Record("id-of-an-earlier-one", 80, 443))
    assert not lifecycle.is_complete("dev", nodes)


def test_a_damaged_record_is_no_record(data: Path) -> None:
    record.write("dev", record.Record("x", 80, 443))
    (data / "dev" / "cluster.json").write_text('{"container": ')
    assert record.read("dev") is None
