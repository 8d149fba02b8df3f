"""The `kind` command: where its releases are and how it is built."""

from __future__ import annotations

from importlib.resources import files

from portable.tools import Download, GoBuild, Tool

VERSION = "0.33.0"


def _release(system: str, machine: str) -> Download | None:
    if system not in ("linux", "darwin") or machine not in ("amd64", "arm64"):
        return None
    file = f"https://github.com/kubernetes-sigs/kind/releases/download/v{VERSION}/kind-{system}-{machine}"
    return Download(url=file, checksums=f"{file}.sha256sum")


KIND = Tool(
    name="kind",
    version=VERSION,
    purpose="makes local Kubernetes clusters out of containers",
    # The node image needs a kind that speaks to containerd 2 and Kubernetes 1.36.
    oldest="0.31.0",
    version_pattern=r"kind v(\d+\.\d+\.\d+)",
    download=_release,
    build=GoBuild(
        name="kind",
        module=files("portable_kind") / "node" / "kind",
        packages={"kind": "sigs.k8s.io/kind"},
        usual=60,
    ),
)
