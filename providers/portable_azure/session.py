"""The SDK's clients, made when they are needed, for one account.

Credentials are the SDK's own chain (DefaultAzureCredential), retries its own RetryPolicy. `interval` and `sleep` are how long
operations are waited for; `options` go to every client (retry_total, retry_backoff_factor, ...).
"""

from __future__ import annotations

import base64
import json
import logging
import os
import time
from collections.abc import Callable, Iterator, Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any

from portable.polling import pace
from portable.provider import Token
from portable_azure import configuration, failures

if TYPE_CHECKING:
    from azure.core.credentials import TokenCredential
    from azure.mgmt.containerservice import ContainerServiceClient
    from azure.mgmt.core import ARMPipelineClient
    from azure.mgmt.resource.resources import ResourceManagementClient

# The application that stands for every AKS API server; the same in all tenants of the public cloud.
# https://learn.microsoft.com/azure/aks/kubelogin-authentication
AKS_SERVER = "6dae42f8-4368-4678-94ff-3960e28e3630"

# What it has to say reaches a person as an error of ours; its own lines would only stand between.
logging.getLogger("azure").addHandler(logging.NullHandler())


class Session:
    """Constructing one is free."""

    def __init__(
        self,
        *,
        interval: float = 10.0,
        sleep: Callable[[float], None] = time.sleep,
        options: Mapping[str, Any] | None = None,
    ) -> None:
        self.interval = interval
        self.sleep = sleep
        self._options = {"polling_interval": pace(interval), **(options or {})}

    @cached_property
    def subscription(self) -> str:
        return configuration.subscription()

    @cached_property
    def credential(self) -> TokenCredential:
        from azure.identity import DefaultAzureCredential

        return DefaultAzureCredential(**_authority())

    @cached_property
    def containers(self) -> ContainerServiceClient:
        from azure.mgmt.containerservice import ContainerServiceClient

        return ContainerServiceClient(
            self.credential, self.subscription, configuration.endpoint(), **self._scopes, **self._options
        )

    @cached_property
    def resources(self) -> ResourceManagementClient:
        from azure.mgmt.resource.resources import ResourceManagementClient

        return ResourceManagementClient(
            self.credential, self.subscription, configuration.endpoint(), **self._scopes, **self._options
        )

    def get(self, path: str, api_version: str, **query: str) -> dict[str, Any]:
        """One GET of what no client here covers, as JSON. Raises azure.core's HttpResponseError."""
        return self._get(path, {"api-version": api_version, **query})

    def list(self, path: str, api_version: str, **query: str) -> Iterator[dict[str, Any]]:
        """The entries of a list, over all its pages."""
        page = self.get(path, api_version, **query)
        yield from page.get("value", ())
        while page.get("nextLink"):
            page = self._get(page["nextLink"], {})
            yield from page.get("value", ())

    def cluster_token(self) -> Token:
        """A bearer token for the API servers of this account's clusters. Raises ProviderError."""
        with failures.told("signing in to the cluster"):
            made = self.credential.get_token(f"{AKS_SERVER}/.default")
        return Token(made.token, float(made.expires_on))

    def arm_token(self) -> str:
        """An access token for the Resource Manager, which registries take in exchange for one of their own."""
        with failures.told("signing in"):
            return self.credential.get_token(*self._arm_scopes).token

    def caller(self) -> tuple[str, str]:
        """(object id, "User" or "ServicePrincipal") of who is signed in, from the claims of an access token."""
        with failures.told("looking who is signed in"):
            token = self.credential.get_token(*self._arm_scopes).token
        claims = _claims(token)
        return str(claims.get("oid", "")), "ServicePrincipal" if claims.get("idtyp") == "app" else "User"

    @cached_property
    def _cloud(self) -> Mapping[str, Any]:
        from azure.core.settings import settings
        from azure.mgmt.core.tools import get_arm_endpoints

        return get_arm_endpoints(settings.azure_cloud())

    @property
    def _arm_scopes(self) -> list[str]:
        return self._cloud["credential_scopes"]

    @property
    def _scopes(self) -> dict[str, Any]:
        return {"credential_scopes": self._arm_scopes}

    @cached_property
    def _pipeline(self) -> ARMPipelineClient[Any, Any]:
        from azure.core.pipeline import policies
        from azure.mgmt.core import ARMPipelineClient
        from azure.mgmt.core.policies import ARMChallengeAuthenticationPolicy

        return ARMPipelineClient(
            base_url=configuration.endpoint() or self._cloud["resource_manager"],
            policies=[
                policies.RequestIdPolicy(),
                policies.RetryPolicy(**self._options),
                ARMChallengeAuthenticationPolicy(self.credential, *self._arm_scopes),
            ],
        )

    def _get(self, path: str, query: Mapping[str, str]) -> dict[str, Any]:
        from azure.core.exceptions import HttpResponseError, ResourceNotFoundError, map_error
        from azure.core.rest import HttpRequest
        from azure.mgmt.core.exceptions import ARMErrorFormat

        url = self._pipeline.format_url(path)
        response = self._pipeline.send_request(HttpRequest("GET", url, params=dict(query)))
        if response.status_code != 200:
            map_error(response.status_code, response, {404: ResourceNotFoundError})
            raise HttpResponseError(response=response, error_format=ARMErrorFormat)
        return response.json()


def _authority() -> dict[str, Any]:
    """An authority of one's own (AZURE_AUTHORITY_HOST) is not in the list that Entra's instance discovery knows."""
    host = os.environ.get("AZURE_AUTHORITY_HOST", "").removeprefix("https://").rstrip("/")
    known = ("", "login.microsoftonline.com", "login.microsoftonline.us", "login.chinacloudapi.cn")
    return {} if host in known else {"disable_instance_discovery": True}


def _claims(token: str) -> dict[str, Any]:
    """A JWT's claims, unchecked: the server checks them, here they only say who we are."""
    try:
        part = token.split(".")[1]
        return json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
    except (IndexError, ValueError):
        return {}
