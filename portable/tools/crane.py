"""The `crane` command of go-containerregistry: copies and pushes images without a daemon (docs/decisions/0012-crane.md)."""

from __future__ import annotations

from importlib.resources import files

from portable.tools.tool import Download, GoBuild, Tool

VERSION = "0.22.1"
_RELEASES = f"https://github.com/google/go-containerregistry/releases/download/v{VERSION}"


def _release(system: str, machine: str) -> Download | None:
    architecture = {"amd64": "x86_64", "arm64": "arm64"}.get(machine)
    if system not in ("linux", "darwin") or architecture is None:
        return None
    return Download(
        url=f"{_RELEASES}/go-containerregistry_{system.capitalize()}_{architecture}.tar.gz",
        checksums=f"{_RELEASES}/checksums.txt",
        member="crane",
    )


CRANE = Tool(
    name="crane",
    version=VERSION,
    purpose="pushes images to registries and copies them between registries",
    oldest="0.20.0",
    download=_release,
    build=GoBuild(
        name="crane",
        module=files("portable.tools") / "crane_module",
        packages={"crane": "github.com/google/go-containerregistry/cmd/crane"},
        ldflags=f"-s -w -X github.com/google/go-containerregistry/cmd/crane/cmd.Version={VERSION}",
        usual=30,
    ),
)
