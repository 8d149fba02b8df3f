"""Files of an app's volume, many and large ones: made, written to and listed inside the pod that has them, as the app's own user.

The shop takes one request for each file, of 10 MiB at most, and its image has no shell. So an ephemeral container stands beside the
app in its pod, with its user and its volumes, until the pod ends.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from portable.compile.images import OFFICIAL
from portable.exec import Container, execute, process
from portable.kube import Kube
from tests.e2e.conftest import wait

_NAME = "files"
_IMAGE = OFFICIAL["postgres"]  # has what the scripts need, and is on every node
# The first process of a container takes no signal without a trap, and the pod would use all of its grace to end. The image asks for INT.
_STAY = "trap exit INT TERM; sleep infinity & wait"
# Nothing repeats: compression must not gain by it.
_FILL = """
head -c $(($1 * $2)) /dev/urandom | split -b "$2" -d -a 6 - small-
head -c "$3" /dev/urandom > large
"""
# `read` ends with 1 at the end of its input, and with more than 128 when its time is over.
_WRITE = """
blocks=$(($(stat -c %s large) / 4096)) writes=0
while read -rt 0.01; (($? > 128)); do
  printf 'written meanwhile, %s' $writes | dd of=large bs=4096 seek=$((SRANDOM % blocks)) conv=notrunc status=none
  writes=$((writes + 1))
done
echo $writes
"""
_LIST = """
find . -mindepth 1 -printf '%P %y %m %U:%G %s %T@ %l\\n'
find . -type f -print0 | xargs -0 sha256sum
"""
_SECONDS = 300.0


@dataclass(frozen=True)
class Files:
    """The volume's top folder, as a shell beside the app sees it."""

    kube: Kube
    at: Container
    folder: str

    def fill(self, small: int, each: int, large: int) -> None:
        """So many small files of so many bytes `each`, and the file `large`."""
        self._run(_FILL, small, each, large)

    def listing(self) -> frozenset[str]:
        """Two lines for each file: its type, mode, owner, size, time and where it leads; and its SHA-256."""
        return frozenset(self._run(_LIST).splitlines())

    @contextmanager
    def written_to(self) -> Iterator[list[int]]:
        """Somebody writes into the file `large` until the block ends; how often is in the list afterwards."""
        written: list[int] = []
        with process(self.kube, self.at, self._command(_WRITE), stdin=True) as running:
            try:
                yield written
            finally:
                running.end_input()
            said = b"".join(data for _, data in running.read(_SECONDS)).decode()
            assert running.code == 0, said
            written.append(int(said))

    def _command(self, script: str, *arguments: int) -> list[str]:
        begin = f"set -euo pipefail; cd {self.folder}\n"
        return ["bash", "-c", begin + script, "bash", *map(str, arguments)]

    def _run(self, script: str, *arguments: int) -> str:
        done = execute(self.kube, self.at, self._command(script, *arguments), seconds=_SECONDS)
        assert done.code == 0, done.errors
        return done.output


def files_of(kube: Kube, namespace: str, pod: str) -> Files:
    """Of the first volume of the pod's first container, by an ephemeral container that is made where there is none yet."""
    live = kube.get("v1", "Pod", pod, namespace)
    assert live is not None, f"{pod} is not in {namespace}"
    app = live["spec"]["containers"][0]
    if not live["spec"].get("ephemeralContainers"):
        user = live["status"]["containerStatuses"][0]["user"]["linux"]
        made = {
            "name": _NAME,
            "image": _IMAGE,
            "command": ["bash", "-c", _STAY],
            "securityContext": {**app["securityContext"], "runAsUser": user["uid"], "runAsGroup": user["gid"]},
            "volumeMounts": app["volumeMounts"],
        }
        spec = {"spec": {"ephemeralContainers": [made]}}
        kube.merge_patch("v1", "Pod", pod, spec, namespace, subresource="ephemeralcontainers")
    wait(lambda: _runs(kube, namespace, pod), f"a shell runs in {pod}", seconds=90)
    return Files(kube, Container(namespace, pod, _NAME), app["volumeMounts"][0]["mountPath"])


def _runs(kube: Kube, namespace: str, pod: str) -> bool:
    live = kube.get("v1", "Pod", pod, namespace) or {}
    return any("running" in each["state"] for each in live["status"].get("ephemeralContainerStatuses", ()))
