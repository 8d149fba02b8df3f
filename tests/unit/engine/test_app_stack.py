"""The app stack: what `up`, `plan` and `destroy` do to a real API server and to the state."""

from __future__ import annotations

import base64
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Literal

import pytest

from portable.compile.objects import Objects
from portable.engine import Engine, FieldChange
from portable.engine.types import Wait
from portable.errors import Cause, ClusterError, RolloutFailed
from portable.home import Home
from portable.kube import Kube
from tests.control_plane import ControlPlane
from tests.unit.engine import world

pytestmark = pytest.mark.unit

Changed = Callable[[], dict[str, str]]


@pytest.fixture
def up(engine: Engine, home: Home, kube: Kube, control_plane: ControlPlane) -> Callable[..., None]:
    def up(
        objects: Objects,
        *,
        superseded: Literal["keep", "delete"] = "delete",
        wait: Wait | None = None,
        protect_names: Sequence[str] = (),
    ) -> None:
        engine.app.up(
            home,
            objects,
            kube,
            control_plane.kubeconfig,
            wait or _nothing_to_wait_for,
            superseded=superseded,
            protect_names=protect_names,
        )

    return up


def _nothing_to_wait_for(workload: str, condition: str) -> None:
    raise AssertionError(f"{workload} is waited for, but nothing comes after it")


def test_sixty_objects_then_nothing_then_one(
    up: Callable[..., None], engine: Engine, home: Home, kube: Kube, space: str, changed: Changed
) -> None:
    up(world.sixty(space))
    first = changed()
    assert len(first) == 61
    assert set(first.values()) == {"create"}
    assert len(kube.list("apps/v1", "Deployment", space)) == 20
    state = engine.stacks.state(home.app_stack)
    assert state is not None
    assert state.complete
    assert len(state.resources) == 61

    up(world.sixty(space), superseded="keep")
    assert changed() == {}

    up(world.sixty(space, image="web:2"))
    assert changed() == {"Deployment/web-0": "update"}
    live = kube.get("apps/v1", "Deployment", "web-0", space)
    assert live is not None
    assert live["spec"]["template"]["spec"]["containers"][0]["image"] == "web:2"
    assert "annotations" not in kube.get("v1", "ConfigMap", "config-1", space)["metadata"]  # pyright: ignore[reportOptionalSubscript]


def test_drift_is_found_and_mended(
    up: Callable[..., None],
    engine: Engine,
    home: Home,
    kube: Kube,
    space: str,
    changed: Changed,
    control_plane: ControlPlane,
) -> None:
    objects = world.app(space, world.config("settings", space), world.service("web", space))
    up(objects)
    changed()
    kube.merge_patch("v1", "ConfigMap", "settings", {"data": {"text": "someone else"}}, space, field_manager="hand")
    kube.delete("v1", "Service", "web", space)
    preview = engine.app.preview(home, objects, kube, control_plane.kubeconfig)
    fields = {change.name: change.fields for change in preview if change.operation != "same"}
    assert fields["ConfigMap/settings"] == (FieldChange("data.text", "someone else", "x"),)
    assert "Service/web" in fields
    assert changed() == {}, "a preview changes nothing"
    up(objects, superseded="keep")
    assert set(changed()) == {"ConfigMap/settings", "Service/web"}
    assert kube.get("v1", "Service", "web", space) is not None


def test_superseded_objects_stay_until_asked(
    up: Callable[..., None], engine: Engine, home: Home, kube: Kube, space: str, changed: Changed
) -> None:
    up(world.app(space, world.config("a", space), world.config("b", space), world.config("c", space)))
    smaller = world.app(space, world.config("c", space), world.config("d", space))
    changed()
    up(smaller, superseded="keep")
    assert changed() == {"ConfigMap/d": "create"}
    assert sorted(engine.app.superseded(home, smaller)) == ["ConfigMap/a", "ConfigMap/b"]
    assert kube.get("v1", "ConfigMap", "a", space) is not None

    up(smaller, superseded="delete", protect_names=["ConfigMap/b"])
    assert changed() == {"ConfigMap/a": "delete"}
    assert kube.get("v1", "ConfigMap", "a", space) is None
    assert kube.get("v1", "ConfigMap", "b", space) is not None
    assert engine.app.superseded(home, smaller) == ("ConfigMap/b",)

    up(smaller, superseded="delete")
    assert changed() == {"ConfigMap/b": "delete"}
    up(smaller, superseded="delete")
    assert changed() == {}


def test_the_preview_names_every_object_and_field(
    up: Callable[..., None], engine: Engine, home: Home, kube: Kube, space: str, control_plane: ControlPlane
) -> None:
    before = world.app(space, world.deployment("web", space), world.config("old", space))
    after = world.app(space, world.deployment("web", space, "web:2"), world.config("new", space))
    assert [change.operation for change in engine.app.preview_offline(before)] == ["create"] * 3
    assert [change.operation for change in engine.app.preview(home, before, kube, control_plane.kubeconfig)] == [
        "create"
    ] * 3
    up(before)
    serial = engine.stacks.state(home.app_stack)
    preview = {change.name: change for change in engine.app.preview(home, after, kube, control_plane.kubeconfig)}
    assert {name: change.operation for name, change in preview.items()} == {
        f"Namespace/{space}": "same",
        "Deployment/web": "update",
        "ConfigMap/new": "create",
        "ConfigMap/old": "delete",
    }
    path = "spec.template.spec.containers[main].image"
    assert preview["Deployment/web"].fields == (FieldChange(path, "web:1", "web:2"),)
    assert engine.stacks.state(home.app_stack) == serial, "a preview leaves the state alone"


def test_credentials_are_made_once_and_encrypted(
    up: Callable[..., None],
    engine: Engine,
    home: Home,
    kube: Kube,
    space: str,
    state_root: Path,
    control_plane: ControlPlane,
) -> None:
    templates = {"url": "postgres://${username}:${password}@db/$$x"}
    first = world.app(space, generated=(world.credentials("db", space, "password", templates=templates),))
    up(first)
    values = _secret(kube, "db", space)
    assert len(values["password"]) == 32
    assert values["url"] == f"postgres://app:{values['password']}@db/$x"
    up(first, superseded="keep")
    assert _secret(kube, "db", space) == values

    borrowed = world.credentials("web", space, templates={"dsn": "x:${db/password}"})
    more = world.app(
        space, generated=(world.credentials("db", space, "password", "token", templates=templates), borrowed)
    )
    preview = engine.app.preview(home, more, kube, control_plane.kubeconfig)
    up(more)
    wider = _secret(kube, "db", space)
    assert {key: wider[key] for key in values} == values
    assert len(wider["token"]) == 32
    assert _secret(kube, "web", space)["dsn"] == f"x:{values['password']}"

    for clear in (values["password"], wider["token"], base64.b64encode(values["password"].encode()).decode()):
        assert clear not in str(preview)
        assert clear not in str(engine.stacks.state(home.app_stack))
        holding = [path for path in state_root.rglob("*") if path.is_file() and clear.encode() in path.read_bytes()]
        assert holding == []
    token = control_plane.kubeconfig.rpartition("token: ")[2].strip(" }\n")
    assert [path for path in state_root.rglob("*") if path.is_file() and token.encode() in path.read_bytes()] == []


def test_credentials_outlive_a_destroy_without_data(
    up: Callable[..., None], engine: Engine, home: Home, kube: Kube, space: str
) -> None:
    objects = world.app(space, world.config("a", space), generated=(world.credentials("db", space, "password"),))
    up(objects)
    values = _secret(kube, "db", space)
    assert engine.app.destroy(home, kube, destroy_data=False) == ("Credential/db",)
    assert kube.get("v1", "Namespace", space) is None
    up(objects)
    assert _secret(kube, "db", space) == values
    assert engine.app.destroy(home, kube, destroy_data=True) == ()
    assert engine.stacks.state(home.app_stack) is None
    assert engine.stacks.names() == []
    up(objects)
    assert _secret(kube, "db", space) != values


def test_credentials_of_a_lost_state_are_taken_from_the_cluster(
    up: Callable[..., None], kube: Kube, space: str, state_root: Path, engine: Engine, home: Home
) -> None:
    objects = world.app(space, generated=(world.credentials("db", space, "password"),))
    up(objects)
    values = _secret(kube, "db", space)
    shutil.rmtree(state_root / "backend/.pulumi")
    assert engine.stacks.state(home.app_stack) is None
    up(objects)
    assert _secret(kube, "db", space) == values


def test_a_destroy_without_data_keeps_claims_and_their_namespace(
    up: Callable[..., None], engine: Engine, home: Home, kube: Kube, space: str, changed: Changed
) -> None:
    objects = world.app(space, world.claim("data", space), world.stateful_set("db", space), world.config("a", space))
    up(objects)
    kept = engine.app.destroy(home, kube, destroy_data=False)
    assert kept == (f"Namespace/{space}", "PersistentVolumeClaim/data")
    assert kube.get("apps/v1", "StatefulSet", "db", space) is None
    claim = kube.get("v1", "PersistentVolumeClaim", "data", space)
    assert claim is not None
    assert "deletionTimestamp" not in claim["metadata"]
    up(objects)
    again = kube.get("v1", "PersistentVolumeClaim", "data", space)
    assert again is not None
    assert again["metadata"]["uid"] == claim["metadata"]["uid"], "the same data"
    assert engine.app.destroy(home, kube, destroy_data=True) == ()
    assert kube.get("v1", "Namespace", space) is None


def test_new_credentials_for_the_cluster_replace_nothing(
    engine: Engine, home: Home, kube: Kube, control_plane: ControlPlane, space: str, changed: Changed
) -> None:
    objects = world.app(space, world.config("a", space))
    engine.app.up(home, objects, kube, control_plane.kubeconfig, _nothing_to_wait_for, superseded="keep")
    changed()
    renewed = control_plane.kubeconfig + "# renewed\n"
    engine.app.up(home, objects, kube, renewed, _nothing_to_wait_for, superseded="keep")
    assert changed() == {}


def test_a_retained_object_that_is_no_longer_named_stays(
    up: Callable[..., None], engine: Engine, home: Home, kube: Kube, space: str, control_plane: ControlPlane
) -> None:
    up(world.app(space, world.claim("data", space)))
    without = world.app(space)
    preview = engine.app.preview(home, without, kube, control_plane.kubeconfig)
    assert [change.name for change in preview] == [f"Namespace/{space}"]
    up(without)
    claim = kube.get("v1", "PersistentVolumeClaim", "data", space)
    assert claim is not None
    assert "deletionTimestamp" not in claim["metadata"]


def test_gates_order_workloads_within_one_run(
    up: Callable[..., None], kube: Kube, space: str, engine: Engine, home: Home
) -> None:
    seen: list[tuple[str, str, bool]] = []

    def wait(workload: str, condition: str) -> None:
        follows = kube.get("apps/v1", "Deployment", "web", space) is not None
        seen.append((workload, condition, follows))

    objects = world.app(
        space, world.deployment("web", space), world.deployment("db", space), after={"web": {"db": "ready"}}
    )
    up(objects, wait=wait)
    assert seen == [("db", "ready", False)]
    up(objects, wait=wait, superseded="keep")
    assert len(seen) == 1, "a workload that was ready is not waited for again"
    assert kube.get("apps/v1", "Deployment", "web", space) is not None


def test_a_gate_that_fails_ends_the_run_with_the_cause(
    up: Callable[..., None], engine: Engine, home: Home, kube: Kube, space: str
) -> None:
    def wait(workload: str, condition: str) -> None:
        raise RolloutFailed([Cause(workload, "ImagePull", "the image cannot be pulled")])

    objects = world.app(
        space, world.deployment("web", space), world.deployment("db", space), after={"web": {"db": "ready"}}
    )
    with pytest.raises(RolloutFailed) as failure:
        up(objects, wait=wait)
    assert failure.value.causes[0].sign == "ImagePull"
    assert kube.get("apps/v1", "Deployment", "web", space) is None
    state = engine.stacks.state(home.app_stack)
    assert state is not None
    assert not state.complete
    up(objects, wait=lambda workload, condition: None)
    assert kube.get("apps/v1", "Deployment", "web", space) is not None


def test_the_servers_refusal_comes_first(up: Callable[..., None], engine: Engine, home: Home, space: str) -> None:
    wrong = world.config("settings", space)
    wrong.manifest["metadata"]["labels"]["app"] = "not a label!"
    with pytest.raises(ClusterError) as refusal:
        up(world.app(space, wrong))
    assert refusal.value.status == 422
    assert refusal.value.message.startswith('ConfigMap "settings" is invalid')
    assert "urn:pulumi" not in refusal.value.message + refusal.value.detail
    up(world.app(space, world.config("settings", space)))


def test_a_stateful_set_is_recreated_around_its_pods(
    up: Callable[..., None], engine: Engine, home: Home, kube: Kube, space: str, control_plane: ControlPlane
) -> None:
    up(world.app(space, world.stateful_set("db", space)))
    pod = _pod(kube, space)
    changed = world.app(space, world.stateful_set("db", space, management="Parallel"))
    preview = engine.app.preview(home, changed, kube, control_plane.kubeconfig)
    change = next(change for change in preview if change.name == "StatefulSet/db")
    assert change.operation == "replace"
    assert change.fields == (FieldChange("spec.podManagementPolicy", "OrderedReady", "Parallel"),)
    up(changed)
    live = kube.get("apps/v1", "StatefulSet", "db", space)
    assert live is not None
    assert live["spec"]["podManagementPolicy"] == "Parallel"
    assert _pod(kube, space) == pod, "the pod runs on"


def test_load_balancers_go_before_anything_else(
    up: Callable[..., None], engine: Engine, home: Home, kube: Kube, space: str
) -> None:
    """A finalizer like those of cloud load balancers: while it is held, the rest of the app must be there."""
    balancer = world.service("web", space)
    balancer.manifest["spec"]["type"] = "LoadBalancer"
    balancer.manifest["metadata"]["finalizers"] = ["test.portable/cloud"]
    up(world.app(space, balancer, world.deployment("web", space)))
    rest: list[bool] = []

    class Watched(Kube):
        def wait_gone(self, *address: object, **options: object) -> bool:  # pyright: ignore[reportIncompatibleMethodOverride]
            if not rest:
                rest.append(self.get("apps/v1", "Deployment", "web", space) is not None)
                self.merge_patch("v1", "Service", "web", {"metadata": {"finalizers": None}}, space)
            return super().wait_gone(*address, **options)  # pyright: ignore[reportArgumentType]

    watched = Watched(kube._wire.http, kube.server)
    engine.app.destroy(home, watched, destroy_data=True)
    assert rest == [True]
    assert kube.get("v1", "Namespace", space) is None


def test_forgetting_an_app_leaves_its_credentials(
    up: Callable[..., None], engine: Engine, home: Home, kube: Kube, space: str
) -> None:
    objects = world.app(space, world.config("a", space), generated=(world.credentials("db", space, "password"),))
    up(objects)
    values = _secret(kube, "db", space)
    engine.app.forget(home)
    state = engine.stacks.state(home.app_stack)
    assert state is not None
    assert list(state.resources) == ["Credential/db"]
    assert kube.get("v1", "ConfigMap", "a", space) is not None, "the cluster was not asked"
    kube.delete("v1", "Namespace", space)
    kube.wait_gone("v1", "Namespace", space, timeout=60)
    up(objects)
    assert _secret(kube, "db", space) == values
    engine.app.forget(home, destroy_data=True)
    state = engine.stacks.state(home.app_stack)
    assert state is not None
    assert list(state.resources) == []


def _secret(kube: Kube, name: str, space: str) -> dict[str, str]:
    secret = kube.get("v1", "Secret", name, space)
    assert secret is not None
    return {key: base64.b64decode(value).decode() for key, value in secret["data"].items()}


def _pod(kube: Kube, space: str) -> str:
    """The uid of the namespace's only pod, which its controller makes a moment after the StatefulSet."""
    for _, pod in kube.watch("v1", "Pod", space, resource_version="0", timeout=60):
        return str(pod["metadata"]["uid"])
    raise AssertionError("no pod was made")
