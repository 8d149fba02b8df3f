"""One run of Pulumi's engine: the CLI as a child, the program and the providers served to it from this process.

What `pulumi.automation` does for an inline program, with one CLI call for one operation: its `Stack.up` calls the CLI three
times more (stack select, output, history), at 0.2-0.6 s each.
"""

from __future__ import annotations

import json
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Literal, TypeAlias

from portable.engine import messages
from portable.engine.state import name_of, type_of
from portable.engine.types import FieldDiff, Served
from portable.engine.workspace import Workspace
from portable.errors import Interrupted, ToolError
from portable.events import Emit, Operation, ResourceEvent, Status

if TYPE_CHECKING:
    from portable.engine.host import Host

Command: TypeAlias = Literal["up", "preview", "destroy", "refresh"]
Program: TypeAlias = Callable[[], None]

STOP_SECONDS = 30.0
_FLAGS = ("--non-interactive", "--color=never", "--exec-kind=auto.inline")
_QUIET = {
    "up": ("--yes", "--skip-preview"),
    "preview": (),
    "destroy": ("--yes", "--skip-preview"),
    "refresh": ("--yes",),
}

# Pulumi's step names -> ours; a replacement is one operation for a person.
_OPERATIONS: dict[str, Operation] = {
    "create": "create",
    "update": "update",
    "delete": "delete",
    "same": "same",
    "read": "read",
    "replace": "replace",
    "create-replacement": "replace",
    "import": "create",
}


@dataclass(frozen=True)
class Engine:
    """Everything that does not change from run to run. `environment` is added to the workspace's."""

    cli: Path
    workspace: Workspace
    environment: Mapping[str, str]
    parallel: int


@dataclass(frozen=True)
class Outcome:
    """(operation, type, name) of each resource in the order of the engine, and the fields that the host saw differ."""

    steps: tuple[tuple[Operation, str, str], ...]
    diffs: Mapping[str, FieldDiff]


def run(
    engine: Engine,
    command: Command,
    stack: str,
    kind: Literal["cluster", "app"],
    *,
    program: Callable[[], Program],
    types: Mapping[str, Served],
    served: Sequence[str],
    arguments: Sequence[str] = (),
    spawned: Callable[[int], None],
    emit: Emit,
) -> Outcome:
    """Runs the engine and waits. `program` makes the program (called late, while the CLI starts: importing Pulumi takes its
    time); `types` are served for the packages `served`; `spawned` is told the CLI's process id.

    Raises what a type of ours raised, EngineError, StateLocked or Interrupted.
    """
    steps = Steps(kind, emit)
    with _serving(types, emit, steps, engine.parallel, kind) as (port, start), tempfile.TemporaryFile() as output:
        process = _spawn(engine, command, stack, port, served, arguments, output)
        host = None
        try:
            spawned(process.pid)
            host = start(program())
            code = process.wait()
        except BaseException as error:
            _stop(process, host)
            if isinstance(error, KeyboardInterrupt):
                raise Interrupted(
                    "interrupted",
                    detail=f"{stack}: what was begun is in the state",
                    fix="run the same command to carry on",
                ) from None
            raise
        steps.close()
        if code != 0:
            output.seek(0)
            backup = f"{engine.workspace.state_file(stack)}.bak" if engine.workspace.local else "in the backend"
            said = output.read().decode(errors="replace")
            raise messages.failure(host.failures, steps.diagnostics, said, backup=backup)
    return Outcome(tuple(steps.done), host.diffs)


def command_line(engine: Engine, *arguments: str) -> list[str]:
    return [str(engine.cli), *arguments, f"--cwd={engine.workspace.folder}"]


def _spawn(
    engine: Engine,
    command: Command,
    stack: str,
    port: int,
    served: Sequence[str],
    arguments: Sequence[str],
    output: IO[bytes],
) -> subprocess.Popen[bytes]:
    attached = ",".join(f"{package}:{port}" for package in served)
    flags = (*_QUIET[command], *_FLAGS, f"--stack={stack}", f"--parallel={engine.parallel}", *arguments)
    # an event log is asked for by this endpoint, the program by the other; both are this process
    endpoints = (f"--event-log=tcp://127.0.0.1:{port}", f"--client=127.0.0.1:{port}")
    environment = {**engine.workspace.environment(), **engine.environment, "PULUMI_DEBUG_PROVIDERS": attached}
    command_words = command_line(engine, command, *flags, *endpoints, "--suppress-outputs", "--suppress-progress")
    try:
        return subprocess.Popen(
            command_words,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,  # a terminal's Ctrl-C reaches the engine once, from us
        )
    except OSError as error:
        raise ToolError(f"the Pulumi CLI cannot be run: {error}", fix="mend it with `portable doctor --fix`") from error


@contextmanager
def _serving(
    types: Mapping[str, Served], emit: Emit, steps: Steps, parallel: int, kind: Literal["cluster", "app"]
) -> Iterator[tuple[int, Callable[[Program], Host]]]:
    """A loopback port, and what starts to answer on it. The port is open from the beginning, so the CLI may start first."""
    import grpc

    workers = ThreadPoolExecutor(parallel + 8, thread_name_prefix="engine")
    limits = [("grpc.max_receive_message_length", 400 << 20), ("grpc.max_send_message_length", 400 << 20)]
    server = grpc.server(workers, options=limits)
    port = server.add_insecure_port("127.0.0.1:0")

    def start(program: Program) -> Host:
        from pulumi.automation._server import LanguageServer
        from pulumi.runtime.proto import events_pb2_grpc, language_pb2_grpc, provider_pb2_grpc

        from portable.engine.host import Host

        host = Host(types, emit, kind)
        language_pb2_grpc.add_LanguageRuntimeServicer_to_server(LanguageServer(program), server)
        events = events_pb2_grpc.EventsServicer()
        events.StreamEvents = steps.stream  # so that importing this module imports no gRPC
        events_pb2_grpc.add_EventsServicer_to_server(events, server)
        provider_pb2_grpc.add_ResourceProviderServicer_to_server(host, server)
        server.start()
        return host

    try:
        yield port, start
    finally:
        server.stop(0)
        workers.shutdown(wait=False)


def _stop(process: subprocess.Popen[bytes], host: Host | None) -> None:
    """Asks the engine to stop after what it is doing, and ends it if it does not or if Ctrl-C comes again."""
    if host is not None:
        host.cancel()
    try:
        if process.poll() is None:
            process.send_signal(signal.SIGINT)
            process.wait(STOP_SECONDS)
    except (KeyboardInterrupt, subprocess.TimeoutExpired):
        process.kill()
        process.wait()


class Steps:
    """Receives the engine's events (pulumi/proto/pulumi/events.proto, JSON of apitype/events.go) and emits ours."""

    def __init__(self, stack: Literal["cluster", "app"], emit: Emit) -> None:
        self._stack: Literal["cluster", "app"] = stack
        self._emit = emit
        self._streaming, self._ended = threading.Event(), threading.Event()
        self.done: list[tuple[Operation, str, str]] = []
        self.diagnostics: list[tuple[str, str]] = []
        self._began: dict[str, float] = {}

    def close(self) -> None:
        """Waits for the events that are still under way (none, where the CLI failed before it sent any)."""
        if self._streaming.is_set():
            self._ended.wait(STOP_SECONDS)

    def stream(self, request_iterator: Iterator[Any], context: Any) -> Any:
        from google.protobuf import empty_pb2

        self._streaming.set()
        try:
            for request in request_iterator:
                self._event(json.loads(request.event))
        finally:
            self._ended.set()
        return empty_pb2.Empty()

    def _event(self, event: Mapping[str, Any]) -> None:
        if "diagnosticEvent" in event:
            diagnostic = event["diagnosticEvent"]
            if diagnostic.get("severity") == "error":
                self.diagnostics.append((diagnostic.get("urn", ""), diagnostic["message"]))
        elif "resourcePreEvent" in event:
            self._step(event["resourcePreEvent"], "started")
        elif "resOutputsEvent" in event:
            self._step(event["resOutputsEvent"], "done")
        elif "resOpFailedEvent" in event:
            self._step(event["resOpFailedEvent"], "failed")

    def _step(self, event: Mapping[str, Any], status: Status) -> None:
        metadata = event["metadata"]
        urn, operation = metadata["urn"], _OPERATIONS.get(metadata["op"])
        if operation is None or type_of(urn).startswith("pulumi:"):
            return
        finished = status == "done" or (status == "started" and event.get("planning"))
        if finished and (operation, type_of(urn), name_of(urn)) not in self.done:
            self.done.append((operation, type_of(urn), name_of(urn)))
        quiet = event.get("planning") or (operation == "same" and status == "started")
        now = time.monotonic()
        began = self._began.setdefault(urn, now)
        if not quiet and not type_of(urn).startswith("portable:index:"):
            seconds = None if status == "started" else now - began
            self._emit(ResourceEvent(self._stack, operation, type_of(urn), name_of(urn), status, seconds=seconds))
