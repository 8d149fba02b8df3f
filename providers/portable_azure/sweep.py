"""What carries a cluster's tag after the cluster is gone: resource groups (AKS' own among them), data, trust in its accounts."""

from __future__ import annotations

from typing import Any

from portable.errors import ProviderError
from portable.events import Emit
from portable.provider import Leftover
from portable.spec.model import Cluster
from portable_azure import access, identities, kept, names, operations
from portable_azure.failures import told
from portable_azure.groups import delete_group
from portable_azure.session import Session

GROUP, DISK, ACCOUNT, TRUST, OTHER = "resource group", "disk", "storage account", "federated credential", "resource"
_STORAGE_API = "2024-01-01"
_DISKS, _ACCOUNTS = "microsoft.compute/disks", "microsoft.storage/storageaccounts"


def leftovers(session: Session, cluster: Cluster) -> tuple[Leftover, ...]:
    """Data first, then the groups that it is in. Of a cluster that is there, whoever made it, only its data: the rest is not left
    behind. Raises ProviderError."""
    if cluster.existing:
        return ()
    found: list[Leftover] = []
    for group in _groups(session, cluster.name):
        found += _inside(session, cluster.name, group)
        found.append(
            Leftover(GROUP, group, "with all that is in it" if group != names.data_group(cluster.name) else "")
        )
    if access.find(session, cluster) is not None:
        return tuple(entry for entry in found if entry.data)
    return (*found, *_trusts(session, cluster.name))


def remove(session: Session, leftover: Leftover, emit: Emit) -> str:
    """Empty when it is gone, else why it could not be removed."""
    try:
        with told(f"removing the {leftover.kind} {leftover.id}"):
            return _remove(session, leftover, emit)
    except ProviderError as error:
        return f"{error.message}: {error.detail}" if error.detail else error.message


def _remove(session: Session, leftover: Leftover, emit: Emit) -> str:
    if leftover.kind == DISK:
        kept.delete_disk(session, leftover.id, emit)
    elif leftover.kind == ACCOUNT:
        _remove_account(session, leftover.id, emit)
    elif leftover.kind == TRUST:
        identities.remove(session, leftover.id)
    elif leftover.kind == GROUP:
        return _remove_group(session, leftover.id, emit)
    else:
        return "portable did not make it"
    return ""


def _remove_account(session: Session, account: str, emit: Emit) -> None:
    begin = session.resources.resources.begin_delete_by_id
    operations.finish(
        session,
        lambda **resumed: begin(account, api_version=_STORAGE_API, **resumed),
        what=f"deleting the storage account {account.rpartition('/')[2]}",
        emit=emit,
    )


def _remove_group(session: Session, group: str, emit: Emit) -> str:
    """A group of ours goes when it is empty; the one that AKS made for its nodes goes as it is."""
    if group.startswith(names.PREFIX):
        inside = [f"{entry.type} {entry.name}" for entry in session.resources.resources.list_by_resource_group(group)]
        if inside:
            return f"it holds {', '.join(sorted(inside))}"
    delete_group(session, group, emit)
    return ""


def _groups(session: Session, cluster: str) -> list[str]:
    """AKS hands a cluster's tags on to the group of its nodes, and notes there whose it is. Another's group with our tag is not ours."""
    wanted = f"tagName eq '{names.STACK_TAG}' and tagValue eq '{names.stack(cluster)}'"
    manager = names.cluster_id(session.subscription, names.group(cluster), cluster).lower()
    with told("looking for what was left"):
        tagged = {
            str(group.name): str(group.managed_by or "").lower()
            for group in session.resources.resource_groups.list(filter=wanted)
        }
    return sorted(name for name, by in tagged.items() if name.startswith(names.PREFIX) or by == manager)


def _inside(session: Session, cluster: str, group: str) -> list[Leftover]:
    """What is in a group of ours; in the group of the nodes nothing is worth a line of its own."""
    if not group.startswith(names.PREFIX):
        return []
    disks = (
        {disk.id.lower(): disk for disk in kept.disks(session, cluster)} if group == names.data_group(cluster) else {}
    )
    with told(f"looking into the resource group {group}"):
        listed = [entry.as_dict() for entry in session.resources.resources.list_by_resource_group(group)]
    return [_leftover(entry, disks, audits=group != names.data_group(cluster)) for entry in listed]


def _leftover(entry: dict[str, Any], disks: dict[str, kept.Disk], *, audits: bool) -> Leftover:
    kind, id = str(entry["type"]).lower(), str(entry["id"])
    disk = disks.get(id.lower())
    if disk is not None:
        return Leftover(DISK, id, f"{disk.namespace}/{disk.claim}, {disk.gibibytes} GiB", data=True, cost=disk.cost)
    if kind == _DISKS:
        return Leftover(DISK, id, "of no claim that is known", data=True)
    if kind == _ACCOUNTS and audits:
        return Leftover(ACCOUNT, id, "audit log")
    if kind == _ACCOUNTS:
        return Leftover(ACCOUNT, id, "file shares", data=True, cost="by what is in it")
    return Leftover(OTHER, id, str(entry["type"]))


def _trusts(session: Session, cluster: str) -> list[Leftover]:
    found: list[Leftover] = []
    for identity in identities.identities(session):
        for trust in identities.trusts(session, str(identity["id"]), cluster):
            found.append(Leftover(TRUST, trust.id, f"{identity['name']} trusts {trust.subject}"))
    return found
