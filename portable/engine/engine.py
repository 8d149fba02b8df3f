"""The engine's operations on an app's and a cluster's stack. Everything that a flow calls stands here."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from portable.compile.objects import Objects
from portable.engine import leaving
from portable.engine import run as engine_run
from portable.engine.backend import Backend
from portable.engine.changes import Change
from portable.engine.clouds import Resumable
from portable.engine.kubernetes import KubernetesObject
from portable.engine.lock import held, write_mark
from portable.engine.preview import app_creations, changes, cluster_creations
from portable.engine.state import (
    Deployment,
    Recorded,
    StackState,
    mended,
    name_of,
    own_resources,
    recorded,
    stack_outputs,
    stack_state,
    without,
)
from portable.engine.types import Credential, Ready, Served, Values, Wait
from portable.engine.workspace import PROJECT, KubernetesProvider, choose_plugin, open_workspace
from portable.errors import ProviderError, ToolError
from portable.events import Emit, Notice
from portable.home import Home, app_homes
from portable.kube import Kube
from portable.provider import ClusterResource, ClusterState, Outputs, ResourceType
from portable_stacks.app.resources import CREDENTIAL, READY, Resource, app_resources, credential_name

DIGEST = "digest"
PARALLEL = 16
# As long as the slowest cloud takes to make or delete a cluster.
SHARED_PATIENCE = 3600.0
# Outputs that say where a cluster is, in the words of one cloud or another.
_PLACE = ("region", "location", "zone", "account", "project", "subscription")


@dataclass(frozen=True)
class Settings:
    """`state`: a Pulumi backend URL, None for local files. `pulumi`: the CLI, None for the one that the tools find."""

    state: str | None = None
    kubernetes_provider: KubernetesProvider = "auto"
    pulumi: Path | None = None
    parallel: int = PARALLEL


class Engine:
    """Operations on stacks. One at a time on a stack; each may be repeated after any interruption and then finishes.

    All raise EngineError (StateLocked when another operation holds the stack), ClusterError with the API server's refusal,
    what a plugin's resource type raised, or Interrupted. `emit` is called from several threads.
    """

    def __init__(self, settings: Settings, emit: Emit) -> None:
        self._settings = settings
        self._emit = emit
        self._workspace = open_workspace(settings.state)
        self._backend = Backend(self._workspace, self._pulumi)
        self._applied: dict[str, tuple[str, Deployment | None]] = {}

    # -- the cluster stack -----------------------------------------------------------------------------------------

    def cluster_up(
        self, home: Home, resources: Sequence[ClusterResource], types: Mapping[str, ResourceType], *, digest: str = ""
    ) -> Mapping[str, Outputs]:
        """Makes or updates the cluster's resources; returns the outputs of each by name, secrets hidden.

        The live objects are read first, so what was changed behind our back is put back. `digest`, of what was asked for,
        is kept with the state: see `cluster_has`.
        """
        stack = home.cluster_stack
        urns = self._urns(stack, [(entry.type, entry.name) for entry in resources])
        with self._operation(stack, urns, shared=True):
            self._run_cluster("up", stack, resources, types, ["--refresh"], digest)
        state = self.state(stack)
        return {} if state is None else {name: dict(outputs) for name, outputs in state.outputs.items()}

    def cluster_has(self, home: Home, digest: str, cluster: ClusterState) -> bool:
        """Whether this very cluster was last brought up with `digest`, by whichever app, and that ended well."""
        deployment, state = self._backend.read(home.cluster_stack), self.state(home.cluster_stack)
        if deployment is None or state is None or not state.complete or _vanished(state, cluster):
            return False
        return stack_outputs(deployment).get(DIGEST) == digest

    def cluster_preview(
        self, home: Home, resources: Sequence[ClusterResource], types: Mapping[str, ResourceType]
    ) -> tuple[Change, ...]:
        """What `cluster_up` would do, on the live objects as they are now. Nothing is changed, not even the state."""
        stack = home.cluster_stack
        if self._backend.read(stack) is None:
            return cluster_creations(resources)
        outcome = self._run_cluster("preview", stack, resources, types, ["--refresh"])
        return changes("cluster", outcome, self._urns_of(stack), [resource.name for resource in resources])

    def cluster_destroy(self, home: Home, types: Mapping[str, ResourceType]) -> None:
        """Deletes the cluster's resources, also those whose creation broke off, and the stack."""
        stack = home.cluster_stack
        if self._backend.read(stack) is None:
            return
        with self._operation(stack, (), shared=True):
            self._run_cluster("destroy", stack, (), types, ["--remove"])

    def forget_vanished(
        self, home: Home, find: Callable[[], ClusterState | None], types: Mapping[str, ResourceType]
    ) -> None:
        """Where the cluster of the state is gone, or another one has its name, what ran on it leaves the state without a call
        to it. Generated credentials stay: kept data still needs them. Its own resources are left to the next `cluster_up` or
        `cluster_destroy`, which read them first: the network of a cluster outlives it.

        `find` asks the provider. That is done when it is our turn: another `up` may be making the cluster right now.
        Raises ProviderError for a cluster that is there, but not where it is looked for now.
        """
        stack = home.cluster_stack
        if self._backend.read(stack) is None:
            return
        with self._turn(stack):
            recorded, cluster = self.state(stack), find()
            if recorded is None or not recorded.resources or not _vanished(recorded, cluster):
                return
            if cluster is None:
                self._require_gone(home, types)
            words = f"the cluster {home.cluster} that the state knows is gone: what ran on it is forgotten"
            self._emit(Notice(words, "warning"))
            for other in app_homes(self.stacks(), stack):
                self.forget_app(other)

    def _require_gone(self, home: Home, types: Mapping[str, ResourceType]) -> None:
        """A region, account or project that was chosen anew makes a cluster look gone: it is read where it was made."""
        for resource in own_resources(self._backend.read(home.cluster_stack) or {}):
            served, outputs = types.get(resource["type"]), resource.get("outputs", {})
            if served is None or not outputs.get("uid"):
                continue
            if Resumable(served).read(resource["id"], resource.get("inputs", {}), outputs) is not None:
                place = ", ".join(f"{key} {outputs[key]}" for key in _PLACE if outputs.get(key))
                raise ProviderError(
                    f"the cluster {home.cluster} is not where it is looked for now",
                    detail=f"it was made in: {place}" if place else "",
                    fix="choose that place again, or give the new cluster another name (`cluster.name`)",
                )

    # -- the app stack ---------------------------------------------------------------------------------------------

    def app_up(
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
        resources = app_resources(objects)
        stack = home.app_stack
        urns = self._urns(stack, [(entry.type, entry.name) for entry in resources])
        with self._operation(stack, urns) as mend:
            old = [urn for urn in self._urns_of(stack).values() if urn not in urns]
            staying = [urn for urn in old if superseded == "keep" or name_of(urn) in protect_names]
            digest = _digest(resources)
            if (
                superseded == "delete"
                and len(staying) == len(old)
                and self._applied.get(stack) == self._now(stack, digest)
            ):
                return
            official = self._plugin() is not None
            if official:
                self._recreate_stateful_sets(resources, kube)
            arguments = [f"--exclude={urn}" for urn in staying] + (["--refresh"] if mend and official else [])
            self._run_app("up", home, resources, kube, kubeconfig, wait, arguments)
            self._applied[stack] = self._now(stack, digest)

    def rotate(self, home: Home, objects: Objects, kube: Kube, values: Values, secrets: Sequence[str]) -> None:
        """Puts `values` (Secret -> key -> value) in the place of generated ones, in the state and in `secrets` (names) that
        hold them. Nothing else of the app is touched."""
        resources = app_resources(objects)
        stack = home.app_stack
        urns = dict(
            zip(
                (entry.name for entry in resources),
                self._urns(stack, [(entry.type, entry.name) for entry in resources]),
                strict=True,
            )
        )
        names = [*(credential_name(name) for name in values), *(f"Secret/{name}" for name in secrets)]
        with self._operation(stack, tuple(urns.values())):
            arguments = [f"--target={urns[name]}" for name in names]
            self._run_app("up", home, resources, kube, kube.kubeconfig, None, arguments, rotated=values)
        self._applied.pop(stack, None)

    def app_preview(self, home: Home, objects: Objects, kube: Kube, kubeconfig: str) -> tuple[Change, ...]:
        """What `app_up` (and then the removal of superseded objects) would do, by dry runs on the API server."""
        resources = app_resources(objects)
        if self._backend.read(home.app_stack) is None:
            return app_creations(resources)
        outcome = self._run_app("preview", home, resources, kube, kubeconfig, None, [])
        stored = own_resources(self._backend.read(home.app_stack) or {})
        retained = {name_of(resource["urn"]) for resource in stored if resource.get("retainOnDelete")}
        found = changes("app", outcome, self._urns_of(home.app_stack), [resource.name for resource in resources])
        # what is retained leaves the state when the app no longer names it, and the cluster never
        return tuple(change for change in found if change.operation != "delete" or change.name not in retained)

    def app_preview_offline(self, objects: Objects) -> tuple[Change, ...]:
        """The plan where there is no cluster yet: everything is created."""
        return app_creations(app_resources(objects))

    def superseded(self, home: Home, objects: Objects) -> tuple[str, ...]:
        """Logical names of what is in the stack and no longer in `objects`. Runs no engine."""
        names = {resource.name for resource in app_resources(objects)}
        return tuple(name for name in self._urns_of(home.app_stack) if name not in names)

    def app_destroy(self, home: Home, kube: Kube, *, destroy_data: bool) -> tuple[str, ...]:
        """Deletes the app, what clouds have built for it first, waiting for finalizers; returns what was kept.

        Without `destroy_data` the generated credentials stay in the state (the next `up` has the same passwords), and the
        namespace stays while it holds data (persistent volume claims).
        """
        stack = home.app_stack
        if self._backend.read(stack) is None:
            return ()
        with self._operation(stack, ()):
            resources = own_resources(self._backend.read(stack) or {})
            leaving.delete_what_clouds_built(resources, kube, self._emit)
            if destroy_data:
                leaving.release_data(resources, kube)
            kept = [] if destroy_data else leaving.kept(resources, kube)
            going = [resource for resource in resources if resource not in kept]
            if going or not kept:
                whole = any(resource["type"] == leaving.NAMESPACE for resource in going)
                arguments = [f"--exclude={resource['urn']}" for resource in kept] or ["--remove"]
                self._run_app("destroy", home, (), kube, "", None, arguments, with_namespace=whole)
                leaving.delete_namespaces(going, kube, self._emit)
            self._applied.pop(stack, None)
            return leaving.kept_names(kept, kube)

    def forget_app(self, home: Home, *, destroy_data: bool = False) -> None:
        """The cluster vanished: its objects leave the state without a call to it. Credentials stay but for `destroy_data`."""
        ours = (READY, CREDENTIAL) if destroy_data else (READY,)
        with self._turn(home.app_stack):
            self._drop(home.app_stack, lambda resource: resource["type"] in ours or leaving.is_kubernetes(resource))

    # -- stacks ----------------------------------------------------------------------------------------------------

    def state(self, stack: str) -> StackState | None:
        """The state of a stack by its key (`Home.app_stack`, `Home.cluster_stack`); None where there is none."""
        deployment = self._backend.read(stack)
        return None if deployment is None else stack_state(stack, deployment, marked=self._backend.mark(stack).exists())

    def recorded(self, stack: str) -> tuple[Recorded, ...]:
        """The resources of a stack as its state has them; none where there is no such stack."""
        return recorded(self._backend.read(stack) or {})

    def lost(self, stack: str) -> bool:
        """Whether the files of this user know nothing of a stack. A backend elsewhere is not asked: that takes seconds, and it
        is not lost with this machine."""
        file = self._workspace.state_file(stack)
        return file is not None and not file.exists()

    def stacks(self) -> list[str]:
        """The keys of all stacks of this backend, sorted. A stack may hold nothing but credentials: see `state`."""
        return self._backend.stacks()

    def cluster_stacks(self) -> list[str]:
        """The keys of the stacks that hold a cluster, sorted."""

        def holds_cluster(resource: dict[str, Any]) -> bool:
            return resource["type"].startswith("portable:") and resource["type"] not in (READY, CREDENTIAL)

        return [
            stack for stack in self.stacks() if any(map(holds_cluster, own_resources(self._backend.read(stack) or {})))
        ]

    # -- runs ------------------------------------------------------------------------------------------------------

    def _run_app(
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
        plugin = self._plugin()
        if plugin is None:
            types["kubernetes:*"] = KubernetesObject(kube, with_namespace=with_namespace)
        gates = sum(1 for resource in resources if resource.type == READY)  # a waiting gate holds one of the slots
        engine = self._engine(plugin, self._settings.parallel + gates)
        served = ("portable",) if plugin is not None else ("portable", "kubernetes")
        stack = home.app_stack
        return engine_run.run(
            engine, command, stack, "app",
            program=program, types=types, served=served, arguments=arguments, emit=self._emit,
            spawned=self._marker(command, stack),
        )  # fmt: skip

    def _run_cluster(
        self,
        command: engine_run.Command,
        stack: str,
        resources: Sequence[ClusterResource],
        types: Mapping[str, ResourceType],
        arguments: Sequence[str],
        digest: str = "",
    ) -> engine_run.Outcome:
        def program() -> engine_run.Program:
            from portable_stacks.cluster.program import program

            return program(resources, {DIGEST: digest})

        return engine_run.run(
            self._engine(None, self._settings.parallel), command, stack, "cluster",
            program=program,
            types={token: Resumable(served) for token, served in types.items()},
            served=("portable",),
            arguments=arguments,
            emit=self._emit,
            spawned=self._marker(command, stack),
        )  # fmt: skip

    def _engine(self, plugin: Path | None, parallel: int) -> engine_run.Engine:
        environment = {}
        if plugin is not None:
            path = self._workspace.environment().get("PATH", "")
            environment["PATH"] = f"{plugin.parent}:{path}"
        return engine_run.Engine(self._pulumi(), self._workspace, environment, parallel)

    def _plugin(self) -> Path | None:
        return choose_plugin(self._settings.kubernetes_provider)

    def _pulumi(self) -> Path:
        if self._settings.pulumi is not None:
            return self._settings.pulumi
        from portable.tools import pulumi

        found = pulumi.find()
        if found is None:
            raise ToolError("the Pulumi CLI is missing", fix="get it with `portable doctor --fix`")
        return found

    @contextmanager
    def _operation(self, stack: str, named: Sequence[str], *, shared: bool = False) -> Iterator[bool]:
        """Holds the stack, makes it if needed, mends what a broken-off operation left (True: there was something), and marks
        the stack as being worked on until the block ends without an error.

        `shared`: a cluster's, which several apps may want to bring up at once. They take turns.
        """
        mark = self._backend.mark(stack)
        with self._turn(stack, patience=SHARED_PATIENCE if shared else 0.0):
            deployment = self._backend.read(stack)
            if deployment is None:
                self._backend.create(stack)
            mend = mended(deployment, named) if deployment is not None else None
            if mend is not None:
                self._backend.write(stack, mend)
            mark.touch()
            yield mend is not None
            mark.unlink(missing_ok=True)
            self._backend.trim(stack)

    @contextmanager
    def _turn(self, stack: str, *, patience: float = SHARED_PATIENCE) -> Iterator[None]:
        """Holds the stack, for which it waits up to `patience` seconds and says so."""
        words = f"another portable process works on {stack}: waiting until it has ended"
        waiting = (lambda: self._emit(Notice(words))) if patience else None
        with held(self._workspace, stack, self._backend.mark(stack), patience=patience, waiting=waiting):
            yield

    def _now(self, stack: str, program: str) -> tuple[str, Deployment | None]:
        """What was applied and the state that it left: where both are the same, there is nothing to do again."""
        return program, self._backend.read(stack)

    def _marker(self, command: engine_run.Command, stack: str) -> Callable[[int], None]:
        mark = self._backend.mark(stack)
        return lambda pid: None if command == "preview" else write_mark(mark, pid)

    def _drop(self, stack: str, gone: Callable[[dict[str, Any]], bool]) -> None:
        """Takes resources out of the state of a stack that is held."""
        deployment = self._backend.read(stack)
        if deployment is not None and deployment.get("resources"):
            self._backend.write(stack, without(deployment, gone))
        self._backend.mark(stack).unlink(missing_ok=True)
        self._applied.pop(stack, None)

    def _urns(self, stack: str, resources: Sequence[tuple[str, str]]) -> list[str]:
        return [f"urn:pulumi:{stack}::{PROJECT}::{token}::{name}" for token, name in resources]

    def _urns_of(self, stack: str) -> dict[str, str]:
        """logical name -> URN of the objects in the stack's state."""
        resources = own_resources(self._backend.read(stack) or {})
        return {name_of(resource["urn"]): resource["urn"] for resource in resources}

    def _recreate_stateful_sets(self, resources: Sequence[Resource], kube: Kube) -> None:
        """The official plugin would delete a StatefulSet with its pods to change an immutable field. Without the object in its
        way it creates, and the pods are adopted."""
        objects = KubernetesObject(kube)
        for resource in resources:
            if resource.type == "kubernetes:apps/v1:StatefulSet":
                diff = objects.diff("", {}, dict(resource.inputs), dict(resource.inputs))
                if diff.recreates:
                    objects.orphan(dict(resource.inputs))


def _vanished(recorded: StackState, cluster: ClusterState | None) -> bool:
    """Whether the provider knows no such cluster, or another one than the state."""
    if cluster is None:
        return True
    uids = {str(outputs["uid"]) for outputs in recorded.outputs.values() if outputs.get("uid")}
    return bool(uids and cluster.uid) and cluster.uid not in uids


def _digest(resources: Sequence[Resource]) -> str:
    text = json.dumps([(entry.type, entry.name, entry.inputs, repr(entry.depends_on)) for entry in resources])
    return hashlib.sha256(text.encode()).hexdigest()
