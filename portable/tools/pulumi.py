"""The Pulumi CLI: where its releases are and how it is built. Inline programs need the CLI alone, no language plugin."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

from portable.tools.tool import Download, GoBuild, Tool

# The same as that of the Python package: the Automation API speaks to a CLI of its own version.
VERSION = "3.259.0"


def _release(system: str, machine: str) -> Download | None:
    architecture = {"amd64": "x64", "arm64": "arm64"}.get(machine)
    if system not in ("linux", "darwin") or architecture is None:
        return None
    return Download(
        url=f"https://get.pulumi.com/releases/sdk/pulumi-v{VERSION}-{system}-{architecture}.tar.gz",
        checksums=f"https://github.com/pulumi/pulumi/releases/download/v{VERSION}/pulumi-{VERSION}-checksums.txt",
        member="pulumi/pulumi",
    )


PULUMI = Tool(
    name="pulumi",
    version=VERSION,
    purpose="the engine that plans and applies changes",
    download=_release,
    build=GoBuild(
        name="pulumi",
        module=files("portable.tools") / "pulumi_module",
        packages={"pulumi": "github.com/pulumi/pulumi/pkg/v3/cmd/pulumi"},
        # Without its version the Automation API refuses inline programs.
        ldflags=f"-s -w -X github.com/pulumi/pulumi/sdk/v3/go/common/version.Version=v{VERSION}",
        usual=420,
    ),
)


def find() -> Path | None:
    """The Pulumi CLI on PATH or in the tool cache; None where there is none that fits."""
    from portable import tools

    return tools.find(PULUMI)
