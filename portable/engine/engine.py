"""The engine's operations on an app's and a cluster's stack. Everything that a flow calls stands here."""

from __future__ import annotations

import hashlib
import json
import subprocess
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from portable.compile.objects import Objects, logical_name
from portable.engine import run as engine_run
from portable.engine.changes import Change, FieldChange
from portable.engine.clouds import Resumable
from portable.engine.kubernetes import KubernetesObject
from portable.engine.lock import held, write_mark
from portable.engine.state import Deployment, StackState, mended, name_of, own_resources, stack_state, type_of, without
from portable.engine.types import Credential, Ready, Served, Wait
from portable.engine.workspace import PROJECT, KubernetesProvider, choose_plugin, open_workspace
from portable.errors import EngineError, ToolError
from portable.events import Emit
from portable.home import Home
from portable.kube import Kube
from portable.provider import ClusterResource, Outputs, ResourceType

if TYPE_CHECKING:
    from portable_stacks.app.resources import Resource

CREDENTIAL = "portable:index:Credential"
READY = "portable:index:Ready"
NAMESPACE = "kubernetes:core/v1:Namespace"
PARALLEL = 16


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
        self._applied: dict[str, tuple[str, Deployment | None]] = {}

    # -- the cluster stack -----------------------------------------------------------------------------------------

    def cluster_up(
        self, home: Home, resources: Sequence[ClusterResource], types: Mapping[str, ResourceType]
    ) -> Mapping[str, Outputs]:
        """Makes or updates the cluster's resources; returns the outputs of each by name, secrets hidden."""
        stack = home.cluster_stack
        with self._operation(stack, self._urns(stack, [(entry.type, entry.name) for entry in resources])) as mend:
            self._run_cluster("up", stack, resources, types, ["--refresh"] if mend else [])
        state = self.state(stack)
        return {} if state is None else {name: dict(outputs) for name, outputs in state.outputs.items()}

    def cluster_preview(
        self, home: Home, resources: Sequence[ClusterResource], types: Mapping[str, ResourceType]
    ) -> tuple[Change, ...]:
        """What `cluster_up` would do. Nothing is changed, not even the state."""
        stack = home.cluster_stack
        if self._deployment(stack) is None:
            return tuple(
                Change("cluster", "create", entry.type, entry.name, _literal(entry.inputs)) for entry in resources
            )
        outcome = self._run_cluster("preview", stack, resources, types, [])
        return _changes("cluster", outcome, self._urns_of(stack), [resource.name for resource in resources])

    def cluster_destroy(self, home: Home, types: Mapping[str, ResourceType]) -> None:
        """Deletes the cluster's resources, also those whose creation broke off, and the stack."""
        stack = home.cluster_stack
        if self._deployment(stack) is None:
            return
        with self._operation(stack, ()):
            self._run_cluster("destroy", stack, (), types, ["--remove"])

    def forget_cluster(self, home: Home) -> None:
        """The cluster vanished: its resources leave the state without a call to its cloud."""
        self._forget(home.cluster_stack, lambda resource: not resource["type"].startswith("pulumi:"))

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
        resources = _app_resources(objects)
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

    def app_preview(self, home: Home, objects: Objects, kube: Kube, kubeconfig: str) -> tuple[Change, ...]:
        """What `app_up` (and then the removal of superseded objects) would do, by dry runs on the API server."""
        resources = _app_resources(objects)
        if self._deployment(home.app_stack) is None:
            return _creations(resources)
        outcome = self._run_app("preview", home, resources, kube, kubeconfig, None, [])
        held = own_resources(self._deployment(home.app_stack) or {})
        retained = {name_of(resource["urn"]) for resource in held if resource.get("retainOnDelete")}
        changes = _changes("app", outcome, self._urns_of(home.app_stack), [resource.name for resource in resources])
        # what is retained leaves the state when the app no longer names it, and the cluster never
        return tuple(change for change in changes if change.operation != "delete" or change.name not in retained)

    def app_preview_offline(self, objects: Objects) -> tuple[Change, ...]:
        """The plan where there is no cluster yet: everything is created."""
        return _creations(_app_resources(objects))

    def superseded(self, home: Home, objects: Objects) -> tuple[str, ...]:
        """Logical names of what is in the stack and no longer in `objects`. Runs no engine."""
        names = {resource.name for resource in _app_resources(objects)}
        return tuple(name for name in self._urns_of(home.app_stack) if name not in names)

    def app_destroy(self, home: Home, kube: Kube, *, destroy_data: bool) -> tuple[str, ...]:
        """Deletes the app, what clouds have built for it first, waiting for finalizers; returns what was kept.

        Without `destroy_data` the generated credentials stay in the state (the next `up` has the same passwords), and the
        namespace stays while it holds data (persistent volume claims).
        """
        stack = home.app_stack
        if self._deployment(stack) is None:
            return ()
        with self._operation(stack, ()):
            resources = own_resources(self._deployment(stack) or {})
            self._delete_first(resources, kube)
            kept = () if destroy_data else self._kept(resources, kube)
            if destroy_data:
                self._delete_data(resources, kube)
            if resources and len(kept) == len(resources):
                return self._names_kept(kept, kube)
            arguments = [f"--exclude={resource['urn']}" for resource in kept] or ["--remove"]
            whole = not any(type_of(resource["urn"]) == NAMESPACE for resource in kept)
            self._run_app("destroy", home, (), kube, "", None, arguments, with_namespace=whole)
            self._applied.pop(stack, None)
        return self._names_kept(kept, kube)

    def forget_app(self, home: Home) -> None:
        """The cluster vanished: its objects leave the state without a call to it. Credentials stay."""
        self._forget(home.app_stack, lambda resource: resource["type"] == READY or _is_kubernetes(resource))

    # -- stacks ----------------------------------------------------------------------------------------------------

    def state(self, stack: str) -> StackState | None:
        """The state of a stack by its key (`Home.app_stack`, `Home.cluster_stack`); None where there is none."""
        deployment = self._deployment(stack)
        return None if deployment is None else stack_state(stack, deployment, marked=self._mark(stack).exists())

    def stacks(self) -> list[str]:
        """The keys of all stacks of this backend, sorted. A stack may hold nothing but credentials: see `state`."""
        file = self._workspace.state_file("x")
        if file is not None:
            return sorted(path.stem for path in file.parent.glob("*.json"))
        listed = json.loads(self._cli("stack", "ls", "--output=json").stdout)
        return sorted(entry["name"].rpartition("/")[2] for entry in listed)

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
    ) -> engine_run.Outcome:
        def program() -> engine_run.Program:
            from portable_stacks.app import program

            return program(resources, kubeconfig=kubeconfig, cluster=home.cluster_stack)

        types: dict[str, Served] = {CREDENTIAL: Credential(kube), READY: Ready(wait)}
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
    ) -> engine_run.Outcome:
        def program() -> engine_run.Program:
            from portable_stacks.cluster import program

            return program(resources)

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
    def _operation(self, stack: str, named: Sequence[str]) -> Iterator[bool]:
        """Holds the stack, makes it if needed, mends what a broken-off operation left (True: there was something), and marks
        the stack as being worked on until the block ends without an error."""
        mark = self._mark(stack)
        with held(self._workspace, stack, mark):
            deployment = self._deployment(stack)
            if deployment is None:
                self._create(stack)
            mend = mended(deployment, named) if deployment is not None else None
            if mend is not None:
                self._import(stack, mend)
            mark.touch()
            yield mend is not None
            mark.unlink(missing_ok=True)

    def _now(self, stack: str, program: str) -> tuple[str, Deployment | None]:
        """What was applied and the state that it left: where both are the same, there is nothing to do again."""
        return program, self._deployment(stack)

    def _marker(self, command: engine_run.Command, stack: str) -> Callable[[int], None]:
        mark = self._mark(stack)
        return lambda pid: None if command == "preview" else write_mark(mark, pid)

    def _mark(self, stack: str) -> Path:
        return self._workspace.folder / f".{stack}.running"

    # -- state files -----------------------------------------------------------------------------------------------

    def _deployment(self, stack: str) -> Deployment | None:
        """The stack's document; None where there is no such stack. Local files are read as they are: no CLI call."""
        file = self._workspace.state_file(stack)
        try:
            if file is not None:
                return json.loads(file.read_text())["checkpoint"].get("latest") or {}
            exported = self._cli("stack", "export", f"--stack={stack}", missing=f"no stack named '{stack}' found")
            return None if exported is None else json.loads(exported.stdout)["deployment"]
        except FileNotFoundError:
            return None
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise EngineError(
                f"the state of {stack} cannot be read: {file or self._workspace.backend}",
                detail=f"{type(error).__name__}: {error}",
                fix=f"restore the copy that Pulumi keeps: {file}.bak"
                if file
                else "restore it from the backend's history",
            ) from error

    def _create(self, stack: str) -> None:
        """Makes the stack. A local one is the file that `pulumi stack init` would write, without its half second."""
        file = self._workspace.state_file(stack)
        if file is not None:
            file.parent.mkdir(parents=True, exist_ok=True)
            empty = {"version": 3, "checkpoint": {"stack": f"organization/{PROJECT}/{stack}"}}
            file.write_text(json.dumps(empty))
            return
        provider = self._workspace.secrets_provider()
        self._cli("stack", "init", stack, *([f"--secrets-provider={provider}"] if provider else []))

    def _import(self, stack: str, deployment: Deployment) -> None:
        document = json.dumps({"version": 3, "deployment": deployment})
        self._cli("stack", "import", f"--stack={stack}", input=document)

    def _forget(self, stack: str, gone: Callable[[dict[str, Any]], bool]) -> None:
        mark = self._mark(stack)
        with held(self._workspace, stack, mark):
            deployment = self._deployment(stack)
            if deployment is not None and deployment.get("resources"):
                self._import(stack, without(deployment, gone))
            mark.unlink(missing_ok=True)
            self._applied.pop(stack, None)

    def _cli(self, *arguments: str, input: str | None = None, missing: str = "") -> Any:
        """A CLI call that is no engine run. Returns None where it fails with the words `missing`."""
        command = engine_run.command_line(self._engine(None, 1), *arguments, "--non-interactive", "--color=never")
        done = subprocess.run(
            command, env=self._workspace.environment(), input=input, capture_output=True, text=True, check=False
        )
        if done.returncode == 0:
            return done
        if missing and missing in done.stderr:
            return None
        said = done.stderr.strip()
        raise EngineError(f"`pulumi {' '.join(arguments[:2])}` failed: {said.rpartition('error: ')[2]}", detail=said)

    def _urns(self, stack: str, resources: Sequence[tuple[str, str]]) -> list[str]:
        return [f"urn:pulumi:{stack}::{PROJECT}::{token}::{name}" for token, name in resources]

    def _urns_of(self, stack: str) -> dict[str, str]:
        """logical name -> URN of the objects in the stack's state."""
        resources = own_resources(self._deployment(stack) or {})
        return {name_of(resource["urn"]): resource["urn"] for resource in resources}

    # -- leaving ---------------------------------------------------------------------------------------------------

    def _delete_first(self, resources: Sequence[dict[str, Any]], kube: Kube) -> None:
        """LoadBalancer Services and Ingresses, with their finalizers: clouds take their parts away while the rest still runs.

        Done here since the official plugin, told not to wait, does not wait on deletions either.
        """
        leaving = [resource["inputs"] for resource in resources if _built_by_a_cloud(resource)]
        objects = KubernetesObject(kube)
        for manifest in leaving:
            objects.delete("", manifest, self._emit)

    def _kept(self, resources: Sequence[dict[str, Any]], kube: Kube) -> tuple[dict[str, Any], ...]:
        holds_data = bool(_data(resources, kube))
        return tuple(
            resource
            for resource in resources
            if resource["type"] == CREDENTIAL or (holds_data and type_of(resource["urn"]) == NAMESPACE)
        )

    def _names_kept(self, kept: Sequence[dict[str, Any]], kube: Kube) -> tuple[str, ...]:
        return (*(name_of(resource["urn"]) for resource in kept), *_data(kept, kube))

    def _delete_data(self, resources: Sequence[dict[str, Any]], kube: Kube) -> None:
        """What the stack would retain. Claims wait for the pods that mount them, so they are only asked to go here; the
        namespace, deleted last, waits for them."""
        for resource in resources:
            if resource.get("retainOnDelete"):
                manifest = resource["inputs"]
                metadata = manifest["metadata"]
                kube.delete(manifest["apiVersion"], manifest["kind"], metadata["name"], metadata.get("namespace"))

    def _recreate_stateful_sets(self, resources: Sequence[Resource], kube: Kube) -> None:
        """The official plugin would delete a StatefulSet with its pods to change an immutable field. Without the object in its
        way it creates, and the pods are adopted."""
        objects = KubernetesObject(kube)
        for resource in resources:
            if resource.type == "kubernetes:apps/v1:StatefulSet":
                diff = objects.diff("", {}, dict(resource.inputs), dict(resource.inputs))
                if diff.recreates:
                    objects.orphan(dict(resource.inputs))


def _app_resources(objects: Objects) -> tuple[Resource, ...]:
    from portable_stacks.app.resources import app_resources

    return app_resources(objects)


def _is_kubernetes(resource: Mapping[str, Any]) -> bool:
    return resource["type"].startswith("kubernetes:")


def _built_by_a_cloud(resource: Mapping[str, Any]) -> bool:
    if not _is_kubernetes(resource):
        return False
    inputs = resource["inputs"]
    if inputs["kind"] == "Service":
        return inputs.get("spec", {}).get("type") == "LoadBalancer"
    return inputs["kind"] == "Ingress"


def _data(resources: Sequence[Mapping[str, Any]], kube: Kube) -> list[str]:
    """The claims in the app's namespaces, whether the stack or a StatefulSet made them."""
    namespaces = [
        resource["inputs"]["metadata"]["name"] for resource in resources if type_of(resource["urn"]) == NAMESPACE
    ]
    return [logical_name(claim) for name in namespaces for claim in kube.list("v1", "PersistentVolumeClaim", name)]


def _creations(resources: Sequence[Resource]) -> tuple[Change, ...]:
    return tuple(
        Change("app", "create", resource.type, resource.name) for resource in resources if _shown(resource.type)
    )


def _changes(
    stack: Literal["cluster", "app"], outcome: engine_run.Outcome, urns: Mapping[str, str], order: Sequence[str]
) -> tuple[Change, ...]:
    """In the program's `order`; what is deleted comes last, by name."""
    place = {name: position for position, name in enumerate(order)}
    changes: list[Change] = []
    for operation, token, name in sorted(outcome.steps, key=lambda step: (place.get(step[2], len(place)), step[2])):
        if not _shown(token):
            continue
        diff = outcome.diffs.get(urns.get(name, ""))
        recreated = diff is not None and diff.recreates
        fields = diff.fields if diff is not None and operation != "same" else ()
        changes.append(Change(stack, "replace" if recreated else operation, token, name, fields))
    return tuple(changes)


def _shown(token: str) -> bool:
    """Gates are our own order of things, no object that a person would look for."""
    return token != READY


def _literal(inputs: Mapping[str, Any]) -> tuple[FieldChange, ...]:
    return tuple(FieldChange(key, None, value) for key, value in inputs.items() if isinstance(value, str | int | float))


def _digest(resources: Sequence[Resource]) -> str:
    text = json.dumps([(entry.type, entry.name, entry.inputs, repr(entry.depends_on)) for entry in resources])
    return hashlib.sha256(text.encode()).hexdigest()
