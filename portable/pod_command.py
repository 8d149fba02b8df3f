"""One command in a running container, with input and output: what `kubectl exec` does, for the flows.

WebSocket subprotocol v5.channel.k8s.io: the first byte of a message is its channel (0 standard input, 1 output, 2 errors, 3 the
outcome as a Status object), and 255 followed by a channel closes that channel. API servers know it since Kubernetes 1.30.
https://github.com/kubernetes/enhancements/tree/master/keps/sig-api-machinery/3396-websocket-protocol-enhancements
"""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from portable.errors import ClusterError
from portable.kube import Kube

if TYPE_CHECKING:
    from httpx2.websockets import WebSocketSession

_PROTOCOL = "v5.channel.k8s.io"
_INPUT, _OUTPUT, _ERRORS, _OUTCOME, _CLOSE = 0, 1, 2, 3, 255
_CHUNK = 16 * 1024


@dataclass(frozen=True)
class Executed:
    """`code` is the command's exit code."""

    code: int
    output: str
    errors: str


def execute(
    kube: Kube,
    namespace: str,
    pod: str,
    container: str,
    command: Sequence[str],
    *,
    given: str = "",
    timeout: float = 60.0,
) -> Executed:
    """Runs `command` with `given` as its standard input, which is in no process list and no log.

    Raises ClusterError where the container cannot run it, where the connection breaks, and after `timeout` seconds (the
    command itself may then go on in the container).
    """
    path = f"/api/v1/namespaces/{namespace}/pods/{pod}/exec"
    params = {"command": list(command), "container": container, "stdin": "true", "stdout": "true", "stderr": "true"}
    with kube.websocket(path, subprotocol=_PROTOCOL, params=params) as session:
        return _converse(session, given.encode(), time.monotonic() + timeout, f"{command[0]} in {pod}")


def _converse(session: WebSocketSession, given: bytes, deadline: float, what: str) -> Executed:
    from httpx2.websockets import WebSocketDisconnect, WebSocketNetworkError

    said: dict[int, bytearray] = {_OUTPUT: bytearray(), _ERRORS: bytearray()}
    try:
        for at in range(0, len(given), _CHUNK):
            session.send_bytes(bytes((_INPUT,)) + given[at : at + _CHUNK])
        session.send_bytes(bytes((_CLOSE, _INPUT)))
        while True:
            left = deadline - time.monotonic()
            if left <= 0:
                raise ClusterError(f"{what} has not ended in time", fix="see what the pod does with `portable logs`")
            try:
                message = session.receive_bytes(timeout=left)
            except TimeoutError:
                continue
            if message[0] == _OUTCOME:
                output, errors = (bytes(part).decode(errors="replace") for part in said.values())
                return Executed(_code(json.loads(message[1:]), what), output, errors)
            if message[0] in said:
                said[message[0]] += message[1:]
    except (WebSocketDisconnect, WebSocketNetworkError) as error:
        raise ClusterError(f"the connection to {what} broke: {type(error).__name__}", fix="try again") from error


def _code(outcome: dict[str, Any], what: str) -> int:
    if outcome.get("status") == "Success":
        return 0
    for cause in outcome.get("details", {}).get("causes", ()):
        if cause.get("reason") == "ExitCode":
            return int(cause["message"])
    raise ClusterError(f"{what} could not be run: {outcome.get('message', 'no reason given')}", fix="try again")
