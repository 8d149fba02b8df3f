"""Workload identity: a managed identity trusts the tokens of a service account, by a federated credential.

https://learn.microsoft.com/azure/aks/workload-identity-overview
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from portable.errors import Problem, ProviderError
from portable.events import nowhere
from portable.spec.model import Cluster
from portable_azure import access, names, operations
from portable_azure.clusters import live_cluster
from portable_azure.failures import told
from portable_azure.session import Session

API_VERSION = "2023-01-31"
_LIST = "`az identity list --query '[].{name:name, clientId:clientId}'` shows them"
_AUDIENCES = ["api://AzureADTokenExchange"]


@dataclass(frozen=True)
class Trust:
    """A federated credential of ours on somebody's managed identity. `subject`: "system:serviceaccount:NAMESPACE:ACCOUNT"."""

    id: str
    name: str
    issuer: str
    subject: str


def bind(session: Session, cluster: Cluster, namespace: str, accounts: Mapping[str, str]) -> None:
    """`accounts`: service account -> client id of a managed identity; trust in others of the namespace is taken back.

    A call for each managed identity of the subscription. Raises ProviderError for a client id that nobody has.
    """
    known = identities(session)
    wanted = _wanted(cluster.name, namespace, accounts, known)
    issuer = _issuer(session, cluster) if wanted else ""
    for identity in known:
        live = {trust.id.lower(): trust for trust in trusts(session, str(identity["id"]), cluster.name)}
        for trust in live.values():
            if trust.subject.startswith(_subject(namespace, "")) and trust.id.lower() not in wanted:
                remove(session, trust.id)
        for key, trust in wanted.items():
            there = live.get(key)
            if trust.identity == identity["id"] and (
                there is None or (there.issuer, there.subject) != (issuer, trust.subject)
            ):
                _make(session, trust.id, issuer, trust.subject)


def problems(session: Session, accounts: Mapping[str, str]) -> list[Problem]:
    """Of each client id that no managed identity of the subscription has."""
    known = _by_client(identities(session))
    return [
        Problem(_nobody(client), path=f"workloads.{account}.identity", hint=_LIST)
        for account, client in accounts.items()
        if client.lower() not in known
    ]


def _by_client(known: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """Client id, in lower case -> the managed identity's id."""
    return {str(each["properties"]["clientId"]).lower(): str(each["id"]) for each in known}


def _nobody(client: str) -> str:
    return f"no managed identity of the subscription has the client id {client}"


def identities(session: Session) -> list[dict[str, Any]]:
    """Every managed identity of the subscription, as Azure describes it. Raises ProviderError."""
    path = f"/subscriptions/{session.subscription}/providers/Microsoft.ManagedIdentity/userAssignedIdentities"
    with told("listing the managed identities"):
        return list(session.list(path, API_VERSION))


def trusts(session: Session, identity: str, cluster: str) -> list[Trust]:
    """Ours for that cluster on one managed identity. Raises ProviderError."""
    with told(f"listing whom the identity {identity.rpartition('/')[2]} trusts"):
        listed = list(session.list(f"{identity}/federatedIdentityCredentials", API_VERSION))
    return [
        Trust(entry["id"], entry["name"], entry["properties"]["issuer"], entry["properties"]["subject"])
        for entry in listed
        if entry["name"].startswith(_prefix(cluster))
    ]


def remove(session: Session, trust_id: str) -> None:
    from azure.core.exceptions import ResourceNotFoundError

    begin = session.resources.resources.begin_delete_by_id
    with told("taking back the trust in a service account"):
        try:
            operations.finish(
                session,
                lambda **resumed: begin(trust_id, api_version=API_VERSION, **resumed),
                what="taking back the trust in a service account",
                emit=nowhere,
            )
        except ResourceNotFoundError:
            return


@dataclass(frozen=True)
class _Wanted:
    id: str
    identity: str
    subject: str


def _wanted(
    cluster: str, namespace: str, accounts: Mapping[str, str], known: Sequence[Mapping[str, Any]]
) -> dict[str, _Wanted]:
    """What has to be, by its id in lower case: Azure does not keep the case of ids."""
    by_client = _by_client(known)
    found: dict[str, _Wanted] = {}
    for account, client in accounts.items():
        identity = by_client.get(client.lower())
        if identity is None:
            raise ProviderError(f"workloads.{account}.identity: {_nobody(client)}", fix=_LIST)
        digest = hashlib.sha256(f"{namespace}/{account}".encode()).hexdigest()[:16]
        id = f"{identity}/federatedIdentityCredentials/{_prefix(cluster)}{digest}"
        found[id.lower()] = _Wanted(id, identity, _subject(namespace, account))
    return found


def _make(session: Session, id: str, issuer: str, subject: str) -> None:
    properties = {"issuer": issuer, "subject": subject, "audiences": _AUDIENCES}
    begin = session.resources.resources.begin_create_or_update_by_id

    def start(**resumed: Any) -> Any:
        # JSON is one of its overloads, which its types do not say
        return begin(id, {"properties": properties}, api_version=API_VERSION, **resumed)  # pyright: ignore

    with told(f"letting {subject} be the identity {id.split('/')[-3]}"):
        operations.finish(session, start, what="binding an identity", emit=nowhere)


def _issuer(session: Session, cluster: Cluster) -> str:
    """Who signs the cluster's service account tokens. Raises ProviderError where it has no issuer, ClusterGone where it is not."""
    place = access.place(session, cluster)
    with told(f"looking at the cluster {cluster.name}"):
        live = live_cluster(session, place.group, place.name) if place else None
    if live is None:
        raise access.gone(cluster.name)
    issuer = str((live["properties"].get("oidcIssuerProfile") or {}).get("issuerURL") or "")
    if not issuer:
        raise ProviderError(
            f"the cluster {cluster.name} has no OIDC issuer, which workload identity needs",
            fix=f"`az aks update -g {place.group if place else ''} -n {cluster.name} --enable-oidc-issuer"
            " --enable-workload-identity`",
        )
    return issuer


def _prefix(cluster: str) -> str:
    # a cluster's name has no underscore, so that one is no beginning of another
    return f"{names.PREFIX}{cluster}_"


def _subject(namespace: str, account: str) -> str:
    return f"system:serviceaccount:{namespace}:{account}"
