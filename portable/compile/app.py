"""An app on a profile, as Kubernetes objects: the parts put together, patched, and given their digests."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from typing import Any

from portable.compile import connections, databases, identity, names, network, scaling, security, storage
from portable.compile import workload as workloads
from portable.compile.objects import (
    CompiledWorkload,
    ExpectedSecret,
    GeneratedSecret,
    Item,
    Objects,
    logical_name,
    reference,
)
from portable.compile.outputs import public_outputs
from portable.compile.patches import apply_patches
from portable.compile.ports import pod_ports
from portable.compile.scope import Scope
from portable.errors import SpecError
from portable.provider import KubeObject, Profile
from portable.spec.model import App, Database, Registry, Secret, Volume

# The order in which objects are applied: what others stand on, what protects them, what they read, themselves.
_ORDER = (
    ("Namespace",),
    ("StorageClass", "IngressClass"),
    ("ServiceAccount",),
    ("NetworkPolicy",),
    ("ConfigMap",),
    ("PersistentVolumeClaim",),
    ("Service",),
    ("StatefulSet", "Deployment", "Job", "CronJob"),
    ("PodDisruptionBudget",),
    ("HorizontalPodAutoscaler",),
    ("Ingress",),
)
_RANK = {kind: rank for rank, kinds in enumerate(_ORDER) for kind in kinds}
_CONTROLLERS = _ORDER[7]
_CLUSTER_WIDE = ("StorageClass", "IngressClass")


def compile_app(
    app: App,
    profile: Profile,
    *,
    secret_digests: Mapping[str, str] | None = None,
    image_digests: Mapping[str, str] | None = None,
) -> Objects:
    """The objects of `app` on `profile`.

    `secret_digests` (resource name -> keyed digest of its present values) and `image_digests` (image -> digest of what its
    tag means at present) are written into the pods that use them, so that a change rolls them out.
    Pure: the same arguments give the same objects, byte for byte. Raises SpecError with every Problem found: what this
    cloud cannot honour, and patches that do not apply. What is wrong on every cloud `portable.spec` has refused before.
    """
    scope = Scope(
        app, profile, secret_digests or {}, image_digests or {}, connections.links(app), storage.mounters(app)
    )
    _check(scope)
    items, generated = _build(scope)
    _check_names(scope, items)
    items = apply_patches(scope, items)
    if scope.problems:
        raise SpecError(scope.problems)
    _policy_note(scope)
    return _finish(scope, items, generated)


def _check(scope: Scope) -> None:
    for workload in scope.app.workloads.values():
        for check in (security.check, identity.check, scaling.check, network.check, workloads.check):
            check(scope, workload)
    for resource in scope.app.resources.values():
        if isinstance(resource, Volume):
            storage.check(scope, resource)
        elif isinstance(resource, Database):
            databases.check(scope, resource)


def _check_names(scope: Scope, items: list[Item]) -> None:
    """Names that we derive ("db-pods") may meet one that the spec chose."""
    seen: dict[str, str | None] = {}
    for item in items:
        name = logical_name(item.manifest)
        if name in seen:
            first, second = (owner or "the app itself" for owner in (seen[name], item.workload))
            section = "workloads" if item.workload in scope.app.workloads else "resources"
            message = f"{first} and {second} would both have a {item.manifest['kind']} called {name.partition('/')[2]}"
            scope.problem((section, item.workload or ""), message, expected="another name for one of them")
        seen[name] = item.workload


def _build(scope: Scope) -> tuple[list[Item], list[GeneratedSecret]]:
    items = [*_shared_items(scope)]
    generated: list[GeneratedSecret] = []
    for database in connections.databases(scope.app).values():
        compiled = databases.compile_database(scope, database)
        items += [Item(each, database.name) for each in (*compiled.objects, compiled.controller)]
        items.append(Item(compiled.claim, database.name, kept=True))
        generated.append(compiled.credentials)
    configs: dict[str, Item] = {}
    for workload in scope.app.workloads.values():
        parts = workloads.compile_workload(scope, workload)
        items += [Item(each, workload.name) for each in _beside(scope, workload.name)]
        items.append(Item(parts.controller, workload.name))
        for config in parts.config:
            owner = config["metadata"]["labels"].get(names.WORKLOAD_LABEL)
            configs[logical_name(config)] = Item(config, owner)
        generated += parts.generated
    items += configs.values()
    for volume in scope.app.resources.values():
        if isinstance(volume, Volume):
            items += [Item(manifest, workload, kept=True) for manifest, workload in storage.claims(scope, volume)]
    return items, sorted(generated, key=lambda secret: (not secret.generate, secret.name))


def _beside(scope: Scope, name: str) -> Iterator[KubeObject]:
    """What a workload has beside its controller."""
    workload = scope.app.workloads[name]
    yield identity.workload_account(scope, workload)
    if network.has_service(workload):
        yield network.service(scope.app, workload.name, pod_ports(workload))
    if workload.kind == "stateful":
        yield network.peers(scope.app, workload)
    for optional in (scaling.disruption_budget(scope, workload), scaling.autoscaler(scope, workload)):
        if optional is not None:
            yield optional


def _shared_items(scope: Scope) -> Iterator[Item]:
    levels = [security.level(workload) for workload in scope.app.workloads.values()]
    yield Item(security.namespace(scope.app, security.highest(levels)))
    stores = any(isinstance(resource, Volume | Database) for resource in scope.app.resources.values())
    routed = network.ingresses(scope)
    classes = (scope.profile.storage.objects if stores else ()) + (scope.profile.ingress.objects if routed else ())
    for manifest in classes:
        brought = copy.deepcopy(manifest)  # the profile's own stays as it is, whatever is done to ours
        brought["metadata"]["labels"] = {"app.kubernetes.io/managed-by": names.MANAGER}
        yield Item(brought, kept=True)
    for manifest, workload in network.policies(scope):
        yield Item(manifest, workload)
    for manifest in [*network.certificate_objects(scope), *routed]:
        yield Item(manifest)


def _policy_note(scope: Scope) -> None:
    title = scope.profile.title
    if scope.profile.policy_enforced:
        scope.note(f"network policies are enforced on {title}: only what the spec connects can connect")
    else:
        scope.note(f"network policies are written but not enforced: nothing on {title} acts on them")


# Digests and order


def pod_template(manifest: KubeObject) -> dict[str, Any] | None:
    """The pod template of a controller; None for other objects."""
    if manifest["kind"] not in _CONTROLLERS:
        return None
    spec = manifest["spec"]
    return spec["jobTemplate"]["spec"]["template"] if manifest["kind"] == "CronJob" else spec["template"]


def _finish(scope: Scope, items: list[Item], generated: list[GeneratedSecret]) -> Objects:
    waves = _waves(scope)
    compiled: dict[str, CompiledWorkload] = {}
    for item in items:
        template = pod_template(item.manifest)
        if template is not None and item.workload is not None:
            compiled[item.workload] = _stamp(scope, item, template)
    expected = _expected(scope)
    ordered = _with_dependencies(sorted(items, key=lambda item: _position(item, waves)))
    content = [[item.manifest for item in ordered], [(secret.name, dict(secret.templates)) for secret in generated]]
    return Objects(
        app=scope.app.name,
        environment=scope.app.environment,
        cloud=scope.profile.cloud,
        namespace=scope.app.namespace,
        items=tuple(ordered),
        workloads={name: compiled[name] for name in sorted(compiled, key=lambda name: (waves.get(name, 0), name))},
        generated=tuple(generated),
        expected=tuple(expected),
        routes=network.routes(scope.app),
        notes=tuple(scope.notes),
        outputs=_outputs(scope.app),
        security_level=security.highest(security.level(each) for each in scope.app.workloads.values()),
        digest=names.digest(content, 64),
    )


def _stamp(scope: Scope, item: Item, template: dict[str, Any]) -> CompiledWorkload:
    """Writes the template's digest into it, and into a job's name: a job runs once for each digest.

    The template names its ConfigMaps by their content and carries the digests of its secrets and of the images that a
    mutable tag stands for, so its own covers them all.
    """
    metadata, spec = template["metadata"], template["spec"]
    annotations = {**metadata.get("annotations", {}), **_image_annotations(scope, spec)}
    if annotations:
        metadata["annotations"] = annotations
    found = names.digest(template)
    metadata["annotations"] = dict(sorted({**annotations, names.DIGEST_ANNOTATION: found}.items()))
    if item.manifest["kind"] == "Job":
        item.manifest["metadata"]["name"] += f"-{found[:8]}"
    images = [container["image"] for container in containers(spec)]
    name = item.workload or ""
    workload = scope.app.workloads.get(name)
    if workload is None:
        controller = reference(item.manifest)
        return CompiledWorkload(
            name, controller, found, databases.TIMEOUT, "rollback", images=tuple(images), section="resources"
        )
    return CompiledWorkload(
        name=name,
        controller=reference(item.manifest),
        digest=found,
        timeout=workload.rollout.timeout,
        on_failure=workload.rollout.on_failure,
        autoscaled=workload.scale.automatic,
        scale_min=scaling.replicas(scope, workload) if workload.scale.automatic else None,
        images=tuple(dict.fromkeys(images)),
        after=_after(scope, name),
    )


def containers(spec: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [*spec.get("initContainers", ()), *spec["containers"]]


def _image_annotations(scope: Scope, spec: Mapping[str, Any]) -> dict[str, str]:
    known = scope.image_digests
    return {
        names.IMAGE_ANNOTATION + container["name"]: known[container["image"]]
        for container in containers(spec)
        if container["image"] in known
    }


def _after(scope: Scope, name: str) -> dict[str, Any]:
    """What must be ready or complete before the workload starts: what it names, and the databases that it connects to."""
    used = connections.used_databases(scope.app, scope.links.get(name, frozenset()))
    return dict(sorted({**dict.fromkeys(used, "ready"), **scope.app.workloads[name].after}.items()))


def _waves(scope: Scope) -> dict[str, int]:
    """Workload or database -> how many others stand before it in a row. A cycle (the spec forbids them) ends up last."""
    waves = dict.fromkeys(connections.databases(scope.app), 0)
    waiting = {
        name: frozenset(_after(scope, name)) & scope.app.workloads.keys() for name in sorted(scope.app.workloads)
    }
    used = {name: any(other in waves for other in _after(scope, name)) for name in waiting}
    while waiting:
        free = [name for name, others in waiting.items() if not others & waiting.keys()] or list(waiting)
        for name in free:
            before = [waves[other] for other in waiting[name] if other in waves]
            waves[name] = max([wave + 1 for wave in before] + [1 if used[name] else 0])
        waiting = {name: others for name, others in waiting.items() if name not in free}
    return waves


def _position(item: Item, waves: Mapping[str, int]) -> tuple[int, int, str, str]:
    manifest = item.manifest
    rank = _RANK.get(manifest["kind"], len(_ORDER))
    wave = waves.get(item.workload or "", 0) if manifest["kind"] in _CONTROLLERS else 0
    return rank, wave, manifest["kind"] if rank == len(_ORDER) else "", manifest["metadata"]["name"]


def _with_dependencies(items: list[Item]) -> list[Item]:
    known = {logical_name(item.manifest) for item in items}
    namespace = [logical_name(item.manifest) for item in items if item.manifest["kind"] == "Namespace"]
    found: list[Item] = []
    for item in items:
        wanted = [] if item.manifest["kind"] in ("Namespace", *_CLUSTER_WIDE) else [*namespace]
        wanted += sorted(name for name in _references(item.manifest) if name in known)
        found.append(Item(item.manifest, item.workload, item.kept, tuple(dict.fromkeys(wanted))))
    return found


def _references(manifest: KubeObject) -> set[str]:
    """Logical names of the objects that this one needs."""
    template = pod_template(manifest)
    if template is not None:
        spec = template["spec"]
        volumes = spec.get("volumes", ())
        return {
            f"ServiceAccount/{spec.get('serviceAccountName')}",
            *(f"ConfigMap/{each['configMap']['name']}" for each in volumes if "configMap" in each),
            *(
                f"PersistentVolumeClaim/{each['persistentVolumeClaim']['claimName']}"
                for each in volumes
                if "persistentVolumeClaim" in each
            ),
        }
    spec = manifest.get("spec", {})
    match manifest["kind"]:
        case "HorizontalPodAutoscaler":
            return {f"{spec['scaleTargetRef']['kind']}/{spec['scaleTargetRef']['name']}"}
        case "PersistentVolumeClaim":
            return {f"StorageClass/{spec.get('storageClassName')}"}
        case "Ingress":
            paths = (path for rule in spec["rules"] for path in rule["http"]["paths"])
            return {
                f"IngressClass/{spec.get('ingressClassName')}",
                *(f"Service/{path['backend']['service']['name']}" for path in paths),
            }
        case _:
            return set()


# What the app expects and gives


def _expected(scope: Scope) -> list[ExpectedSecret]:
    """Secrets whose values come from the user or, for certificates, from the provider."""
    certificates = network.tls_secrets(scope.app)
    found: list[ExpectedSecret] = []
    for name, resource in sorted(scope.app.resources.items()):
        if isinstance(resource, Registry):
            found.append(ExpectedSecret(name, name, (".dockerconfigjson",), "kubernetes.io/dockerconfigjson"))
        elif isinstance(resource, Secret) and name in certificates:
            found.append(ExpectedSecret(name, name, ("tls.crt", "tls.key"), "kubernetes.io/tls"))
        elif isinstance(resource, Secret):
            found.append(ExpectedSecret(name, name, resource.keys))
    return found + network.expected_certificates(scope)


def _outputs(app: App) -> dict[str, str]:
    return {
        f"resources.{name}.{output}": value
        for name, resource in sorted(app.resources.items())
        if isinstance(resource, Database)
        for output, value in sorted(public_outputs(resource).items())
    }
