"""The node image for kind, built from packages where no registry answers: Debian's and Go's, nothing else.

What `kindest/node` holds, made anew: kind's own node files (from the kind module), a Debian root file system, containerd,
and one binary with all of Kubernetes, etcd, CoreDNS and metrics-server; beside them what a cluster needs to be useful with
no registry in reach: pod network, load balancer, ingress, volumes. Kubernetes' images are unpacked into the image while it
is built, so that a node need not do it at every start. The tag is a digest of everything that the image is made from.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import shutil
import subprocess
import tarfile
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path

from portable.errors import ToolError
from portable.events import Emit, Step
from portable.tools import GoBuild, cache, go_build
from portable_kind import docker_engine
from portable_kind.kind_tool import KIND

STEP = "node image"
KUBERNETES_VERSION = "1.36.3"
REPOSITORY = "portable/kind-node"

_NODE = files("portable_kind") / "node"
_VERSION_PACKAGE = "k8s.io/component-base/version"
_MAJOR, _MINOR, _ = KUBERNETES_VERSION.split(".")

KUBERNETES = GoBuild(
    name="kubernetes",
    module=_NODE / "kubernetes",
    packages={"kubernetes": "."},
    # Without these kubeadm refuses its own control plane.
    ldflags=f"-s -w -X {_VERSION_PACKAGE}.gitVersion=v{KUBERNETES_VERSION} -X {_VERSION_PACKAGE}.gitMajor={_MAJOR}"
    f" -X {_VERSION_PACKAGE}.gitMinor={_MINOR} -X {_VERSION_PACKAGE}.gitTreeState=clean",
    usual=900,
)
CONTAINERD = GoBuild(
    name="containerd",
    module=_NODE / "containerd",
    packages={
        program: f"github.com/containerd/containerd/v2/cmd/{program}"
        for program in ("containerd", "containerd-shim-runc-v2", "ctr")
    },
    tags="no_aufs,no_zfs,no_btrfs,no_devmapper",
    usual=180,
)
STORAGE = GoBuild(
    name="local-path-provisioner",
    module=_NODE / "storage",
    packages={"local-path-provisioner": "github.com/rancher/local-path-provisioner"},
    usual=180,
)
INGRESS = GoBuild(name="ingress", module=_NODE / "ingress", packages={"portable-ingress": "."}, usual=180)
BUILDS = (KUBERNETES, CONTAINERD, STORAGE, INGRESS)

# The names that the one Kubernetes binary is called by, on the node and in pods.
ON_NODE = ("kubelet", "kubeadm", "kubectl")
IN_PODS = (
    "kube-apiserver",
    "kube-controller-manager",
    "kube-scheduler",
    "kube-proxy",
    "kubectl",
    "etcd",
    "coredns",
    "metrics-server",
    "portable-node-network",
    "portable-load-balancer",
)
NODE_PACKAGES = (
    *("systemd", "bash", "ca-certificates", "curl", "jq", "procps", "util-linux", "mount", "kmod", "e2fsprogs", "pigz"),
    *("conntrack", "containernetworking-plugins", "ethtool", "iproute2", "iptables", "nftables", "socat"),
    *("libseccomp2", "runc"),
)
CNI_PLUGINS = ("host-local", "loopback", "portmap", "ptp")
POD_PACKAGES = ("busybox-static", "ca-certificates", "iptables", "nftables")
BUSYBOX_COMMANDS = (
    "sh",
    "cat",
    "chmod",
    "chown",
    "cp",
    "du",
    "env",
    "grep",
    "ln",
    "ls",
    "mkdir",
    "mv",
    "rm",
    "sleep",
    "stat",
)
_PATH = "ENV PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


@dataclass(frozen=True)
class PodImage:
    """An image that is preloaded into the node: one layer (see `_import_pod_images`) under several names."""

    names: tuple[str, ...]
    layer: Path
    changes: tuple[str, ...]


def reference() -> str:
    """The image's name, with the digest of all that it is made from as part of its tag."""
    hashed = hashlib.sha256(
        repr((NODE_PACKAGES, CNI_PLUGINS, POD_PACKAGES, BUSYBOX_COMMANDS, ON_NODE, IN_PODS)).encode()
    )
    for recipe in (*BUILDS, KIND.build):
        assert recipe is not None
        hashed.update(go_build.digest(recipe).encode())
    for path, file in _data_files(_NODE):
        hashed.update(f"\0{path}\0".encode() + file.read_bytes())
    hashed.update((files("portable_kind") / "node_image.py").read_bytes())
    return f"{REPOSITORY}:v{KUBERNETES_VERSION}-{hashed.hexdigest()[:12]}"


def find() -> str | None:
    """The image's reference if the Docker engine has it."""
    engine = docker_engine.find()
    if engine is None:
        return None
    wanted = reference()
    asked = subprocess.run([engine.client, "image", "inspect", wanted], capture_output=True, check=False)
    return wanted if asked.returncode == 0 else None


def build(emit: Emit) -> str:
    """The image's reference, after building it if need be (a quarter of an hour or more on a machine that never did).

    Needs root on Debian (root file systems are made with mmdebstrap), Go, and a Docker engine. Raises ToolError.
    """
    found = find()
    if found is not None:
        return found
    engine = docker_engine.find()
    if engine is None:
        raise ToolError("no usable Docker engine", detail=docker_engine.why_not(), fix="run `portable doctor --fix`")
    with cache.lock("node-image", emit):
        found = find()
        if found is not None:
            return found
        began, wanted = time.monotonic(), reference()
        emit(Step(STEP, "started", title="Building the node image for kind", usual=1200))
        programs = {recipe.name: go_build.build(recipe, emit) for recipe in BUILDS}
        work = cache.root() / "node-image"
        with cache.filling(work) as folder:
            _assemble(Docker(engine.client), wanted, programs, folder, emit)
        shutil.rmtree(work)
        emit(Step(STEP, "done", detail=wanted, seconds=time.monotonic() - began))
        return wanted


def _assemble(docker: Docker, wanted: str, programs: Mapping[str, Path], folder: Path, emit: Emit) -> None:
    for command in ("mmdebstrap", "gpgv"):
        if shutil.which(command) is None:
            docker_engine.install_debian_packages(("mmdebstrap", "gpgv", "arch-test"), STEP, emit)
            break
    emit(Step(STEP, "progress", detail="making the node's root file system"))
    _debian(folder / "node.tar", "essential", NODE_PACKAGES, _excluded_files())
    emit(Step(STEP, "progress", detail="making the pods' images"))
    images = _pod_images(programs, folder)
    names = [name for image in images for name in image.names]
    base = f"{REPOSITORY}:base-{uuid.uuid4().hex[:12]}"
    try:
        _import_pod_images(docker, images)
        emit(Step(STEP, "progress", detail="putting the node together"))
        docker.run("import", str(folder / "node.tar"), base)
        with docker.container(base) as container:
            _install(docker, container, names, programs)
            entrypoint = 'ENTRYPOINT ["/usr/local/bin/entrypoint", "/sbin/init"]'
            docker.run("commit", *_changes(entrypoint, "CMD []", "ENV container=docker"), container, wanted)
    finally:
        # Of use to the node alone: on the host the names would stand for images that nobody pulled.
        docker.succeeds("rmi", base, *names)


def _install(docker: Docker, container: str, preloaded: Sequence[str], programs: Mapping[str, Path]) -> None:
    """Makes a node out of a container with Debian's packages, as `kind build node-image` does."""
    docker.run("cp", "-", f"{container}:/", stdin=_node_files(programs))
    docker.run("exec", container, "sh", "/kind/setup.sh")
    _preload(docker, container, preloaded)


def _debian(archive: Path, variant: str, packages: Sequence[str], options: Sequence[str] = ()) -> None:
    """A root file system with Debian `packages`, from the sources that this host's own apt uses."""
    sources = _debian_sources()
    if not sources:
        # A fresh machine or container has the sources, but not their lists yet.
        _run(["apt-get", "update"])
        sources = _debian_sources()
    if not sources:
        raise ToolError(
            "apt knows no Debian package lists",
            detail="the node image is made from Debian's packages, with the sources that apt is configured with",
            fix="run it on a Debian host, or pull kindest/node on a machine with a registry",
        )
    making = ["mmdebstrap", "--mode=root", "--format=tar", f"--variant={variant}", "--include=" + ",".join(packages)]
    _run([*making, *options, "", str(archive), "-"], stdin="\n".join(sources).encode())


def _debian_sources() -> list[str]:
    listed = _run(["apt-get", "indextargets", "--format", "$(ORIGIN)|deb $(REPO_URI) $(RELEASE) $(COMPONENT)"]).decode()
    return sorted({line.partition("|")[2] for line in listed.splitlines() if line.startswith("Debian|")})


def _excluded_files() -> list[str]:
    paths = ("/usr/share/doc/*", "/usr/share/man/*", "/usr/share/locale/*", "/usr/lib/cni/*")
    return [f"--dpkgopt=path-exclude={path}" for path in paths] + [
        f"--dpkgopt=path-include=/usr/lib/cni/{plugin}" for plugin in CNI_PLUGINS
    ]


def _pod_images(programs: Mapping[str, Path], folder: Path) -> list[PodImage]:
    kubernetes = folder / "kubernetes.tar"
    _debian(kubernetes, "extract", POD_PACKAGES)
    with tarfile.open(kubernetes, "a") as tar:
        _add_file(tar, programs["kubernetes"] / "kubernetes", "usr/local/bin/kubernetes", 0o755)
        for name in IN_PODS:
            _add_link(tar, f"usr/local/bin/{name}", "kubernetes")
        for name in BUSYBOX_COMMANDS:
            _add_link(tar, f"bin/{name}", "busybox")
        for name in ("iptables", "iptables-save", "iptables-restore"):
            for family in (name, name.replace("ip", "ip6", 1)):
                _add_bytes(tar, (_NODE / "iptables.sh").read_bytes(), f"usr/sbin/{family}", 0o755)
    listed = _run(["kubeadm", "config", "images", "list", "--kubernetes-version", f"v{KUBERNETES_VERSION}"],
                  executable=programs["kubernetes"] / "kubernetes").decode().split()  # fmt: skip
    coredns = tuple(name for name in listed if "/coredns:" in name)
    pause = tuple(name for name in listed if "/pause:" in name)
    ours = ("docker.io/portable/kubernetes:v" + KUBERNETES_VERSION,)
    rest = tuple(name for name in listed if name not in coredns + pause) + ours
    return [
        PodImage(rest, kubernetes, (_PATH,)),
        PodImage(coredns, kubernetes, (_PATH, 'ENTRYPOINT ["/usr/local/bin/coredns"]')),
        # -P makes the container init of Debian (a static binary) what pause is: a process that waits and reaps.
        PodImage(pause, _pause_layer(folder), ('ENTRYPOINT ["/usr/bin/catatonit", "-P"]', "USER 65535:65535")),
        _program_image("docker.io/portable/local-path-provisioner:v0.0.30", programs, STORAGE, folder),
        _program_image("docker.io/portable/ingress:v1", programs, INGRESS, folder),
    ]


def _pause_layer(folder: Path) -> Path:
    _debian(folder / "catatonit.tar", "extract", ("catatonit",))
    layer = folder / "pause.tar"
    with tarfile.open(folder / "catatonit.tar") as source, tarfile.open(layer, "w") as tar:
        member = source.getmember("./usr/bin/catatonit")
        tar.addfile(member, source.extractfile(member))
    return layer


def _program_image(name: str, programs: Mapping[str, Path], recipe: GoBuild, folder: Path) -> PodImage:
    layer = folder / f"{recipe.name}.tar"
    with tarfile.open(layer, "w") as tar:
        for program in recipe.packages:
            _add_file(tar, programs[recipe.name] / program, f"usr/local/bin/{program}", 0o755)
    return PodImage((name,), layer, (_PATH,))


def _import_pod_images(docker: Docker, images: Sequence[PodImage]) -> None:
    """Each image is one layer: containerd unpacks a single layer by a bind mount, which works on any file system; a second
    one would need overlayfs on top of the build container's overlayfs, which the kernel refuses."""
    for image in images:
        docker.run("import", *_changes(*image.changes), str(image.layer), image.names[0])
        for name in image.names[1:]:
            docker.run("tag", image.names[0], name)


def _preload(docker: Docker, container: str, names: Sequence[str]) -> None:
    """Unpacks the pods' images into the node's containerd."""
    docker.run("exec", "--detach", container, "containerd")
    for _ in range(100):
        if docker.succeeds("exec", container, "ctr", "version"):
            break
        time.sleep(0.1)
    with subprocess.Popen([docker.client, "save", *names], stdout=subprocess.PIPE) as save:
        docker.run(
            *("exec", "--interactive", container, "ctr", "--namespace=k8s.io", "images", "import", "--local"),
            *("--snapshotter=overlayfs", "--discard-unpacked-layers", "-"),
            stdin=save.stdout,
        )
    if save.returncode != 0:
        raise ToolError("`docker save` failed while the node image was built", fix="look at the Docker engine's log")
    # Unpacked layers need not be kept packed too (as kind's containerd does for what it pulls).
    docker.run("exec", container, "ctr", "--namespace=k8s.io", "content", "prune", "references")
    # Ends containerd in good order, so that its databases are whole.
    docker.run("exec", container, "sh", "-c", "kill $(pidof containerd); while pidof containerd; do sleep 0.1; done")


def _node_files(programs: Mapping[str, Path]) -> io.BytesIO:
    """A tar archive of what comes on top of Debian: kind's own node files, the programs, our manifests."""
    stream = io.BytesIO()
    assert KIND.build is not None
    source = go_build.module_folder(KIND.build, "sigs.k8s.io/kind") / "images" / "base" / "files"
    with tarfile.open(fileobj=stream, mode="w") as tar:
        for path in sorted(source.rglob("*")):
            name = path.relative_to(source).as_posix()
            if path.is_file():
                _add_file(tar, path, name, 0o755 if name.startswith(("usr/local/bin/", "kind/bin/")) else 0o644)
        for program in CONTAINERD.packages:
            _add_file(tar, programs["containerd"] / program, f"usr/local/bin/{program}", 0o755)
        _add_file(tar, programs["kubernetes"] / "kubernetes", "usr/bin/kubernetes", 0o755)
        for name in ON_NODE:
            _add_link(tar, f"usr/bin/{name}", "kubernetes")
        _add_bytes(tar, f"v{KUBERNETES_VERSION}".encode(), "kind/version", 0o644)
        _add_bytes(tar, (_NODE / "setup.sh").read_bytes(), "kind/setup.sh", 0o644)
        for manifest in (_NODE / "manifests").iterdir():
            _add_bytes(tar, manifest.read_bytes(), f"kind/manifests/{manifest.name}", 0o644)
    stream.seek(0)
    return stream


def _data_files(folder: Traversable, prefix: str = "") -> list[tuple[str, Traversable]]:
    """What is read as it is, sorted by path; the Go modules have digests of their own, the add-ons are not in the image."""
    found: list[tuple[str, Traversable]] = []
    for entry in folder.iterdir():
        if entry.is_file() and entry.name.endswith((".sh", ".yaml")):
            found.append((prefix + entry.name, entry))
        elif entry.is_dir() and entry.name == "manifests":
            found += _data_files(entry, f"{prefix}{entry.name}/")
    return sorted(found, key=lambda pair: pair[0])


def _add_file(tar: tarfile.TarFile, path: Path, name: str, mode: int) -> None:
    with path.open("rb") as file:
        _add(tar, name, mode, path.stat().st_size, file)


def _add_bytes(tar: tarfile.TarFile, content: bytes, name: str, mode: int) -> None:
    _add(tar, name, mode, len(content), io.BytesIO(content))


def _add(tar: tarfile.TarFile, name: str, mode: int, size: int, content: io.BufferedIOBase) -> None:
    member = tarfile.TarInfo("./" + name)
    member.size, member.mode = size, mode
    tar.addfile(member, content)


def _add_link(tar: tarfile.TarFile, name: str, to: str) -> None:
    member = tarfile.TarInfo("./" + name)
    member.type, member.linkname, member.mode = tarfile.SYMTYPE, to, 0o777
    tar.addfile(member)


def _changes(*changes: str) -> list[str]:
    return [word for change in changes for word in ("--change", change)]


@dataclass(frozen=True)
class Docker:
    """The Docker client, with failures as ToolError."""

    client: Path

    def run(self, *arguments: str, stdin: object = None) -> bytes:
        return _run([str(self.client), *arguments], stdin=stdin)

    def succeeds(self, *arguments: str) -> bool:
        return subprocess.run([self.client, *arguments], capture_output=True, check=False).returncode == 0

    @contextlib.contextmanager
    def container(self, image: str) -> Iterator[str]:
        """A privileged container that does nothing, for the time of the block."""
        name = f"portable-build-{uuid.uuid4().hex[:12]}"
        # systemd ends on this signal. It is said here and kept by `commit`, which cannot change it itself.
        options = ("--detach", "--privileged", "--network=none", "--stop-signal=SIGRTMIN+3", "--name", name)
        self.run("run", *options, image, "sleep", "infinity")
        try:
            yield name
        finally:
            self.succeeds("rm", "--force", "--volumes", name)


def _run(command: Sequence[str], *, stdin: object = None, executable: Path | None = None) -> bytes:
    """Runs a build step; raises ToolError with its last words. `stdin`: bytes, an open file, or None."""
    given: dict[str, object] = {"stdin": subprocess.DEVNULL}
    if isinstance(stdin, (bytes, io.BytesIO)):
        given = {"input": stdin if isinstance(stdin, bytes) else stdin.getbuffer()}
    elif stdin is not None:
        given = {"stdin": stdin}
    done = subprocess.run(command, executable=executable, capture_output=True, check=False, **given)  # pyright: ignore
    if done.returncode != 0:
        raise ToolError(
            f"building the node image failed: `{' '.join(command[:3])} ...` ended with {done.returncode}",
            detail=done.stderr.decode(errors="replace").strip()[-3000:],
            fix="mend what it says and run `portable doctor --fix` again",
        )
    return done.stdout
