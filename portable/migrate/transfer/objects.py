"""The Kubernetes objects of a transfer: keys, movers, their Services and who may reach them. Pure."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from portable.migrate.sides import MIGRATION_LABEL, Side
from portable.migrate.transfer.pairs import Pair
from portable.provider import KubeObject

MOVER_LABEL = "portable.dev/mover"
PAIR_ANNOTATION = "portable.dev/mover-pair"
AUTHORITY_ANNOTATION = "portable.dev/mover-authority"
PATH_ANNOTATION = "portable.dev/mover-path"
LEVEL_ANNOTATION = "portable.dev/mover-level"
# Where the mover listens; see providers/portable_kind/mover/main.go.
PEER_PORT, CONTROL_PORT, FORWARD_PORT = 7873, 7874, 7875
# In one namespace two ends can meet only where source and target are one cluster, which is refused before.
KINDS: Mapping[str, str] = {
    "Deployment": "apps/v1",
    "Service": "v1",
    "NetworkPolicy": "networking.k8s.io/v1",
    "Secret": "v1",
}
# What reading and making files of others takes; the level "baseline" allows no more either.
_ROOT_CAPABILITIES = ("CHOWN", "DAC_OVERRIDE", "FOWNER", "FSETID", "MKNOD", "SETFCAP")


def base_name(migration: str) -> str:
    return f"mover-{migration}"


def pair_name(migration: str, pair: str) -> str:
    return f"mover-{migration}-{pair}"


def labels(migration: str, pair: str = "") -> dict[str, str]:
    """Never a workload's own label, which would put movers into its Service."""
    return {MIGRATION_LABEL: migration, MOVER_LABEL: pair or "all", "app.kubernetes.io/managed-by": "portable"}


def selector(migration: str, pair: str = "") -> str:
    return f"{MIGRATION_LABEL}={migration},{MOVER_LABEL}" + (f"={pair}" if pair else "")


def _object(side: Side, migration: str, kind: str, name: str, pair: str = "", **content: Any) -> KubeObject:
    metadata: dict[str, Any] = {"name": name, "namespace": side.namespace, "labels": labels(migration, pair)}
    if annotations := content.pop("annotations", None):
        metadata["annotations"] = annotations
    return {"apiVersion": KINDS[kind], "kind": kind, "metadata": metadata, **content}


def secret(side: Side, migration: str, authority: str, data: Mapping[str, str]) -> KubeObject:
    annotations = {AUTHORITY_ANNOTATION: authority}
    name = base_name(migration)
    return _object(side, migration, "Secret", name, annotations=annotations, type="Opaque", data=dict(data))


def policy(side: Side, migration: str) -> KubeObject:
    """The other end may come from anywhere: it proves itself by its certificate. Forwarded ports are for the namespace."""
    spec = {
        "podSelector": {"matchLabels": {MIGRATION_LABEL: migration}, "matchExpressions": [_is_mover()]},
        "policyTypes": ["Ingress"],
        "ingress": [
            {"ports": [{"port": PEER_PORT, "protocol": "TCP"}]},
            {"from": [{"podSelector": {}}], "ports": [{"port": FORWARD_PORT, "protocol": "TCP"}]},
        ],
    }
    return _object(side, migration, "NetworkPolicy", base_name(migration), spec=spec)


def forward_policy(side: Side, migration: str, pair: Pair) -> KubeObject:
    """Lets the source's end of a forwarded port reach what it leads to."""
    port = int(pair.forward.rpartition(":")[2])
    mover = {"podSelector": {"matchLabels": {MIGRATION_LABEL: migration, MOVER_LABEL: pair.name}}}
    rule = {"from": [mover], "ports": [{"port": port, "protocol": "TCP"}]}
    spec = {"podSelector": {}, "policyTypes": ["Ingress"], "ingress": [rule]}
    return _object(side, migration, "NetworkPolicy", pair_name(migration, pair.name), pair.name, spec=spec)


def _is_mover() -> dict[str, str]:
    return {"key": MOVER_LABEL, "operator": "Exists"}


def entrance(side: Side, migration: str, pairs: Iterable[Pair]) -> KubeObject:
    """The load balancer that the other end dials: a port for each pair, whose name only its own mover has."""
    profile = side.app.profile
    ports = [
        {"name": pair.port_name, "port": pair.port, "protocol": "TCP", "targetPort": pair.port_name}
        for pair in sorted(pairs, key=lambda pair: pair.port)
    ]
    spec: dict[str, Any] = {"type": "LoadBalancer", "selector": {MIGRATION_LABEL: migration}, "ports": ports}
    if profile.load_balancer_class is not None:
        spec["loadBalancerClass"] = profile.load_balancer_class
    annotations = dict(profile.load_balancer_annotations)
    return _object(side, migration, "Service", base_name(migration), annotations=annotations, spec=spec)


def forward_service(side: Side, migration: str, pair: Pair, name: str) -> KubeObject:
    """In the target's namespace, under the name that was asked for and the port that the source's has."""
    port = int(pair.forward.rpartition(":")[2])
    chosen = {MIGRATION_LABEL: migration, MOVER_LABEL: pair.name}
    ports = [{"name": "forward", "port": port, "protocol": "TCP", "targetPort": FORWARD_PORT}]
    return _object(side, migration, "Service", name, pair.name, spec={"selector": chosen, "ports": ports})


def mover(
    side: Side, migration: str, pair: Pair, *, image: str, authority: str, dial: str, like: Mapping[str, Any]
) -> KubeObject:
    """`dial`: where this end dials the other; empty: it is dialled. `like`: the pod spec of the workload, for where it may run."""
    chosen = {MIGRATION_LABEL: migration, MOVER_LABEL: pair.name}
    pod = _pod(side, migration, pair, image, dial, like)
    # What the pod cannot see changing: its keys.
    template = {"metadata": {"labels": labels(migration, pair.name), "annotations": {AUTHORITY_ANNOTATION: authority}}}
    spec = {
        "replicas": 1,
        "revisionHistoryLimit": 1,
        "progressDeadlineSeconds": 300,
        # Two at once would be two that write to one volume.
        "strategy": {"type": "Recreate"},
        "selector": {"matchLabels": chosen},
        "template": template | {"spec": pod},
    }
    annotations = {PAIR_ANNOTATION: pair.as_json()}
    return _object(
        side, migration, "Deployment", pair_name(migration, pair.name), pair.name, annotations=annotations, spec=spec
    )


def _pod(side: Side, migration: str, pair: Pair, image: str, dial: str, like: Mapping[str, Any]) -> dict[str, Any]:
    pod: dict[str, Any] = {
        "automountServiceAccountToken": False,
        "containers": [_container(side, pair, image, dial)],
        "enableServiceLinks": False,
        "securityContext": _security(side, pair),
        "terminationGracePeriodSeconds": 5,
        "volumes": [
            {"name": "keys", "secret": {"secretName": base_name(migration), "defaultMode": 0o444}},
            {"name": "run", "emptyDir": {"sizeLimit": "64Mi"}},
            *({"name": _volume_name(claim), "persistentVolumeClaim": {"claimName": claim}} for claim in pair.claims),
        ],
    }
    tolerations = [*side.app.profile.tolerations, *like.get("tolerations", ())]
    unique = [each for n, each in enumerate(tolerations) if each not in tolerations[:n]]
    if unique:
        pod["tolerations"] = [dict(each) for each in unique]
    if side.role == "source" and pair.node:
        terms = [{"matchFields": [{"key": "metadata.name", "operator": "In", "values": [pair.node]}]}]
        required = {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": terms}}
        return pod | {"affinity": {"nodeAffinity": required}}
    return pod | {key: like[key] for key in ("nodeSelector", "affinity") if key in like}


def _container(side: Side, pair: Pair, image: str, dial: str) -> dict[str, Any]:
    arguments = [f"-role={side.role}"]
    if dial:
        arguments.append(f"-dial={dial}")
    if pair.forward:
        arguments.append(f"-forward-to={pair.forward}" if side.role == "source" else f"-forward-from=:{FORWARD_PORT}")
    security: dict[str, Any] = {"allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True}
    security["capabilities"] = {"drop": ["ALL"]} | ({"add": list(_ROOT_CAPABILITIES)} if pair.root else {})
    mounts = [{"name": "keys", "mountPath": "/etc/mover/keys", "readOnly": True}]
    mounts.append({"name": "run", "mountPath": "/run/mover"})
    for claim in pair.claims:
        mount: dict[str, Any] = {"name": _volume_name(claim), "mountPath": f"/volumes/{claim}"}
        mounts.append(mount | ({"readOnly": True} if side.role == "source" else {}))
    return {
        "name": "mover",
        "image": image,
        "imagePullPolicy": "IfNotPresent",
        "args": arguments,
        "env": [{"name": "GOMEMLIMIT", "value": "192MiB"}],
        "ports": [{"name": pair.port_name, "containerPort": PEER_PORT, "protocol": "TCP"}],
        "resources": {"requests": {"cpu": "20m", "memory": "64Mi"}, "limits": {"memory": "512Mi"}},
        "securityContext": security,
        "volumeMounts": mounts,
    }


def _security(side: Side, pair: Pair) -> dict[str, Any]:
    """The workload's own user and group. On the source the kubelet must not touch what it mounts: no fsGroup there."""
    context: dict[str, Any] = {"seccompProfile": {"type": "RuntimeDefault"}}
    if pair.root:
        return context | {"runAsUser": 0, "runAsGroup": 0, "runAsNonRoot": False}
    context |= {"runAsUser": pair.uid, "runAsGroup": pair.group, "runAsNonRoot": True}
    if pair.gid is not None and side.role == "source":
        context["supplementalGroups"] = [pair.gid]
    elif pair.gid is not None:
        context |= {"fsGroup": pair.gid, "fsGroupChangePolicy": "OnRootMismatch"}
    return context


def _volume_name(claim: str) -> str:
    """Claims may have longer names than a pod's volumes."""
    return claim if len(claim) <= 60 and "." not in claim else f"v-{hashlib.sha256(claim.encode()).hexdigest()[:16]}"


def pod_like(objects: Sequence[KubeObject], workload: str) -> Mapping[str, Any]:
    """The pod spec that a workload is compiled to; empty where there is none."""
    for manifest in objects:
        if manifest["kind"] in ("Deployment", "StatefulSet") and manifest["metadata"]["name"] == workload:
            return manifest["spec"]["template"]["spec"]
    return {}
