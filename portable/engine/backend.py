"""The stacks of a backend as documents: read, made, replaced. Local files are read as they are; anything else through the CLI."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path

from portable.engine.state import Deployment
from portable.engine.workspace import PROJECT, Workspace
from portable.errors import EngineError

# Pulumi's own record of runs: what was done, and the state that it left.
KEPT_RUNS, FILES_OF_A_RUN = 10, 2


class Backend:
    """`cli` gives the Pulumi CLI; it is asked for only when one is needed (reading local state needs none)."""

    def __init__(self, workspace: Workspace, cli: Callable[[], Path]) -> None:
        self.workspace = workspace
        self._cli = cli

    def read(self, stack: str) -> Deployment | None:
        """The stack's document; None where there is no such stack. Raises EngineError naming the backup to restore."""
        file = self.workspace.state_file(stack)
        try:
            if file is not None:
                return json.loads(file.read_text())["checkpoint"].get("latest") or {}
            exported = self._call("stack", "export", f"--stack={stack}", missing=f"no stack named '{stack}' found")
            return None if exported is None else json.loads(exported)["deployment"]
        except FileNotFoundError:
            return None
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            backup = f"the copy that Pulumi keeps: {file}.bak" if file else "it from the backend's history"
            raise EngineError(
                f"the state of {stack} cannot be read: {file or self.workspace.backend}",
                detail=f"{type(error).__name__}: {error}",
                fix=f"restore {backup}",
            ) from error

    def create(self, stack: str) -> None:
        """Makes the stack. A local one is the file that `pulumi stack init` would write, without its half second."""
        file = self.workspace.state_file(stack)
        if file is not None:
            file.parent.mkdir(parents=True, exist_ok=True)
            fresh = file.with_name(f".{file.name}")
            fresh.write_text(json.dumps({"version": 3, "checkpoint": {"stack": f"organization/{PROJECT}/{stack}"}}))
            os.replace(fresh, file)
            return
        provider = self.workspace.secrets_provider()
        self._call("stack", "init", stack, *([f"--secrets-provider={provider}"] if provider else []))

    def write(self, stack: str, deployment: Deployment) -> None:
        """Replaces the stack's document; Pulumi checks it."""
        self._call("stack", "import", f"--stack={stack}", input=json.dumps({"version": 3, "deployment": deployment}))

    def trim(self, stack: str) -> None:
        """Pulumi writes what it did, and the state before it, for every run, and has no setting that ends it: of a local stack
        the newest runs stay."""
        folder = self.workspace.history_folder(stack)
        runs = sorted(folder.glob("*.json"), reverse=True) if folder is not None else []
        for path in runs[KEPT_RUNS * FILES_OF_A_RUN :]:
            path.unlink(missing_ok=True)

    def stacks(self) -> list[str]:
        """Names of all stacks, sorted."""
        file = self.workspace.state_file("any")
        if file is not None:
            return sorted(path.stem for path in file.parent.glob("[!.]*.json"))
        listed = json.loads(self._call("stack", "ls", "--output=json") or "[]")
        return sorted(entry["name"].rpartition("/")[2] for entry in listed)

    def mark(self, stack: str) -> Path:
        """The file that is there while an operation works on the stack; after a crash it stays."""
        return self.workspace.folder / f".{stack}.running"

    def _call(self, *arguments: str, input: str | None = None, missing: str = "") -> str | None:
        """What the CLI printed. None where it failed with the words `missing`."""
        command = [str(self._cli()), *arguments, f"--cwd={self.workspace.folder}", "--non-interactive", "--color=never"]
        environment = self.workspace.environment()
        done = subprocess.run(command, env=environment, input=input, capture_output=True, text=True, check=False)
        if done.returncode == 0:
            return done.stdout
        if missing and missing in done.stderr:
            return None
        said = done.stderr.strip()
        raise EngineError(f"`pulumi {' '.join(arguments[:2])}` failed: {said.rpartition('error: ')[2]}", detail=said)
