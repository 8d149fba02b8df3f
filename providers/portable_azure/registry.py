"""Azure Container Registry: one for each subscription and location, in a resource group of its own; repositories need no making.
https://learn.microsoft.com/rest/api/containerregistry

The clusters' kubelets get AcrPull on it, by the identity that AKS made for them. Whoever pushes signs in with a token of Entra,
exchanged for one of the registry's: https://azure.github.io/acr/AAD-OAuth.html
"""

from __future__ import annotations

import hashlib
import re
from typing import Any

from portable.errors import ProviderError
from portable.events import Emit, Notice
from portable.polling import Pending, poll
from portable.provider import RegistryLogin
from portable.spec.model import Cluster
from portable_azure import access, configuration, names, operations
from portable_azure.failures import told
from portable_azure.roles import RoleAssignment
from portable_azure.session import Session

API_VERSION = "2023-07-01"
NAMESPACE = "Microsoft.ContainerRegistry"
GROUP = "portable-images"
# https://learn.microsoft.com/azure/role-based-access-control/built-in-roles/containers#acrpull
ACR_PULL = "7f951dda-4ed3-4680-a7ca-43fe172d538d"
# https://learn.microsoft.com/azure/container-registry/container-registry-authentication#az-acr-login-with---expose-token
USER = "00000000-0000-0000-0000-000000000000"
# What each call needs. The last two are asked by the registry itself, of whoever pulls and pushes.
ACTIONS = {
    "Registries_Get": "Microsoft.ContainerRegistry/registries/read",
    "Registries_Create": "Microsoft.ContainerRegistry/registries/write",
    "Registries_OperationStatus": "Microsoft.ContainerRegistry/locations/operationResults/read",
    "pull": "Microsoft.ContainerRegistry/registries/pull/read",
    "push": "Microsoft.ContainerRegistry/registries/push/write",
}
PRICE = "about 5 US$ a month as of July 2026, whether it is used or not"
_REGISTRATION_SECONDS = 900.0
_HOST = re.compile(r"[a-z0-9]{5,50}(?:-[a-z0-9]+)?\.azurecr\.(?:io|us|cn)/")


def name(session: Session, location: str) -> str:
    """Names are unique among all of Azure's customers, of letters and digits alone."""
    return f"portable{hashlib.sha256(f'{session.subscription} {location}'.lower().encode()).hexdigest()[:16]}"


def ensure_repository(session: Session, cluster: Cluster, wanted: str, emit: Emit) -> str:
    """The registry is there, and the cluster's nodes may pull from it."""
    location = configuration.location(cluster.region)
    place = _id(session, location)
    live = _live(session, place)
    if live is None:
        live = _make(session, place, location, emit)
        emit(Notice(f"the registry {live['name']} was made in {GROUP}; it costs {PRICE}, and outlives the cluster"))
    _let_in(session, cluster, place, emit)
    return f"{live['properties']['loginServer']}/{wanted}"


def login(session: Session, cluster: Cluster) -> RegistryLogin:
    """Good for three hours."""
    location = configuration.location(cluster.region)
    live = _live(session, _id(session, location))
    if live is None:
        raise ProviderError(f"there is no registry in {location} yet", fix="`portable up` makes it")
    server = str(live["properties"]["loginServer"])
    with told(f"signing in to the registry {server}"):
        return RegistryLogin(server, USER, _exchanged(session, server))


def owns(image: str) -> bool:
    """Of any subscription: a registry that lets everybody pull is an option of dear ones, and rare."""
    return _HOST.match(image) is not None


def _exchanged(session: Session, server: str) -> str:
    from azure.core import PipelineClient
    from azure.core.exceptions import HttpResponseError
    from azure.core.pipeline.policies import RetryPolicy
    from azure.core.rest import HttpRequest

    fields = {"grant_type": "access_token", "service": server, "access_token": session.arm_token()}
    # No client of the SDK's gives out the registry's own token, which is what `docker login` takes.
    with PipelineClient(f"https://{server}", policies=[RetryPolicy()]) as client:
        response = client.send_request(HttpRequest("POST", f"https://{server}/oauth2/exchange", data=fields))
        if response.status_code != 200:
            raise HttpResponseError(response=response)
        return str(response.json()["refresh_token"])


def _id(session: Session, location: str) -> str:
    group = names.group_id(session.subscription, GROUP)
    return f"{group}/providers/Microsoft.ContainerRegistry/registries/{name(session, location)}"


def _live(session: Session, place: str) -> dict[str, Any] | None:
    from azure.core.exceptions import ResourceNotFoundError

    with told("looking at the registry"):
        try:
            return session.get(place, API_VERSION)
        except ResourceNotFoundError:
            return None


def _make(session: Session, place: str, location: str, emit: Emit) -> dict[str, Any]:
    doing = f"making the registry {place.rpartition('/')[2]}"
    with told(doing):
        _register(session, emit)
        session.resources.resource_groups.create_or_update(
            GROUP, {"location": location, "tags": {"made-by": "portable"}}
        )
        body: Any = {
            "location": location,
            "sku": {"name": "Basic"},
            "tags": {"made-by": "portable"},
            "properties": {"adminUserEnabled": False},
        }
        begin = session.resources.resources.begin_create_or_update_by_id
        operations.finish(
            session,
            lambda **resumed: begin(place, body, api_version=API_VERSION, **resumed),
            what=doing,
            emit=emit,
            usual="10 s",
        )
        return session.get(place, API_VERSION)


def _register(session: Session, emit: Emit) -> None:
    """Once for each subscription: a kind of resource that it has never had is unknown to it."""
    providers = session.resources.providers

    def look() -> bool | Pending:
        state = providers.get(NAMESPACE).registration_state
        return state == "Registered" or Pending(f"{NAMESPACE} is being registered in the subscription")

    if look() is not True:
        providers.register(NAMESPACE)
        poll(
            look,
            what=NAMESPACE,
            timeout=_REGISTRATION_SECONDS,
            emit=emit,
            usual="1 min",
            interval=session.interval,
            sleep=session.sleep,
        )


def _let_in(session: Session, cluster: Cluster, place: str, emit: Emit) -> None:
    """AcrPull for the identity of the cluster's kubelets; nothing where it has it, or where there is no cluster yet."""
    kubelet = access.kubelet(session, cluster)
    if kubelet is None:
        return
    inputs = {"name": "pull-images", "place": place, "role": ACR_PULL, "principal": kubelet, "kind": "ServicePrincipal"}
    RoleAssignment(session).create(inputs, emit)
