"""The stacks of a backend: what their states say, turns at them, and runs of the engine on them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from portable.engine import run as engine_run
from portable.engine.backend import Backend
from portable.engine.lock import held, write_mark
from portable.engine.state import (
    Deployment,
    Recorded,
    StackState,
    mended,
    name_of,
    own_resources,
    recorded,
    stack_state,
    without,
)
from portable.engine.types import Served
from portable.engine.workspace import PROJECT, KubernetesProvider, choose_plugin, open_workspace
from portable.errors import ToolError
from portable.events import Emit, Notice
from portable_stacks.app.resources import CREDENTIAL, READY

PARALLEL = 16
# As long as the slowest cloud takes to make or delete a cluster.
SHARED_PATIENCE = 3600.0


@dataclass(frozen=True)
class Settings:
    """`state`: a Pulumi backend URL, None for local files. `pulumi`: the CLI, None for the one that the tools find."""

    state: str | None = None
    kubernetes_provider: KubernetesProvider = "auto"
    pulumi: Path | None = None
    parallel: int = PARALLEL


class Stacks:
    """Each by its name (`Home.app_stack`, `Home.cluster_stack`). All raise EngineError."""

    def __init__(self, settings: Settings, emit: Emit) -> None:
        self.emit = emit
        self._settings = settings
        self._workspace = open_workspace(settings.state)
        self._backend = Backend(self._workspace, self._pulumi)

    # -- states ----------------------------------------------------------------------------------------------------

    def names(self) -> list[str]:
        """The names of all stacks of this backend, sorted. A stack may hold nothing but credentials: see `state`."""
        return self._backend.stacks()

    def of_clusters(self) -> list[str]:
        """The names of the stacks that hold a cluster, sorted."""

        def holds_cluster(resource: dict[str, Any]) -> bool:
            return resource["type"].startswith("portable:") and resource["type"] not in (READY, CREDENTIAL)

        return [stack for stack in self.names() if any(map(holds_cluster, self.resources(stack)))]

    def state(self, stack: str) -> StackState | None:
        """None where there is no such stack."""
        deployment = self.read(stack)
        return None if deployment is None else stack_state(stack, deployment, marked=self._backend.mark(stack).exists())

    def recorded(self, stack: str) -> tuple[Recorded, ...]:
        """The resources of a stack as its state has them; none where there is no such stack."""
        return recorded(self.read(stack) or {})

    def lost(self, stack: str) -> bool:
        """Whether the files of this user know nothing of a stack. A backend elsewhere is not asked: that takes seconds, and it
        is not lost with this machine."""
        file = self._workspace.state_file(stack)
        return file is not None and not file.exists()

    def read(self, stack: str) -> Deployment | None:
        """The stack's document; None where there is no such stack."""
        return self._backend.read(stack)

    def resources(self, stack: str) -> list[dict[str, Any]]:
        """Of the document, without what is Pulumi's own."""
        return own_resources(self.read(stack) or {})

    def urns(self, stack: str) -> dict[str, str]:
        """logical name -> URN of the objects in the stack's state."""
        return {name_of(resource["urn"]): resource["urn"] for resource in self.resources(stack)}

    # -- turns -----------------------------------------------------------------------------------------------------

    @contextmanager
    def turn(self, stack: str, *, patience: float = SHARED_PATIENCE) -> Iterator[None]:
        """Holds the stack, for which it waits up to `patience` seconds and says so. Raises StateLocked."""
        words = f"another portable process works on {stack}: waiting until it has ended"
        waiting = (lambda: self.emit(Notice(words))) if patience else None
        with held(self._workspace, stack, self._backend.mark(stack), patience=patience, waiting=waiting):
            yield

    @contextmanager
    def operation(self, stack: str, named: Sequence[str], *, shared: bool = False) -> Iterator[bool]:
        """Holds the stack, makes it if needed, mends what a broken-off operation left (True: there was something), and marks
        the stack as being worked on until the block ends without an error.

        `named`: the URNs of what is now asked for. `shared`: a cluster's, which several apps may want to bring up at once.
        They take turns.
        """
        mark = self._backend.mark(stack)
        with self.turn(stack, patience=SHARED_PATIENCE if shared else 0.0):
            deployment = self.read(stack)
            if deployment is None:
                self._backend.create(stack)
            mend = mended(deployment, named) if deployment is not None else None
            if mend is not None:
                self._backend.write(stack, mend)
            mark.touch()
            yield mend is not None
            mark.unlink(missing_ok=True)
            self._backend.trim(stack)

    def drop(self, stack: str, gone: Callable[[dict[str, Any]], bool]) -> None:
        """Takes resources out of the state of a stack that is held."""
        deployment = self.read(stack)
        if deployment is not None and deployment.get("resources"):
            self._backend.write(stack, without(deployment, gone))
        self._backend.mark(stack).unlink(missing_ok=True)

    # -- runs ------------------------------------------------------------------------------------------------------

    @property
    def plugin(self) -> Path | None:
        """Pulumi's official Kubernetes plugin, where it is to be used."""
        return choose_plugin(self._settings.kubernetes_provider)

    def run(
        self,
        command: engine_run.Command,
        stack: str,
        kind: Literal["cluster", "app"],
        *,
        program: Callable[[], engine_run.Program],
        types: Mapping[str, Served],
        served: Sequence[str],
        arguments: Sequence[str] = (),
        plugin: Path | None = None,
        waiting: int = 0,
    ) -> engine_run.Outcome:
        """As `engine.run.run`. `waiting`: so many resources may hold a slot while they do nothing."""
        environment = {}
        if plugin is not None:
            path = self._workspace.environment().get("PATH", "")
            environment["PATH"] = f"{plugin.parent}:{path}"
        engine = engine_run.Engine(self._pulumi(), self._workspace, environment, self._settings.parallel + waiting)
        mark = self._backend.mark(stack)
        return engine_run.run(
            engine, command, stack, kind,
            program=program, types=types, served=served, arguments=arguments, emit=self.emit,
            spawned=lambda pid: None if command == "preview" else write_mark(mark, pid),
        )  # fmt: skip

    def _pulumi(self) -> Path:
        if self._settings.pulumi is not None:
            return self._settings.pulumi
        from portable.tools import pulumi

        found = pulumi.find()
        if found is None:
            raise ToolError("the Pulumi CLI is missing", fix="get it with `portable doctor --fix`")
        return found


def urn(stack: str, type_name: str, name: str) -> str:
    return f"urn:pulumi:{stack}::{PROJECT}::{type_name}::{name}"
