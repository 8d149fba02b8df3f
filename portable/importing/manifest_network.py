"""What leads to workloads and what scales them: Services, Ingresses, autoscalers, disruption budgets."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from portable.importing.draft import Draft, Section, label, port_name
from portable.importing.manifest_objects import Found, Manifest
from portable.spec.document import Node

_CONTROLLERS = ("Deployment", "StatefulSet", "Job", "CronJob")
Names = Mapping[tuple[str, str], str]


def workload_names(found: Found) -> dict[tuple[str, str], str]:
    """Controller -> the workload's name: that of its only Service, since others dial that; else its own."""
    controllers = found.of(*_CONTROLLERS)
    own = {label(each.name) for each in controllers}
    names: dict[tuple[str, str], str] = {}
    for each in controllers:
        services = [service for service in _services(found, each) if not _headless(service)]
        name = label(each.name)
        if (
            len(services) == 1
            and label(services[0].name) != name
            and label(services[0].name) not in {*own, *names.values()}
        ):
            name = label(services[0].name)
            each.section(name).report(
                each.document.root,
                f"{each.kind} {each.name} is called {name} here",
                "by its Service, as others dial it",
            )
        while name in names.values():
            name += "-2"
        names[each.key] = name
    return names


def connect(found: Found, names: Names, draft: Draft) -> None:
    targets: dict[str, str] = {}
    for each in found.of("Deployment", "StatefulSet"):
        body = draft.workloads[names[each.key]]
        for service in _services(found, each):
            targets[service.name] = names[each.key]
            _service(service, each, names[each.key], body)
    for ingress in found.of("Ingress"):
        _ingress(found, ingress, targets, draft)
    for autoscaler in found.of("HorizontalPodAutoscaler"):
        for each in found.of("Deployment", "StatefulSet"):
            if scales(autoscaler, each):
                draft.workloads[names[each.key]]["scale"] = _autoscaled(autoscaler, names[each.key])
    for budget in found.of("PodDisruptionBudget"):
        for each in found.of("Deployment", "StatefulSet"):
            if _selects(budget.plain("spec", "selector", "matchLabels"), each):
                _budget(budget, names[each.key], draft.workloads[names[each.key]])


def scales(autoscaler: Manifest, controller: Manifest) -> bool:
    target = autoscaler.plain("spec", "scaleTargetRef") or {}
    return (target.get("kind"), target.get("name")) == controller.key


def _services(found: Found, controller: Manifest) -> list[Manifest]:
    selecting = [each for each in found.of("Service") if _selects(each.plain("spec", "selector"), controller)]
    return sorted(selecting, key=_headless)


def _selects(selector: Any, controller: Manifest) -> bool:
    labels = controller.plain("spec", "template", "metadata", "labels") or {}
    return bool(selector) and all(labels.get(key) == value for key, value in selector.items())


def _headless(service: Manifest) -> bool:
    return service.plain("spec", "clusterIP") == "None"


def _service(service: Manifest, controller: Manifest, workload: str, body: dict[str, Any]) -> None:
    about = service.section(workload)
    if label(service.name) != workload and not _headless(service):
        about.report(
            service.document.root,
            f"the Service {service.name} is not taken over under its name",
            f"others dial {workload}",
        )
    service.taken = True
    spec = about.section("spec")
    if spec is None:
        return
    kind = spec.text("type", "ClusterIP")
    if kind != "ClusterIP":
        spec.report(
            spec.node.child("type"), f"the type {kind} is not taken over", "`routes` lead to a workload from outside"
        )
    ports = body.setdefault("service", {"ports": {}})["ports"]
    named = _container_ports(controller)
    for port in spec.sections("ports"):
        number, protocol = port.value("port"), port.text("protocol", "TCP")
        target = port.value("targetPort", number)
        target = named.get(target, target) if isinstance(target, str) else target
        name = label(port.text("name")) if port.text("name") else port_name(number, protocol)
        if port.value("nodePort"):
            port.report(
                port.node.child("nodePort"), "nodePort is not taken over", "`routes` lead to a workload from outside"
            )
        port.close({}, silent=("appProtocol",))
        if not isinstance(target, int):
            port.report(port.node, f"no container port is called {target}", "name its number")
            continue
        entry = (
            {"port": number}
            | ({"targetPort": target} if target != number else {})
            | ({"protocol": "UDP"} if protocol == "UDP" else {})
        )
        if entry not in ports.values():
            ports[name if name not in ports else port_name(number, protocol)] = entry
    spec.close({"sessionAffinity": "requests are spread over all pods"}, silent=_USUAL_SERVICE)


_USUAL_SERVICE = (
    "selector", "clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy", "publishNotReadyAddresses", "internalTrafficPolicy",
)  # fmt: skip


def _container_ports(controller: Manifest) -> dict[str, int]:
    containers = controller.plain("spec", "template", "spec", "containers") or []
    ports = [port for container in containers for port in container.get("ports") or ()]
    return {port["name"]: port["containerPort"] for port in ports if "name" in port}


def _ingress(found: Found, ingress: Manifest, targets: Mapping[str, str], draft: Draft) -> None:
    ingress.taken = True
    about = ingress.section("")
    metadata, spec = about.section("metadata"), about.section("spec")
    automatic = any("cert-manager" in key or "acme" in key for key in ingress.annotations)
    if metadata is not None and (annotations := metadata.take("annotations")) is not None and not automatic:
        metadata.report(
            annotations, "the annotations of the Ingress are not taken over", "a patch can set them, for one cloud"
        )
    if spec is None:
        return
    secrets: dict[str, str] = {}
    for tls in spec.sections("tls"):
        secret = tls.text("secretName")
        for host in tls.value("hosts", []):
            secrets[host] = "auto" if automatic or not secret else draft.named("secret", secret)
        if secret and not automatic:
            draft.resources[draft.named("secret", secret)] = {"type": "secret", "keys": ["tls.crt", "tls.key"]}
    for rule in spec.sections("rules"):
        http = rule.section("http")
        for path in http.sections("paths") if http is not None else ():
            _route(rule, path, targets, secrets, draft)
    backend = spec.section("defaultBackend")
    if backend is not None:
        spec.report(backend.node, "defaultBackend is not taken over", "a route has a host")
    if class_name := spec.take("ingressClassName"):
        spec.report(class_name, "ingressClassName is not taken over", "the cloud's plugin chooses the class")
    for stored in found.of("Secret"):
        if draft.names.get(("secret", stored.name)) in secrets.values():
            stored.taken = True


def _route(rule: Section, path: Section, targets: Mapping[str, str], secrets: Mapping[str, str], draft: Draft) -> None:
    backend = path.value("backend", {}).get("service") or {}
    workload = targets.get(backend.get("name", ""))
    if workload is None:
        path.report(
            path.node,
            f"the route to {backend.get('name', 'no service')} is not taken over",
            "no workload has that Service",
        )
        return
    here = Section(path.node, path.document, path.draft, workload)
    host = rule.text("host")
    if not host:
        here.report(rule.node, "a route without a host gets one", f"{workload}.localhost: choose your own")
        host = f"{workload}.localhost"
    if path.text("pathType") == "Exact":
        here.report(
            path.node.child("pathType"), "pathType: Exact is not taken over", "a route takes all that is below its path"
        )
    routes = draft.workloads[workload].setdefault("routes", {})
    port = backend.get("port") or {}
    number = port.get("number", port.get("name"))
    entry = {"host": host} | ({"path": path.text("path")} if path.text("path", "/") != "/" else {})
    entry |= {"port": number} if number is not None else {}
    entry |= {"tls": secrets[host]} if host in secrets else {}
    routes[f"route-{len(routes) + 1}" if routes else "main"] = entry


def _autoscaled(autoscaler: Manifest, workload: str) -> dict[str, Any]:
    autoscaler.taken = True
    about = autoscaler.section(workload)
    spec = about.section("spec") or about.of(Node({}, about.node.mark))
    found: dict[str, Any] = {"min": spec.value("minReplicas", 1), "max": spec.value("maxReplicas")}
    if old := spec.value("targetCPUUtilizationPercentage"):
        found["cpu"] = old
    for metric in spec.sections("metrics"):
        resource = metric.value("resource", {})
        target = resource.get("target", {}).get("averageUtilization")
        if resource.get("name") in ("cpu", "memory") and target is not None:
            found[resource["name"]] = target
        else:
            metric.report(
                metric.node,
                "this metric is not taken over",
                "`scale` follows cpu and memory, in percent of the request",
            )
    if not {"cpu", "memory"} & found.keys():
        found = {"min": found["min"]}
    spec.close({"behavior": "it grows at once and shrinks slowly"}, silent=("scaleTargetRef",))
    return found


def _budget(budget: Manifest, workload: str, body: dict[str, Any]) -> None:
    budget.taken = True
    about = budget.section(workload)
    spec = about.section("spec") or about.of(Node({}, about.node.mark))
    allowed, needed = spec.value("maxUnavailable"), spec.value("minAvailable")
    count = body.get("scale", {}).get("min", 1)
    if allowed is None and isinstance(needed, int) and count > needed:
        allowed = count - needed
    if allowed is None:
        spec.report(
            spec.node.child("minAvailable"),
            "minAvailable is not taken over",
            "`availability.disruption` says how many may be away",
        )
    else:
        body["availability"] = {"disruption": allowed}
    spec.close({}, silent=("selector", "unhealthyPodEvictionPolicy"))
