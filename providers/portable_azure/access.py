"""A cluster as it is found and reached: by name in its own group, or (cluster.existing) anywhere in the subscription."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from typing import Any

from portable.access import exec_kubeconfig
from portable.errors import ClusterGone, ProviderError
from portable.provider import ClusterState, Credentials
from portable.spec.model import Cluster
from portable_azure import names, versions
from portable_azure.failures import told
from portable_azure.session import Session

# Whose credentials they are; neither holds one itself.
_CHOICES = ("AZURE_TENANT_ID", "AZURE_CONFIG_DIR")
_USABLE = ("succeeded", "updating", "upgrading", "scaling", "reconcilingclusteretcdcertificates")


@dataclass(frozen=True)
class Place:
    """Where a cluster is."""

    group: str
    name: str


def place(session: Session, cluster: Cluster) -> Place | None:
    """None where there is none. Raises ProviderError for two of that name."""
    if not cluster.existing:
        return Place(names.group(cluster.name), cluster.name)
    with told("listing the clusters"):
        listed = [entry.as_dict() for entry in session.containers.managed_clusters.list()]
    found = [entry for entry in listed if entry["name"].lower() == cluster.name.lower()]
    if cluster.region:
        found = [entry for entry in found if names.location(entry["location"]) == names.location(cluster.region)]
    places = [Place(_group(entry["id"]), entry["name"]) for entry in found]
    if len(places) > 1:
        raise ProviderError(
            f"there are {len(places)} clusters {cluster.name} in the subscription",
            detail="in the resource groups " + ", ".join(sorted(each.group for each in places)),
            fix="name its region too (cluster.region)",
        )
    return places[0] if places else None


def find(session: Session, cluster: Cluster) -> ClusterState | None:
    live = _live(session, cluster)
    if live is None:
        return None
    properties = live["properties"]
    state = str(properties.get("provisioningState") or "")
    power = str((properties.get("powerState") or {}).get("code") or "Running")
    return ClusterState(
        name=cluster.name,
        healthy=state.lower() in _USABLE and power == "Running",
        detail=state if power == "Running" else f"{state}, {power.lower()}",
        version=versions.running(properties),
        uid=str(properties.get("resourceUID") or ""),
    )


def credentials(session: Session, cluster: Cluster) -> Credentials:
    """Raises ClusterGone where there is none."""
    found = place(session, cluster)
    if found is None:
        raise gone(cluster.name)
    return of(session, found.group, found.name)


def of(session: Session, group: str, name: str) -> Credentials:
    """Server and authority from Azure; its own exec plugin (kubelogin) gives way to `portable token`."""
    from azure.core.exceptions import ResourceNotFoundError

    with told(f"getting the address of the cluster {name}"):
        try:
            answer = session.containers.managed_clusters.list_cluster_user_credentials(group, name, format="exec")
        except ResourceNotFoundError as error:
            raise gone(name) from error
    server, authority = _server(answer.as_dict(), name)
    return Credentials(exec_kubeconfig("azure", name, server, authority, choices=_CHOICES), session.cluster_token)


def _server(answer: dict[str, Any], name: str) -> tuple[str, str]:
    import yaml

    try:
        text = base64.b64decode(answer["kubeconfigs"][0]["value"])
        cluster = yaml.load(text, Loader=yaml.CSafeLoader)["clusters"][0]["cluster"]
        return str(cluster["server"]), str(cluster.get("certificate-authority-data") or "")
    except (KeyError, IndexError, TypeError, ValueError, yaml.YAMLError) as error:
        raise ProviderError(
            f"Azure's kubeconfig of the cluster {name} cannot be read", fix="try again; see `az aks get-credentials`"
        ) from error


def _live(session: Session, cluster: Cluster) -> dict[str, Any] | None:
    from portable_azure.clusters import live_cluster

    found = place(session, cluster)
    if found is None:
        return None
    with told(f"looking at the cluster {cluster.name}"):
        return live_cluster(session, found.group, found.name)


def kubelet(session: Session, cluster: Cluster) -> str | None:
    """The object id of the identity by which the cluster's nodes pull images; None where there is no cluster, or none yet."""
    live = _live(session, cluster)
    identities = (live or {}).get("properties", {}).get("identityProfile") or {}
    return (identities.get("kubeletidentity") or {}).get("objectId")


def _group(resource_id: str) -> str:
    return resource_id.split("/")[4]


def gone(name: str) -> ClusterGone:
    return ClusterGone(
        f"there is no cluster {name} in the subscription",
        fix="`portable up` makes it; for an existing one check its name",
    )
