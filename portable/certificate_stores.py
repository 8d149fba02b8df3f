"""Certificates for `tls: auto` where load balancers take them from a cloud's store: asked for, proven by DNS, waited for."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from portable.compile.network import is_local
from portable.compile.objects import Objects
from portable.dns import ownership
from portable.dns.places import find_place, services
from portable.dns.public import line
from portable.errors import ProviderError
from portable.events import Emit, Notice
from portable.polling import Pending, poll
from portable.provider import Certificate, Certificates, Record, Zones
from portable.steps import step
from portable.target import Target

# A store looks at the records within minutes; a person writes them when they have time.
PATIENCE = 1800.0


def request_certificates(
    target: Target,
    objects: Objects,
    emit: Emit,
    *,
    interval: float = 5.0,
    timeout: float = PATIENCE,
) -> None:
    """Where load balancers take certificates from a store: asks it for one for each host, proves the hosts, waits.

    Raises ProviderError where the store says no, or where records that a person has to write are not there in time.
    """
    if not isinstance(target.provider, Certificates):
        return
    hosts = sorted({route.host for route in objects.routes if route.auto_tls})
    for host in filter(is_local, hosts):
        emit(
            Notice(
                f"{host} gets no certificate on {target.provider.title}: it is a name of your own machine", "warning"
            )
        )
    public = [host for host in hosts if not is_local(host)]
    if not public:
        return
    with step(emit, "certificates", "certificates of the routes"):
        _wait_issued(target, _ask(target, target.provider, public), emit, interval, timeout)


def delete_certificates(target: Target, emit: Emit) -> None:
    """Those that the app had requested, and the records that proved them. To be called when its load balancers are gone."""
    if not isinstance(target.provider, Certificates):
        return
    owner = target.home.app_stack
    gone = target.provider.delete_certificates(target.app.cluster, owner)
    among = services(target.provider, target.app.cluster) if gone else ()
    for record in (record for certificate in gone for record in certificate.validation):
        try:
            place = find_place(among, record.name, emit)
            if place is not None:
                ownership.withdraw(place.zones, place.zone, record.name, owner)
        except ProviderError as error:
            emit(Notice(f"the DNS record of {record.name} could not be deleted: {error.message}", "warning"))


def _ask(target: Target, store: Certificates, hosts: Sequence[str]) -> Callable[[], list[Certificate]]:
    def asked() -> list[Certificate]:
        found = [store.certificate_for(target.app.cluster, host, target.home.app_stack) for host in hosts]
        for certificate in found:
            if certificate.status == "failed":
                raise ProviderError(
                    f"{target.provider.title} refuses a certificate for {certificate.host}: {certificate.reason}",
                    fix="mend what it says (a CAA record must allow it), then run `portable up` again",
                )
        return found

    return asked


def _written(among: Sequence[Zones], record: Record, owner: str, emit: Emit) -> bool:
    place = find_place(among, record.name, emit)
    if place is not None:
        ownership.publish(place.zones, place.zone, record, owner)
    return place is not None


def _wait_issued(
    target: Target, asked: Callable[[], list[Certificate]], emit: Emit, interval: float, timeout: float
) -> None:
    """Each record that proves a host is written, or told to a person, once the store names it."""
    among = services(target.provider, target.app.cluster)
    seen: set[Record] = set()
    lacking: list[Record] = []

    def check() -> list[Certificate] | Pending:
        found = asked()
        pending = [certificate for certificate in found if certificate.status == "pending"]
        for record in (record for certificate in pending for record in certificate.validation):
            if record not in seen and not _written(among, record, target.home.app_stack, emit):
                lacking.append(record)
                emit(Notice(f"create the DNS record: {line(record)}", "warning"))
            seen.add(record)
        return Pending(f"{', '.join(each.host for each in pending)} not proven yet") if pending else found

    try:
        poll(
            check,
            what="certificates",
            timeout=timeout,
            emit=emit,
            usual="1-10 min",
            step="certificates",
            interval=interval,
        )
    except ProviderError as error:
        if lacking:
            error.detail += "\n" + "\n".join(f"create the DNS record: {line(record)}" for record in lacking)
            error.fix = "create them where the domain's DNS is, then run `portable up` again: it goes on from here"
        raise
