"""`compare`: what each installed cloud makes of a spec, side by side. From profiles alone: no SDK, no cluster."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from portable.compile.objects import Objects
from portable.errors import Problem, SpecError
from portable.provider import Profile, Provider, load_provider, provider_names
from portable.spec.model import Cluster
from portable.target import Request, Target, compile_target, open_target


@dataclass(frozen=True)
class Side:
    """One cloud. `objects`: kind -> how many. `replicas`: workload -> "2", or "2-10" where it scales. `images`: those of the
    cloud's own choosing, by resource. `refused`: what this cloud cannot honour; the rest is then empty."""

    cloud: str
    title: str
    objects: Mapping[str, int] = field(default_factory=dict)
    replicas: Mapping[str, str] = field(default_factory=dict)
    classes: Mapping[str, str] = field(default_factory=dict)
    images: Mapping[str, str] = field(default_factory=dict)
    cluster: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    refused: tuple[Problem, ...] = ()


def compare(request: Request, clouds: Sequence[str] = ()) -> tuple[Side, ...]:
    """A side for each of `clouds` (none: every installed one). Raises SpecError where the spec is wrong on all of them."""
    providers = [load_provider(name) for name in clouds or provider_names()]
    sides = tuple(_side(request, provider) for provider in providers)
    first = sides[0].refused if sides else ()
    if first and all(side.refused == first for side in sides):
        raise SpecError(first)
    return sides


def rows(sides: Sequence[Side]) -> list[tuple[str, tuple[str, ...]]]:
    """Lines of a table: what it is, and what each side has; only lines that say something."""
    parts = ("objects", "replicas", "classes", "images", "cluster")
    found: list[tuple[str, tuple[str, ...]]] = []
    for part in parts:
        names = dict.fromkeys(name for side in sides for name in getattr(side, part))
        for name in sorted(names) if part == "objects" else names:
            values = tuple("" if side.refused else str(getattr(side, part).get(name, "-")) for side in sides)
            found.append((f"{_PREFIX.get(part, '')}{name}", values))
    return found


_PREFIX = {"objects": "", "replicas": "replicas of ", "images": "image of "}


def _side(request: Request, provider: Provider) -> Side:
    try:
        target = open_target(replace(request, cloud=provider.name))
        objects = compile_target(target)
    except SpecError as error:
        refused = tuple(each for each in error.problems if each.severity == "error")
        return Side(provider.name, provider.title, refused=refused)
    return Side(
        provider.name,
        provider.title,
        objects=dict(Counter(item.manifest["kind"] for item in objects.items)),
        replicas=_replicas(objects),
        classes=_classes(target.profile, objects),
        images=_images(objects),
        cluster=_cluster(target),
        notes=objects.notes,
    )


def _replicas(objects: Objects) -> dict[str, str]:
    found: dict[str, str] = {}
    for item in objects.items:
        spec = item.manifest.get("spec", {})
        if item.manifest["kind"] in ("Deployment", "StatefulSet") and "replicas" in spec:
            found[str(item.workload)] = str(spec["replicas"])
        elif item.manifest["kind"] == "HorizontalPodAutoscaler":
            found[str(item.workload)] = f"{spec['minReplicas']}-{spec['maxReplicas']}"
    return dict(sorted(found.items()))


def _classes(profile: Profile, objects: Objects) -> dict[str, str]:
    """The classes that the objects really use, and how routes get their certificates."""
    found: dict[str, str] = {}
    for item in objects.items:
        spec = item.manifest.get("spec", {})
        if item.manifest["kind"] == "PersistentVolumeClaim":
            shared = "ReadWriteMany" in spec["accessModes"]
            found["storage, many nodes" if shared else "storage, one node"] = spec["storageClassName"]
        elif item.manifest["kind"] == "Ingress":
            annotated = item.manifest["metadata"].get("annotations", {}).get("kubernetes.io/ingress.class", "-")
            found["ingress"] = spec.get("ingressClassName") or f"{annotated} (annotation)"
    if any(route.auto_tls for route in objects.routes):
        found["tls: auto"] = {"plugin": "a Secret", "annotation": "the cloud's own"}.get(profile.ingress.auto_tls, "-")
    if profile.load_balancer_class:
        found["load balancer"] = profile.load_balancer_class
    found["network policies"] = "enforced" if profile.policy_enforced else "not enforced"
    return found


def _images(objects: Objects) -> dict[str, str]:
    databases = (each for each in objects.workloads.values() if each.section == "resources")
    return {each.name: ", ".join(image.partition("@")[0] for image in each.images) for each in databases}


def _cluster(target: Target) -> dict[str, str]:
    cluster: Cluster = target.app.cluster
    pools = ", ".join(
        f"{name}: {pool.min}" + (f"-{pool.max}" if pool.max else "") + (" spot" if pool.spot else "")
        for name, pool in cluster.pools.items()
    )
    grows = "grows by itself" if target.profile.node_autoscaling else "as many as asked for"
    return {
        "cluster": f"{cluster.name} (existing)" if cluster.existing else cluster.name,
        "Kubernetes": cluster.version or "the plugin's default",
        "nodes": pools or ("the cloud's choice" if target.profile.node_autoscaling else str(cluster.nodes.min)),
        "node count": grows,
    }
