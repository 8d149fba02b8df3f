"""The app stack against pulumi-kubernetes' own SDK: same type tokens, same inputs, so that its plugin can take a stack over."""

from __future__ import annotations

import asyncio
import importlib
from typing import Any

import pytest

from portable.kube.kinds import KNOWN
from portable_stacks.app.resources import ANNOTATIONS, app_resources, type_token
from tests.unit.engine import world

pytestmark = pytest.mark.unit

# What the core compiles; the rest of what `Kube` knows is made by the cluster itself.
KINDS = [key for key in KNOWN if key[1] not in ("Node", "Event", "Endpoints", "PersistentVolume")]


@pytest.fixture(scope="module")
def seen() -> Any:
    """Pulumi in its test mode: every registration is kept as (type, inputs)."""
    import pulumi

    class Recorder(pulumi.runtime.Mocks):
        def __init__(self) -> None:
            self.registered: dict[str, tuple[str, dict[str, Any]]] = {}

        def new_resource(self, args: pulumi.runtime.MockResourceArgs) -> tuple[str, dict[str, Any]]:
            self.registered[args.name] = (args.typ, args.inputs)
            return f"{args.name}-id", args.inputs

        def call(self, args: pulumi.runtime.MockCallArgs) -> tuple[dict[str, Any], None]:
            return {}, None

    try:
        loop = asyncio.get_event_loop()
    except RuntimeError:
        asyncio.set_event_loop(loop := asyncio.new_event_loop())
    recorder = Recorder()
    pulumi.runtime.set_mocks(recorder)
    yield recorder, loop
    loop.close()


def _sdk_class(api_version: str, kind: str) -> Any:
    group, _, version = api_version.rpartition("/")
    package = (group or "core").split(".")[0]
    return getattr(importlib.import_module(f"pulumi_kubernetes.{package}.{version}"), kind)


@pytest.mark.parametrize(("api_version", "kind"), KINDS)
def test_type_tokens_are_the_sdks(api_version: str, kind: str, seen: Any) -> None:
    recorder, loop = seen
    name = f"token-{api_version}-{kind}"

    async def register() -> None:
        await _sdk_class(api_version, kind).get(name, "any").urn.future()

    loop.run_until_complete(register())
    manifest = {"apiVersion": api_version, "kind": kind, "metadata": {"name": "x"}}
    assert recorder.registered[name][0] == type_token(manifest)


def test_inputs_are_what_the_sdk_would_send(seen: Any) -> None:
    """A Deployment written with the SDK's typed arguments, as in its documentation, and ours."""
    import pulumi_kubernetes as k8s

    recorder, loop = seen
    (resource,) = [
        entry
        for entry in app_resources(world.app("space", world.deployment("web", "space")))
        if "Deployment" in entry.name
    ]
    container = k8s.core.v1.ContainerArgs(
        name="main", image="web:1", ports=[k8s.core.v1.ContainerPortArgs(container_port=80)]
    )

    async def register() -> None:
        made = k8s.apps.v1.Deployment(
            "theirs",
            metadata={
                "name": "web",
                "namespace": "space",
                "labels": {"app": "web"},
                "annotations": dict(ANNOTATIONS),
            },
            spec=k8s.apps.v1.DeploymentSpecArgs(
                replicas=1,
                selector=k8s.meta.v1.LabelSelectorArgs(match_labels={"app": "web"}),
                template=k8s.core.v1.PodTemplateSpecArgs(
                    metadata=k8s.meta.v1.ObjectMetaArgs(labels={"app": "web"}),
                    spec=k8s.core.v1.PodSpecArgs(containers=[container]),
                ),
            ),
        )
        await made.urn.future()

    loop.run_until_complete(register())
    assert recorder.registered["theirs"] == (resource.type, dict(resource.inputs))


def test_every_object_tells_the_official_plugin_not_to_wait_and_who_owns_it() -> None:
    resources = app_resources(world.sixty("space"))
    kubernetes = [resource for resource in resources if resource.type.startswith("kubernetes:")]
    assert len(kubernetes) == 61
    for resource in kubernetes:
        annotations = resource.inputs["metadata"]["annotations"]
        assert annotations["pulumi.com/skipAwait"] == "true"
        assert annotations["pulumi.com/patchFieldManager"] == "portable"


def test_resources_come_after_what_they_depend_on() -> None:
    objects = world.app(
        "space",
        world.deployment("web", "space", after=("ConfigMap/late", "ConfigMap/unknown")),
        world.deployment("db", "space"),
        world.config("late", "space"),
        after={"web": {"db": "complete"}},
    )
    resources = app_resources(objects)
    names = [resource.name for resource in resources]
    assert names[0] == "Namespace/space"
    for resource in resources:
        assert all(names.index(other) < names.index(resource.name) for other in resource.depends_on)
    web = next(resource for resource in resources if resource.name == "Deployment/web")
    assert set(web.depends_on) == {"Namespace/space", "Complete/db", "ConfigMap/late"}
