"""What is done with the stack of an app."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from typing import Literal

from portable.compile.objects import Objects
from portable.engine import leaving
from portable.engine import run as engine_run
from portable.engine.changes import Change
from portable.engine.kubernetes import KubernetesObject
from portable.engine.preview import app_creations, changes
from portable.engine.stacks import Stacks, urn
from portable.engine.state import Deployment, name_of
from portable.engine.types import Credential, Ready, Served, Values, Wait
from portable.home import Home
from portable.kube import Kube
from portable_stacks.app.resources import CREDENTIAL, READY, Resource, app_resources, credential_name


class AppStack:
    """Operations on an app's objects. See `Engine` for what they raise."""

    def __init__(self, stacks: Stacks) -> None:
        self._stacks = stacks
        self._applied: dict[str, tuple[str, Deployment | None]] = {}

    def up(
        self,
        home: Home,
        objects: Objects,
        kube: Kube,
        kubeconfig: str,
        wait: Wait,
        *,
        superseded: Literal["keep", "delete"],
        protect_names: Sequence[str] = (),
    ) -> None:
        """Applies the objects in their order. It waits for no workload but where another comes `after` it: then
        `wait(workload, condition)` is called, and what it raises ends the run and comes out here.

        Objects that are in the stack and no longer in `objects` stay with "keep" and go with "delete", but for
        `protect_names` (logical names that kept revisions need).
        """
        resources, stack = app_resources(objects), home.app_stack
        urns = _urns(stack, resources)
        with self._stacks.operation(stack, tuple(urns.values())) as mend:
            old = [each for each in self._stacks.urns(stack).values() if each not in urns.values()]
            staying = [each for each in old if superseded == "keep" or name_of(each) in protect_names]
            digest = _digest(resources)
            nothing_goes = superseded == "delete" and len(staying) == len(old)
            if nothing_goes and self._applied.get(stack) == self._now(stack, digest):
                return
            official = self._stacks.plugin is not None
            if official:
                _recreate_stateful_sets(resources, kube)
            arguments = [f"--exclude={each}" for each in staying] + (["--refresh"] if mend and official else [])
            self._run("up", home, resources, kube, kubeconfig, wait, arguments)
            self._applied[stack] = self._now(stack, digest)

    def rotate(self, home: Home, objects: Objects, kube: Kube, values: Values, secrets: Sequence[str]) -> None:
        """Puts `values` (Secret -> key -> value) in the place of generated ones, in the state and in `secrets` (names) that
        hold them. Nothing else of the app is touched."""
        resources, stack = app_resources(objects), home.app_stack
        urns = _urns(stack, resources)
        names = [*(credential_name(name) for name in values), *(f"Secret/{name}" for name in secrets)]
        with self._stacks.operation(stack, tuple(urns.values())):
            arguments = [f"--target={urns[name]}" for name in names]
            self._run("up", home, resources, kube, kube.kubeconfig, None, arguments, rotated=values)
        self._applied.pop(stack, None)

    def preview(self, home: Home, objects: Objects, kube: Kube, kubeconfig: str) -> tuple[Change, ...]:
        """What `up` (and then the removal of superseded objects) would do, by dry runs on the API server."""
        resources, stack = app_resources(objects), home.app_stack
        if self._stacks.read(stack) is None:
            return app_creations(resources)
        outcome = self._run("preview", home, resources, kube, kubeconfig, None, [])
        stored = self._stacks.resources(stack)
        retained = {name_of(resource["urn"]) for resource in stored if resource.get("retainOnDelete")}
        found = changes("app", outcome, self._stacks.urns(stack), [resource.name for resource in resources])
        # what is retained leaves the state when the app no longer names it, and the cluster never
        return tuple(change for change in found if change.operation != "delete" or change.name not in retained)

    def preview_offline(self, objects: Objects) -> tuple[Change, ...]:
        """The plan where there is no cluster yet: everything is created."""
        return app_creations(app_resources(objects))

    def superseded(self, home: Home, objects: Objects) -> tuple[str, ...]:
        """Logical names of what is in the stack and no longer in `objects`. Runs no engine."""
        names = {resource.name for resource in app_resources(objects)}
        return tuple(name for name in self._stacks.urns(home.app_stack) if name not in names)

    def destroy(self, home: Home, kube: Kube, *, destroy_data: bool) -> tuple[str, ...]:
        """Deletes the app, what clouds have built for it first, waiting for finalizers; returns what was kept.

        Without `destroy_data` the generated credentials stay in the state (the next `up` has the same passwords), and the
        namespace stays while it holds data (persistent volume claims).
        """
        stack = home.app_stack
        if self._stacks.read(stack) is None:
            return ()
        with self._stacks.operation(stack, ()):
            resources = self._stacks.resources(stack)
            leaving.delete_what_clouds_built(resources, kube, self._stacks.emit)
            if destroy_data:
                leaving.release_data(resources, kube)
            kept = [] if destroy_data else leaving.kept(resources, kube)
            going = [resource for resource in resources if resource not in kept]
            if going or not kept:
                whole = any(resource["type"] == leaving.NAMESPACE for resource in going)
                arguments = [f"--exclude={resource['urn']}" for resource in kept] or ["--remove"]
                self._run("destroy", home, (), kube, "", None, arguments, with_namespace=whole)
                leaving.delete_namespaces(going, kube, self._stacks.emit)
            self._applied.pop(stack, None)
            return leaving.kept_names(kept, kube)

    def forget(self, home: Home, *, destroy_data: bool = False) -> None:
        """The cluster vanished: its objects leave the state without a call to it. Credentials stay but for `destroy_data`."""
        ours = (READY, CREDENTIAL) if destroy_data else (READY,)
        stack = home.app_stack
        with self._stacks.turn(stack):
            self._stacks.drop(stack, lambda resource: resource["type"] in ours or leaving.is_kubernetes(resource))
            self._applied.pop(stack, None)

    def _run(
        self,
        command: engine_run.Command,
        home: Home,
        resources: Sequence[Resource],
        kube: Kube,
        kubeconfig: str,
        wait: Wait | None,
        arguments: Sequence[str],
        *,
        with_namespace: bool = False,
        rotated: Values | None = None,
    ) -> engine_run.Outcome:
        def program() -> engine_run.Program:
            from portable_stacks.app.program import program

            return program(resources, kubeconfig=kubeconfig, cluster=home.cluster_stack)

        types: dict[str, Served] = {CREDENTIAL: Credential(kube, rotated), READY: Ready(wait)}
        plugin = self._stacks.plugin
        if plugin is None:
            types["kubernetes:*"] = KubernetesObject(kube, with_namespace=with_namespace)
        gates = sum(1 for resource in resources if resource.type == READY)
        served = ("portable",) if plugin is not None else ("portable", "kubernetes")
        return self._stacks.run(
            command, home.app_stack, "app",
            program=program, types=types, served=served, arguments=arguments, plugin=plugin, waiting=gates,
        )  # fmt: skip

    def _now(self, stack: str, program: str) -> tuple[str, Deployment | None]:
        """What was applied and the state that it left: where both are the same, there is nothing to do again."""
        return program, self._stacks.read(stack)


def _urns(stack: str, resources: Sequence[Resource]) -> dict[str, str]:
    """logical name -> URN."""
    return {entry.name: urn(stack, entry.type, entry.name) for entry in resources}


def _recreate_stateful_sets(resources: Sequence[Resource], kube: Kube) -> None:
    """The official plugin would delete a StatefulSet with its pods to change an immutable field. Without the object in its
    way it creates, and the pods are adopted."""
    objects = KubernetesObject(kube)
    for resource in resources:
        if resource.type == "kubernetes:apps/v1:StatefulSet":
            diff = objects.diff("", {}, dict(resource.inputs), dict(resource.inputs))
            if diff.recreates:
                objects.orphan(dict(resource.inputs))


def _digest(resources: Sequence[Resource]) -> str:
    text = json.dumps([(entry.type, entry.name, entry.inputs, repr(entry.depends_on)) for entry in resources])
    return hashlib.sha256(text.encode()).hexdigest()
