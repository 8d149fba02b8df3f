"""The world that tests run in: `python -m tests.world [-- PYTEST ARGUMENTS | --run COMMAND ...]`.

A new machine has no Docker engine and none of the tools. This asks `portable doctor --fix` for them, as a user would, runs
the command, and stops afterwards what it started itself. Everything that takes long to make stays in the tool cache.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

from tests import soak

ROOT = Path(__file__).resolve().parent.parent
PORTABLE = Path(sys.executable).with_name("portable")

# Tests on a cluster wait more than they compute. Those of one file stay together and in order; the files are in that of
# tests/conftest.py.
OPTIONS = ("--durations=25", "--numprocesses=3", "--dist=loadfile", "--no-loadscope-reorder")


def _chosen(arguments: list[str]) -> list[str]:
    """Where no tests are named: all of them, or with PORTABLE_SOAK=1 the long matrices."""
    named = any((ROOT / argument.partition("::")[0]).exists() for argument in arguments)
    return arguments if named or not soak.SOAK else [*arguments, *soak.MATRICES, *soak.PROOFS]


def main(arguments: list[str]) -> int:
    from portable_kind import docker_engine

    if arguments[:1] == ["--run"]:
        command = arguments[1:]
    else:
        command = [sys.executable, "-m", "pytest", *OPTIONS, *_chosen([each for each in arguments if each != "--"])]
    was_running = docker_engine.find() is not None
    try:
        started = time.monotonic()
        fixed = subprocess.run([PORTABLE, "doctor", "--fix", "--cloud", "kind"], cwd=ROOT, check=False).returncode
        print(f"tools ready after {time.monotonic() - started:.0f} s", flush=True)
        if fixed != 0:
            return fixed
        return subprocess.run(command, cwd=ROOT, check=False, env=os.environ).returncode
    finally:
        if not was_running:
            docker_engine.stop()


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
