"""The provider host: serves resource types to Pulumi's engine over its provider protocol, from inside this process.

Protocol: pulumi/proto/pulumi/provider.proto. The engine attaches by the port that `PULUMI_DEBUG_PROVIDERS` names, so there is no
plugin binary and no start-up cost. One servicer answers for every package, since requests carry their resource's type.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, NoReturn, TypeVar

import grpc
from google.protobuf import empty_pb2, json_format, struct_pb2
from pulumi.runtime.proto import plugin_pb2
from pulumi.runtime.proto import provider_pb2 as wire
from pulumi.runtime.proto.provider_pb2_grpc import ResourceProviderServicer

from portable.engine import rpc_status
from portable.engine.changes import field_changes
from portable.engine.clouds import Unfinished
from portable.engine.state import name_of, type_of
from portable.engine.types import UNKNOWN, FieldDiff, Served, secret_outputs
from portable.errors import PortableError, SpecError
from portable.events import Emit, Event, Operation, ResourceEvent, Step
from portable.provider import Diff, Inputs, Outputs

# https://github.com/pulumi/pulumi/blob/master/sdk/go/common/resource/sig/sig.go
_SIGNATURE = "4dabf18193072939515e22adb298388d"
_SECRET_SIGNATURE = "1b47061264138c4ac30d75fd1eb44270"

Answer = TypeVar("Answer")

# gRPC logs every refused call with a traceback; the refusals are ours, and are raised where the run is waited for
logging.getLogger("grpc").addHandler(logging.NullHandler())


class Host(ResourceProviderServicer):
    """Serves `types` (by token; a token ending in ":*" stands for a whole package).

    `failures` and `diffs` keep, by URN, what Pulumi's own messages would lose: the errors as they were raised and the fields
    that differ. `stack`: which of the two it serves; what a type tells of its progress is told as that of its object.
    """

    def __init__(self, types: Mapping[str, Served], emit: Emit, stack: Literal["cluster", "app"] = "app") -> None:
        self._types = types
        self._emit = emit
        self._stack: Literal["cluster", "app"] = stack
        self._cancelled = threading.Event()
        self.failures: dict[str, Exception] = {}
        self.diffs: dict[str, FieldDiff] = {}

    def cancel(self) -> None:
        """Lets go of every call that may take long; what it was doing is marked as unfinished."""
        self._cancelled.set()

    # -- the package -----------------------------------------------------------------------------------------------

    def Handshake(self, request: Any, context: Any) -> Any:
        return wire.ProviderHandshakeResponse(accept_secrets=True)

    def Attach(self, request: Any, context: Any) -> Any:
        return empty_pb2.Empty()

    def GetPluginInfo(self, request: Any, context: Any) -> Any:
        return plugin_pb2.PluginInfo(version="0.0.0")

    def CheckConfig(self, request: Any, context: Any) -> Any:
        return wire.CheckResponse(inputs=request.news)

    def DiffConfig(self, request: Any, context: Any) -> Any:
        same = plain(request.news) == plain(request.old_inputs)
        return wire.DiffResponse(changes=wire.DiffResponse.DIFF_NONE if same else wire.DiffResponse.DIFF_SOME)

    def Configure(self, request: Any, context: Any) -> Any:
        return wire.ConfigureResponse(acceptSecrets=True, supportsPreview=True)

    def Cancel(self, request: Any, context: Any) -> Any:
        self.cancel()
        return empty_pb2.Empty()

    # -- one resource ----------------------------------------------------------------------------------------------

    def Check(self, request: Any, context: Any) -> Any:
        def check(served: Served) -> Any:
            problems = served.check(plain(request.news))
            if problems:
                self.failures[request.urn] = SpecError(problems)
            failures = [wire.CheckFailure(property=problem.path, reason=problem.message) for problem in problems]
            return wire.CheckResponse(inputs=request.news, failures=failures)

        return self._answer(request, context, check)

    def Diff(self, request: Any, context: Any) -> Any:
        def diff(served: Served) -> Any:
            old, new = plain(request.old_inputs), plain(request.news)
            found = served.diff(request.id, plain(request.olds), old, new)
            self.diffs[request.urn] = _with_fields(found, plain(request.olds), old, new, secret_outputs(served, new))
            changed = wire.DiffResponse.DIFF_SOME if found.changes or found.replaces else wire.DiffResponse.DIFF_NONE
            return wire.DiffResponse(
                changes=changed,
                diffs=found.changes,
                replaces=found.replaces,
                deleteBeforeReplace=found.delete_before_replace,
            )

        return self._answer(request, context, diff)

    def Create(self, request: Any, context: Any) -> Any:
        def create(served: Served) -> Any:
            inputs = plain(request.properties)
            if request.preview:
                getattr(served, "preview", lambda _: None)(inputs)
                unknown = dict.fromkeys(secret_outputs(served, inputs), UNKNOWN)
                return wire.CreateResponse(id="", properties=_struct({**unknown, **inputs}, secrets=tuple(unknown)))
            object_id, outputs = served.create(inputs, self._emit_of(request.urn, "create"))
            return wire.CreateResponse(id=object_id, properties=_struct(outputs, secret_outputs(served, inputs)))

        return self._answer(request, context, create)

    def Update(self, request: Any, context: Any) -> Any:
        def update(served: Served) -> Any:
            old, new = plain(request.old_inputs), plain(request.news)
            outputs, secrets = plain(request.olds), secret_outputs(served, new)
            if request.preview:
                outputs |= dict.fromkeys(secrets, UNKNOWN)
            else:
                outputs = served.update(request.id, outputs, old, new, self._emit_of(request.urn, "update"))
            return wire.UpdateResponse(properties=_struct(outputs, secrets))

        return self._answer(request, context, update)

    def Read(self, request: Any, context: Any) -> Any:
        def read(served: Served) -> Any:
            inputs = plain(request.inputs)
            outputs = served.read(request.id, inputs, plain(request.properties))
            if outputs is None:
                return wire.ReadResponse()
            properties = _struct(outputs, secret_outputs(served, inputs))
            return wire.ReadResponse(id=request.id, properties=properties, inputs=request.inputs)

        return self._answer(request, context, read)

    def Delete(self, request: Any, context: Any) -> Any:
        def delete(served: Served) -> Any:
            served.delete(request.id, plain(request.properties), self._emit_of(request.urn, "delete"))
            return empty_pb2.Empty()

        return self._answer(request, context, delete)

    # -- plumbing --------------------------------------------------------------------------------------------------

    def _answer(self, request: Any, context: Any, call: Callable[[Served], Answer]) -> Answer:
        try:
            served = self._served(request.urn.split("::")[2].rpartition("$")[2])
            if getattr(served, "interruptible", False):
                return self._unless_cancelled(lambda: call(served))
            return call(served)
        except Exception as error:
            cause = (
                error.__cause__ if isinstance(error, Unfinished) and isinstance(error.__cause__, Exception) else error
            )
            self.failures[request.urn] = cause
            if isinstance(error, Unfinished):
                _abort_unfinished(context, error, cause)
            context.abort(grpc.StatusCode.UNKNOWN, _words(cause))
            raise AssertionError("abort raises") from error

    def _emit_of(self, urn: str, operation: Operation) -> Emit:
        """What a type tells of its progress, as that of its object; a step that it began itself stays one."""
        began: set[str] = set()

        def emit(event: Event) -> None:
            if isinstance(event, Step) and event.status == "started":
                began.add(event.name)
            if isinstance(event, Step) and event.status == "progress" and event.name not in began:
                event = ResourceEvent(self._stack, operation, type_of(urn), name_of(urn), "progress", event.detail)
            self._emit(event)

        return emit

    def _served(self, token: str) -> Served:
        served = self._types.get(token) or self._types.get(token.partition(":")[0] + ":*")
        if served is None:
            raise PortableError(f"the engine knows no resource type {token!r}")
        return served

    def _unless_cancelled(self, call: Callable[[], Answer]) -> Answer:
        """The call's answer, or an error as soon as the run is cancelled (the call itself is left to end with the process)."""
        answer: list[Answer] = []
        errors: list[Exception] = []
        done = threading.Event()

        def work() -> None:
            try:
                answer.append(call())
            except Exception as error:  # noqa: BLE001 (raised again in the calling thread)
                errors.append(error)
            finally:
                done.set()

        threading.Thread(target=work, daemon=True).start()
        while not done.wait(0.1):
            if self._cancelled.is_set():
                raise PortableError("interrupted")
        if errors:
            raise errors[0]
        return answer[0]


def _with_fields(diff: Diff, live: Outputs, old: Inputs, new: Inputs, hidden: Sequence[str]) -> FieldDiff:
    """The diff of a type that names only properties, with the fields of its inputs that differ; where the inputs are the same,
    with those of the live object that do (someone changed it behind our back)."""
    if isinstance(diff, FieldDiff):
        return diff
    asked = _readable(new)
    fields = field_changes(old, asked, secret_keys=hidden)
    told = {_top(field.path) for field in fields}
    drifted = [
        key for key in dict.fromkeys(map(_top, diff.changes)) if key not in told and key in live and key in asked
    ]
    fields += field_changes(
        {key: live[key] for key in drifted}, {key: asked[key] for key in drifted}, secret_keys=hidden
    )
    return FieldDiff(diff.changes, diff.replaces, diff.delete_before_replace, fields)


def _top(path: str) -> str:
    """The property that a path begins with: "pools" of "pools.default.max" and of "pools[0]"."""
    return path.partition(".")[0].partition("[")[0]


def _readable(value: Any) -> Any:
    """With words for what a preview cannot know: outputs of an object that is still to be made."""
    if isinstance(value, dict):
        return {key: _readable(entry) for key, entry in value.items()}
    if isinstance(value, list):
        return [_readable(entry) for entry in value]
    return "(known when it is made)" if value == UNKNOWN else value


def plain(struct: struct_pb2.Struct) -> dict[str, Any]:
    """A message's properties as JSON values; secrets are unwrapped."""
    return _unwrapped(json_format.MessageToDict(struct))


def _unwrapped(value: Any) -> Any:
    if isinstance(value, dict):
        if value.get(_SIGNATURE) == _SECRET_SIGNATURE:
            return _unwrapped(value["value"])
        return {key: _unwrapped(entry) for key, entry in value.items()}
    if isinstance(value, list):
        return [_unwrapped(entry) for entry in value]
    # protobuf has only doubles
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _struct(outputs: Outputs, secrets: tuple[str, ...] = ()) -> struct_pb2.Struct:
    wrapped = {
        key: {_SIGNATURE: _SECRET_SIGNATURE, "value": value} if key in secrets else value
        for key, value in outputs.items()
    }
    return json_format.ParseDict(wrapped, struct_pb2.Struct())


def _words(error: Exception) -> str:
    return error.message if isinstance(error, PortableError) else f"{type(error).__name__}: {error}"


def _abort_unfinished(context: Any, error: Unfinished, cause: Exception) -> NoReturn:
    """Tells the engine that something was begun, so that it is kept in the state (ErrorResourceInitFailed)."""
    failed = wire.ErrorResourceInitFailed(
        id=error.object_id, properties=_struct(error.outputs), inputs=_struct(error.outputs), reasons=[_words(cause)]
    )
    status = rpc_status.serialized(grpc.StatusCode.UNKNOWN.value[0], _words(cause), failed)
    context.set_trailing_metadata((("grpc-status-details-bin", status),))
    context.abort(grpc.StatusCode.UNKNOWN, _words(cause))
    raise AssertionError("abort raises")
