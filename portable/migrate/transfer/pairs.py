"""Which movers there are: one pair, a pod at each end, for volumes that go together, and one for each forwarded port.

Volumes of one pod belong together: the target's mover is the first to use them there, and where it runs their disks are made.
Volumes of several pods do not: on the source each can only be read on the node that its pod is on.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace

from portable.migrate.transfer.model import VolumeCopy
from portable.provider import KubeObject

LINK = "link"
FIRST_PORT = 7873
_ORDINAL = re.compile(r"-(\d+)$")


@dataclass(frozen=True)
class Pair:
    """`port`: of the Service that the other end dials. `uid` 0: root, because the data needs it (`why_root`). `group`: the user's
    primary group, `gid` the pod's fsGroup.

    `node`: the source's mover has to run there. `forward`: "HOST:PORT" as seen from the source."""

    name: str
    port: int
    claims: tuple[str, ...] = ()
    used_by: str = ""
    uid: int = 65534
    group: int = 65534
    gid: int | None = None
    why_root: str = ""
    node: str = ""
    forward: str = ""

    @property
    def port_name(self) -> str:
        return f"p{self.port}"

    @property
    def root(self) -> bool:
        return self.uid == 0

    def as_json(self) -> str:
        return json.dumps(asdict(self), sort_keys=True)

    @classmethod
    def of_json(cls, text: str) -> Pair:
        fields = json.loads(text)
        return cls(**fields | {"claims": tuple(fields["claims"])})


def group(volumes: Sequence[VolumeCopy], pods: Iterable[KubeObject]) -> list[tuple[VolumeCopy, ...]]:
    """Volumes that go together: those of one live pod; of workloads without pods those of one ordinal."""
    owner: dict[str, str] = {}
    for pod in pods:
        for claim in claims_of(pod):
            owner.setdefault(claim, f"pod {pod['metadata']['name']}")
    found: dict[str, list[VolumeCopy]] = {}
    for volume in volumes:
        ordinal = _ORDINAL.search(volume.claim)
        otherwise = f"{volume.used_by} {ordinal.group(1) if ordinal else ''}"
        key = owner.get(volume.claim) if volume.claim in owner else otherwise
        found.setdefault(f"{key} {volume.uid} {volume.gid}", []).append(volume)
    return [tuple(sorted(volumes, key=lambda each: each.claim)) for _, volumes in sorted(found.items())]


def claims_of(pod: KubeObject) -> tuple[str, ...]:
    """The claims that a pod mounts. One that has ended mounts none."""
    if pod.get("status", {}).get("phase") in ("Succeeded", "Failed"):
        return ()
    volumes = pod["spec"].get("volumes") or ()
    return tuple(each["persistentVolumeClaim"]["claimName"] for each in volumes if "persistentVolumeClaim" in each)


def plan(volumes: Sequence[VolumeCopy], pods: Sequence[KubeObject], existing: Mapping[str, Pair]) -> dict[str, Pair]:
    """Name -> pair, for every volume. Pairs that exist stay, on the node where their pods are now."""
    found = dict(existing)
    known = {claim for pair in existing.values() for claim in pair.claims}
    for together in group([volume for volume in volumes if volume.claim not in known], pods):
        first = together[0]
        user, primary = (first.uid, first.uid) if first.uid is not None else user_of(first, pods)
        pair = Pair(
            name=f"volumes-{free_number(found.values())}",
            port=free_port(found.values()),
            claims=tuple(volume.claim for volume in together),
            used_by=first.used_by,
            uid=user,
            group=primary,
            gid=first.gid,
        )
        if pair.root and first.uid is None:
            pair = replace(pair, why_root=f"{first.used_by} runs as its image's own user, which is not known")
        found[pair.name] = pair
    return {name: replace(pair, node=node_of(pair, pods)) for name, pair in found.items()}


def user_of(volume: VolumeCopy, pods: Iterable[KubeObject]) -> tuple[int, int]:
    """As which user and group the pods that mount it run, as the kubelet tells (Kubernetes 1.33 and newer); root where nothing
    tells."""
    for pod in pods:
        if volume.claim in claims_of(pod):
            for container in pod.get("status", {}).get("containerStatuses") or ():
                found = container.get("user", {}).get("linux", {})
                if "uid" in found:
                    return int(found["uid"]), int(found.get("gid", found["uid"]))
    return 0, 0


def node_of(pair: Pair, pods: Iterable[KubeObject]) -> str:
    """The node of the pod that mounts its volumes; while there is none, where its mover was told to be."""
    for pod in pods:
        if set(pair.claims) & set(claims_of(pod)) and pod["spec"].get("nodeName"):
            return str(pod["spec"]["nodeName"])
    return pair.node


def free_port(pairs: Iterable[Pair]) -> int:
    taken = {pair.port for pair in pairs}
    return next(port for port in range(FIRST_PORT + 1, FIRST_PORT + 1000) if port not in taken)


def free_number(pairs: Iterable[Pair]) -> int:
    names = {pair.name for pair in pairs}
    return next(number for number in range(1000) if f"volumes-{number}" not in names)
