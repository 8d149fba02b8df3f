"""A pair of movers as two containers, with no cluster around them: what a network, a disk or a kill does to them is done here."""

from __future__ import annotations

import base64
import json
import os
import secrets
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from portable.migrate.transfer import keys
from portable_kind import docker
from portable_kind.profile import MOVER_IMAGE
from tests.soak import size

CLAIM = "files"
_PATIENCE = size(120, 600)  # seconds, for a whole copy


@dataclass
class Movers:
    """`source` and `target`: the folders of the volume. `containers`: by role."""

    source: Path
    target: Path
    containers: dict[str, str] = field(default_factory=dict)
    top: bool = True

    def ask(self, do: str, role: str = "source", **details: Any) -> dict[str, Any]:
        """The last answer: {"result": ...} or {"error": ...}; {} where the mover went away."""
        with self.asking(do, role, **details) as process:
            out, errors = process.communicate(timeout=_PATIENCE)
        lines = out.splitlines()
        assert "no such" not in errors, errors
        return json.loads(lines[-1]) if lines and "progress" not in json.loads(lines[-1]) else {}

    def asking(self, do: str, role: str = "source", **details: Any) -> subprocess.Popen[str]:
        asked = json.dumps({"do": do, "claim": CLAIM, "streams": 4, "top": self.top, **details})
        command = [docker.client(), "exec", self.containers[role], "/usr/local/bin/mover", "ask", asked]
        return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def result(self, do: str, role: str = "source", **details: Any) -> dict[str, Any]:
        answer = self.ask(do, role, **details)
        assert "result" in answer, f"{answer}\n{self.logs()}"
        return answer["result"]

    def run_until_bytes(self, wanted: int) -> subprocess.Popen[str]:
        """A copy, once it has sent so many bytes."""
        process = self.asking("copy")
        assert process.stdout is not None
        for line in process.stdout:
            answer = json.loads(line)
            assert "progress" in answer, f"it was through before it could be disturbed: {answer}"
            if answer["progress"]["bytes_done"] >= wanted:
                return process
        raise AssertionError(self.logs())

    def logs(self, *roles: str) -> str:
        """What they have said on both streams; without roles: both of them."""
        said: list[str] = []
        for role in roles or tuple(self.containers):
            command = [docker.client(), "logs", self.containers[role]]
            done = subprocess.run(command, capture_output=True, text=True, check=True)
            said.append(done.stdout + done.stderr)
        return "\n".join(said)


@contextmanager
def movers(
    folder: Path, *, user: int = 0, target_size: str = "", foreign: bool = False, limits: Sequence[str] = ()
) -> Iterator[Movers]:
    """`target_size`: the target's volume is a disk of that size ("20m"). `foreign`: the ends have keys of different migrations.
    `limits`: of the target ("--memory=96m")."""
    made = Movers(folder / "source", folder / "target", top=user == 0)
    pairs = {"source": keys.make("m1"), "target": keys.make("m1")}
    if not foreign:
        pairs["target"] = pairs["source"]
    network = docker.run("network", "create", f"movers-{secrets.token_hex(4)}").strip()
    try:
        for role in ("target", "source"):
            volume, secret = folder / role, folder / f"{role}-keys"
            volume.mkdir()
            secret.mkdir()
            os.chmod(volume, 0o777)
            data = pairs[role].source if role == "source" else pairs[role].target
            for name, content in data.items():
                (secret / name).write_bytes(base64.b64decode(content))
            disk = [f"--volume={volume}:/volumes/{CLAIM}" + (":ro" if role == "source" else "")]
            if role == "target" and target_size:
                disk = [f"--tmpfs=/volumes/{CLAIM}:size={target_size},mode=0777"]
            disk += limits if role == "target" else ()
            dial = ["-dial=target:7873"] if role == "source" else []
            made.containers[role] = docker.run(
                *("run", "--detach", f"--network={network}", f"--network-alias={role}", f"--user={user}:{user}"),
                *("--group-add=1000", "--tmpfs=/run/mover:mode=0777", f"--volume={secret}:/etc/mover/keys:ro", *disk),
                *(MOVER_IMAGE, f"-role={role}", *dial),
            ).strip()
        yield made
    finally:
        for container in made.containers.values():
            docker.run("rm", "--force", container)
        docker.run("network", "rm", network)
