"""What `doctor` looks at for kind, each in plain words; with `fix` what can be mended is mended, in this order."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

from portable.errors import PortableError
from portable.events import Emit, Step
from portable.provider import Check
from portable_kind import database_images, docker, docker_engine, mover_image, node_image, node_images, ports

GIB = 1024**3
LEAST_MEMORY = 4 * GIB
LEAST_DISK = 10 * GIB
PULL_SECONDS = 900.0
# kind's known issues: "Pod errors due to too many open files".
INOTIFY = {"max_user_instances": 512, "max_user_watches": 524288}
FIX = "run `portable doctor --fix --cloud kind`"


def run(*, fix: bool, emit: Emit) -> Sequence[Check]:
    """Every check; those that need Docker are left out where it does not answer, since nothing can be said."""
    engine_check = _mend(docker_check, lambda: docker_engine.start(emit), fix)
    checks = [engine_check, *_mend_each((inotify_check, forwarding_check), fix), _kind(fix, emit)]
    engine = docker_engine.find()
    if engine is None:
        return checks
    checks += [memory_check(engine.memory_bytes), cgroup_check(engine.cgroup), *disk_checks(engine.data_root)]
    checks.append(ports_check())
    checks.append(_mend(node_image_check, lambda: get_node_image(emit), fix))
    if _built_here():
        checks.append(_mend(database_images_check, lambda: build_database_images(emit), fix))
    checks.append(_mend(mover_image_check, lambda: mover_image.build(emit), fix))
    return checks


def _mend(check: Callable[[], Check], cure: Callable[[], object], fix: bool) -> Check:
    """The check, after its cure where one is needed and wanted; a cure that fails becomes the check's detail."""
    found = check()
    if found.status == "ok" or not (fix and found.fixable):
        return found
    try:
        cure()
    except PortableError as error:
        words = f"{error.message}: {error.detail}" if error.detail else error.message
        return Check(found.name, found.status, words, fix=error.fix or found.fix)
    return check()


def docker_check() -> Check:
    engine = docker_engine.find()
    if engine is not None:
        return Check("Docker", "ok", f"Docker {engine.version} answers")
    can_install = os.geteuid() == 0 and shutil.which("apt-get") is not None
    reason = docker_engine.why_not()
    if "may not use" in reason:
        cure = "`sudo usermod -aG docker $USER`, then log in again"
    elif can_install:
        cure = FIX
    else:
        cure = "start Docker (`sudo systemctl start docker`), or install it: https://docs.docker.com/engine/install/"
    return Check("Docker", "missing", reason, fix=cure, fixable=can_install)


def memory_check(memory: int) -> Check:
    detail = f"{memory / GIB:.1f} GiB of memory for containers"
    if memory >= LEAST_MEMORY:
        return Check("memory", "ok", detail)
    cure = "give Docker more memory (Docker Desktop: Settings, Resources) or use a bigger machine"
    return Check("memory", "warning", f"{detail}; a cluster with an app wants {LEAST_MEMORY // GIB} GiB", fix=cure)


def disk_checks(data_root: Path) -> list[Check]:
    """Nothing where Docker's folder is on another machine (Docker Desktop, a remote engine)."""
    try:
        free = shutil.disk_usage(data_root).free
    except OSError:
        return []
    detail = f"{free / GIB:.0f} GiB free in {data_root}"
    if free >= LEAST_DISK:
        return [Check("disk", "ok", detail)]
    cure = "make room: `docker system prune` removes what Docker no longer needs"
    return [Check("disk", "warning", f"{detail}; images and volumes want {LEAST_DISK // GIB} GiB", fix=cure)]


def cgroup_check(version: str) -> Check:
    if version == "2":
        return Check("cgroup", "ok", "cgroup v2")
    return Check(
        "cgroup",
        "warning",
        "cgroup v1: works for now (portable tells the kubelet to accept it), but Kubernetes drops it",
        fix="boot with cgroup v2 (systemd.unified_cgroup_hierarchy=1)",
    )


def ports_check(free: Callable[[int], bool] = ports.is_free) -> Check:
    """Taken ports are no obstacle: a new cluster gets others."""
    taken = [port for port in (80, 443) if not free(port)]
    if not taken:
        return Check("ports", "ok", "80 and 443 are free")
    mine = _ports_of_clusters()
    if all(port in mine for port in taken):
        return Check("ports", "ok", "80 and 443 belong to a kind cluster of yours")
    numbers = " and ".join(str(port) for port in taken)
    return Check(
        "ports",
        "warning",
        f"{numbers} {'is' if len(taken) == 1 else 'are'} taken by another program: a new cluster's routes get other ports",
        fix="end what listens there (`ss -ltnp`) to get http://NAME.localhost without a port number",
    )


def _ports_of_clusters() -> set[int]:
    try:
        words = docker.run("ps", "--filter", f"label={docker.CLUSTER_LABEL}", "--format", "{{.Ports}}")
    except PortableError:
        return set()
    return {port for port in (80, 443) if f":{port}->" in words}


def _kind(fix: bool, emit: Emit) -> Check:
    from portable.tools import find, obtain
    from portable_kind.kind_tool import KIND

    def check() -> Check:
        found = find(KIND)
        if found is None:
            return Check("kind", "missing", f"no `kind` {KIND.oldest} or newer is installed", fix=FIX, fixable=True)
        return Check("kind", "ok", str(found))

    return _mend(check, lambda: obtain(KIND, emit), fix)


def node_image_check() -> Check:
    images = node_images.available()
    if not images:
        return Check("node image", "missing", "no image to make nodes from is in Docker", fix=FIX, fixable=True)
    return Check("node image", "ok", images[0])


def get_node_image(emit: Emit) -> None:
    """kind's own where a registry answers, else ours, built from packages."""
    step = "node image"
    emit(Step(step, "progress", detail=f"pulling {node_images.DEFAULT}"))
    try:
        docker.run("pull", "--quiet", node_images.DEFAULT, timeout=PULL_SECONDS)
    except PortableError as error:
        emit(Step(step, "progress", detail=f"no registry answers ({error.detail[-160:]}): building one from packages"))
        node_image.build(emit)


def _built_here() -> bool:
    """Whether new clusters are made from our own image: then no registry answers, and the databases' images are ours too."""
    images = node_images.available()
    return bool(images) and docker.is_self_built(images[0])


def database_images_check() -> Check:
    lacking = [image.reference for image in database_images.missing()]
    if lacking:
        words = "not built yet: " + ", ".join(lacking)
        return Check("database images", "warning", words, fix=FIX, fixable=True)
    return Check("database images", "ok", ", ".join(image.reference for image in database_images.IMAGES))


def build_database_images(emit: Emit) -> None:
    for image in database_images.missing():
        database_images.build(image, emit)


def mover_image_check() -> Check:
    if mover_image.is_missing():
        words = f"{mover_image.MOVER_IMAGE}, which `portable migrate` moves volumes with, is not built yet"
        return Check("mover image", "warning", words, fix=FIX, fixable=True)
    return Check("mover image", "ok", mover_image.MOVER_IMAGE)


def _mend_each(checks: Sequence[Callable[[], tuple[Check, dict[Path, str]]]], fix: bool) -> list[Check]:
    """Checks of kernel settings that come with the values to write."""
    found: list[Check] = []
    for check in checks:
        result, wanted = check()
        if wanted and fix and result.fixable:
            try:
                for path, value in wanted.items():
                    path.write_text(value)
            except OSError:
                # A container may see settings that it cannot change.
                found.append(result)
                continue
            result = check()[0]
        found.append(result)
    return found


def inotify_check(folder: Path = Path("/proc/sys/fs/inotify")) -> tuple[Check, dict[Path, str]]:
    low = {
        folder / name: str(least)
        for name, least in INOTIFY.items()
        if (folder / name).exists() and int((folder / name).read_text()) < least
    }
    if not low:
        return Check("inotify", "ok", "enough inotify instances and watches"), {}
    words = ", ".join(f"fs.inotify.{path.name} is below {value}" for path, value in low.items())
    cure = "; ".join(f"`sudo sysctl fs.inotify.{path.name}={value}`" for path, value in low.items())
    return Check(
        "inotify", "warning", f"{words}: with several nodes pods fail with too many open files", cure, True
    ), low


def forwarding_check(path: Path = Path("/proc/sys/net/ipv4/ip_forward")) -> tuple[Check, dict[Path, str]]:
    if not path.exists() or path.read_text().strip() == "1":
        return Check("forwarding", "ok", "packets are forwarded between nodes"), {}
    words = "net.ipv4.ip_forward is 0: nodes and their services cannot be reached"
    return Check("forwarding", "warning", words, "`sudo sysctl net.ipv4.ip_forward=1`", True), {path: "1"}
