"""What is known of an external tool: how to recognise one that fits, where its releases are, how it is built."""

from __future__ import annotations

import platform
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib.resources.abc import Traversable


@dataclass(frozen=True)
class Download:
    """An official release: `url` of the file, `checksums` of the release's own list of SHA-256 sums ("SUM  FILE" lines).

    `member` is the tool's path in a tar archive; empty where the file is the tool itself.
    """

    url: str
    checksums: str
    member: str = ""


@dataclass(frozen=True)
class GoBuild:
    """A build of pinned Go modules. `module` is a folder with go.mod, go.sum and perhaps sources: what the build depends on.

    `packages` maps the name of each program to its package ("." is the module itself).
    """

    name: str
    module: Traversable
    packages: Mapping[str, str]
    ldflags: str = "-s -w"
    tags: str = ""
    usual: float = 60.0


@dataclass(frozen=True)
class Tool:
    """An external program that portable runs.

    `version` is the one that `obtain` gets. `find` takes what is on PATH from `oldest` on, within the same major version;
    `version_pattern` finds the version in what `version_arguments` print.
    """

    name: str
    version: str
    purpose: str
    oldest: str = ""
    version_arguments: tuple[str, ...] = ("version",)
    version_pattern: str = r"v?(\d+\.\d+\.\d+)"
    download: Callable[[str, str], Download | None] = field(default=lambda _system, _machine: None)
    build: GoBuild | None = None


def host() -> tuple[str, str]:
    """(system, machine) in Go's words: ("linux", "amd64")."""
    machine = platform.machine().lower()
    return platform.system().lower(), {"x86_64": "amd64", "aarch64": "arm64"}.get(machine, machine)
