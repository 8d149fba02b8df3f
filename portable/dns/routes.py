"""Routes and DNS: once the load balancer of an Ingress has its address, each host's record says so, or is printed.

Hosts below `.localhost` are this machine's own and need none; neither does a provider that knows how its routes are reached.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import replace

from portable.compile.network import is_local
from portable.compile.objects import Objects
from portable.dns import ledger, ownership
from portable.dns.ledger import Entry
from portable.dns.places import find_place, services
from portable.dns.public import line
from portable.dns.settings import dns_settings
from portable.errors import ClusterError, ProviderError
from portable.events import Emit, Notice
from portable.kube import Kube
from portable.outputs import Address, addresses
from portable.polling import Pending, poll
from portable.provider import KubeObject, Provider, Record, Routes, Zones
from portable.situation import namespace_labels
from portable.steps import step
from portable.target import Target, connect

TTL = 300
_USUAL = "1-4 min"


def publish_routes(
    target: Target, kube: Kube, objects: Objects, emit: Emit, *, settled: bool = False, interval: float = 3.0
) -> tuple[Address, ...]:
    """Makes the DNS records of all routes true; returns where they answer, with what a person has to create.

    `settled`: nothing else changed, so what was written before is taken to stand, and no service is asked for it.
    Raises ProviderError where a record belongs to somebody else, and UsageError for settings that cannot be.
    """
    hosts = public_hosts(target.provider, objects)
    before = () if isinstance(target.provider, Routes) else ledger.read(kube, objects.namespace)
    if hosts or before:
        with step(emit, "dns", "DNS records of the routes") as progress:
            wanted = _records(kube, objects, hosts, emit, interval)
            if settled and _stands(before, wanted):
                progress.skip("as they are")
            else:
                entries, refused = _write(target, wanted, before, emit)
                ledger.write(kube, objects.namespace, namespace_labels(objects), entries)
                if refused:
                    raise refused[0]
    return route_addresses(target, kube, objects)


def route_addresses(target: Target, kube: Kube, objects: Objects) -> tuple[Address, ...]:
    """Where routes answer; the note of a route whose record is a person's to write says which one."""
    found = addresses(target, objects)
    if not public_hosts(target.provider, objects):
        return tuple(found)
    notes = {entry.record.name: note(entry) for entry in ledger.read(kube, objects.namespace)}
    hosts = {(route.workload, route.name): route.host for route in objects.routes}

    def noted(at: Address) -> Address:
        host = hosts[at.workload, at.route]
        missing = "" if is_local(host) else "no load balancer address yet: `portable up` again writes its DNS record"
        return replace(at, note="\n".join(filter(None, (at.note, notes.get(host, missing)))))

    return tuple(noted(at) for at in found)


def record_outputs(target: Target, objects: Objects) -> dict[str, str]:
    """ "workloads.web.routes.shop.record" -> the line of its DNS record, of what `up` wrote or asked for. Empty without a cluster
    that answers: names and URLs are told without one."""
    if not public_hosts(target.provider, objects):
        return {}
    try:
        with connect(target) as kube:
            lines = {entry.record.name: line(entry.record) for entry in ledger.read(kube, objects.namespace)}
    except (ProviderError, ClusterError):
        return {}
    return {
        f"workloads.{route.workload}.routes.{route.name}.record": lines[route.host]
        for route in objects.routes
        if route.host in lines
    }


def note(entry: Entry) -> str:
    """What a person has to do for a record, if anything."""
    from portable.dns.public import is_true

    if entry.service or is_true(entry.record):
        return ""
    return f"create the DNS record: {line(entry.record)}"


def withdraw_routes(target: Target, kube: Kube | None, objects: Objects, emit: Emit) -> None:
    """Deletes the app's records before what they point to goes: a name that leads to a freed address can be taken over.

    `kube` None: the cluster is gone, and with it the ledger; then the hosts of the spec are looked up. What cannot be
    deleted is named in a warning.
    """
    if isinstance(target.provider, Routes):
        return
    if kube is None:
        owned = public_hosts(target.provider, objects)
    else:
        owned = [entry.record.name for entry in ledger.read(kube, objects.namespace) if entry.ours]
    among = services(target.provider, target.app.cluster) if owned else ()
    for host in owned:
        _withdraw(among, host, target.home.app_stack, emit, written=kube is not None)
    if kube is not None:
        kube.delete("v1", "ConfigMap", ledger.NAME, objects.namespace, propagation="Background")


def public_hosts(provider: Provider, objects: Objects) -> list[str]:
    if isinstance(provider, Routes):
        return []
    return sorted({route.host for route in objects.routes if not is_local(route.host)})


# Load balancers


def load_balancer_records(ingresses: Sequence[KubeObject], hosts: Sequence[str]) -> dict[str, Record]:
    """host -> the record that leads to the load balancer of the Ingress that serves it; hosts without one are left out."""
    found: dict[str, Record] = {}
    for ingress in ingresses:
        points = ingress.get("status", {}).get("loadBalancer", {}).get("ingress") or ()
        served = [rule["host"] for rule in ingress["spec"].get("rules", ()) if rule.get("host") in hosts]
        for host in served:
            record = _record(host, points)
            if record is not None:
                found[host] = record
    return found


def _record(host: str, points: Sequence[Mapping[str, str]]) -> Record | None:
    """IPv4 before IPv6: a name that has only one of them should have the one that everybody reaches."""
    names = [point["hostname"] for point in points if point.get("hostname")]
    ips = sorted(point["ip"] for point in points if point.get("ip"))
    four = tuple(ip for ip in ips if ":" not in ip)
    if four or ips:
        return Record(host, "A" if four else "AAAA", four or tuple(ips), TTL)
    return Record(host, "CNAME", (names[0].rstrip(".").lower(),), TTL) if names else None


def _records(kube: Kube, objects: Objects, hosts: Sequence[str], emit: Emit, interval: float) -> dict[str, Record]:
    """Waits, within a bound, until every host's load balancer has an address. What has none then is left out, and named."""
    deadline = time.monotonic() + dns_settings().address_wait
    found: dict[str, Record] = {}

    def check() -> dict[str, Record] | Pending:
        nonlocal found
        found = load_balancer_records(kube.list("networking.k8s.io/v1", "Ingress", objects.namespace), hosts)
        if len(found) == len(hosts) or time.monotonic() >= deadline:
            return found
        return Pending(f"{len(found)} of {len(hosts)} hosts have an address")

    poll(
        check, what="load balancer", timeout=float("inf"), emit=emit, usual=_USUAL, step="dns", interval=interval
    )  # fmt: skip
    if lacking := sorted(set(hosts) - set(found)):
        emit(
            Notice(
                f"the load balancer of {', '.join(lacking)} has no address yet: run `portable up` again later, or see"
                " `kubectl describe ingress`",
                "warning",
            )
        )
    return found


# Records


def _stands(before: Sequence[Entry], wanted: Mapping[str, Record]) -> bool:
    return {entry.record.name: entry.record for entry in before if entry.service} == dict(wanted)


def _write(
    target: Target, wanted: Mapping[str, Record], before: Sequence[Entry], emit: Emit
) -> tuple[list[Entry], list[ProviderError]]:
    """Returns the new ledger, and the errors of hosts that could not be served; one host's does not keep back the others."""
    among = services(target.provider, target.app.cluster)
    owner = target.home.app_stack
    entries, refused = _leave(target, wanted, before, among, emit), []
    ours = {entry.record.name for entry in before if entry.ours}
    for host, record in wanted.items():
        try:
            entries.append(_written(among, record, owner, emit, ours=host in ours))
        except ProviderError as error:
            refused.append(error)
            entries.append(Entry(record, ours=host in ours))
    return entries, refused


def _leave(
    target: Target, wanted: Mapping[str, Record], before: Sequence[Entry], among: Sequence[Zones], emit: Emit
) -> list[Entry]:
    """Deletes records of ours that no route needs any more; one whose load balancer is only late stays and is returned."""
    served = {route.host for workload in target.app.workloads.values() for route in workload.routes.values()}
    left = [entry for entry in before if entry.ours and entry.record.name not in wanted]
    for entry in left:
        if entry.record.name not in served:
            _withdraw(among, entry.record.name, target.home.app_stack, emit)
    return [entry for entry in left if entry.record.name in served]


def _written(among: Sequence[Zones], record: Record, owner: str, emit: Emit, *, ours: bool) -> Entry:
    place = find_place(among, record.name, emit)
    if place is None:
        return Entry(record, ours=ours)
    return Entry(record, place.zones.title, place.zone, ownership.publish(place.zones, place.zone, record, owner))


def _withdraw(among: Sequence[Zones], host: str, owner: str, emit: Emit, *, written: bool = True) -> None:
    """`written`: that the record was made is known."""
    try:
        place = find_place(among, host, emit)
        if place is not None:
            ownership.withdraw(place.zones, place.zone, host, owner)
        elif written:
            words = "nothing that portable may write to has its zone now"
            emit(Notice(f"the DNS record of {host} stays: {words}. Delete it by hand", "warning"))
    except ProviderError as error:
        emit(Notice(f"the DNS record of {host} could not be deleted: {error.message}", "warning"))
