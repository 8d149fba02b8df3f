"""Every cloud's registry, as the tests of what they promise meet it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest.mock import patch

from portable.provider import Registry
from portable.spec.model import Cluster
from tests.clouds.front import Front

REGION = "eu-central-1"


@dataclass(frozen=True)
class Service:
    """`repository`: what "shop/web-main" is to be called. `calls`: what was asked, in the cloud's words. `allowed`: the calls that
    the plugin's permissions are made for. `password`: a part of what the login is to hold."""

    registry: Registry
    cluster: Cluster
    repository: str
    allowed: frozenset[str]
    calls: list[str] = field(default_factory=list)
    username: str = ""
    password: str = ""
    more: Any = None


@contextmanager
def ecr(folder: Path) -> Iterator[Service]:
    """moto's ECR behind a real HTTP server; calls as botocore's events tell them."""
    from moto.moto_api._internal.models import moto_api_backend
    from moto.server import ThreadedMotoServer

    from portable_aws import Aws
    from portable_aws.registry import CALLS
    from portable_aws.session import Sdk

    keys = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_EC2_METADATA_DISABLED": "true"}
    keys |= {"AWS_CONFIG_FILE": str(folder / "none"), "AWS_SHARED_CREDENTIALS_FILE": str(folder / "none")}
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    with patch.dict(os.environ, keys):
        server.start()
        try:
            moto_api_backend.reset()
            host, port = server.get_host_and_port()
            sdk = Sdk(f"http://{host}:{port}", sleep=lambda _seconds: None)
            calls: list[str] = []
            sdk.session.events.register("before-call", lambda model, **_: calls.append(_permission(model)))
            account = os.environ.get("MOTO_ACCOUNT_ID", "123456789012")
            name = f"{account}.dkr.ecr.{REGION}.amazonaws.com/portable/shop/web-main"
            allowed = frozenset({*CALLS, "sts:GetCallerIdentity"})
            cluster = Cluster("shop", region=REGION)
            yield Service(Aws(sdk), cluster, name, allowed, calls, "AWS", "", sdk)
        finally:
            server.stop()


def _permission(model: Any) -> str:
    return f"{model.service_model.endpoint_prefix.removeprefix('api.')}:{model.name}"


@contextmanager
def artifact_registry(folder: Path) -> Iterator[Service]:
    from portable_gcp import Gcp
    from portable_gcp.calls import IMAGE_CALLS
    from tests.clouds.gcp.cloud import PROJECT, TOKEN
    from tests.clouds.gcp.world import PACE, REGION, environment
    from tests.contract.registries.artifact_registry import PREFIX, ArtifactRegistryService

    service = ArtifactRegistryService()
    with Front(service).serving() as front:
        moved = {"CLOUDSDK_API_ENDPOINT_OVERRIDES_ARTIFACTREGISTRY": f"{front.url}{PREFIX}"}
        with patch.dict(os.environ, environment(front, folder) | moved):
            name = f"{REGION}-docker.pkg.dev/{PROJECT}/portable/shop/web-main"
            allowed = frozenset({*IMAGE_CALLS, TOKEN})
            yield Service(Gcp(PACE), Cluster("shop"), name, allowed, front.calls, "oauth2accesstoken", "", service)
    assert service.account.violations == []


@contextmanager
def container_registry(folder: Path) -> Iterator[Service]:
    """The login server is the stand-in's own address: the exchange of tokens goes there too."""
    from portable_azure import Azure
    from portable_azure.permissions import ACTIONS
    from portable_azure.registry import ACTIONS as OURS
    from portable_azure.session import Session
    from tests.clouds.azure.world import serving
    from tests.contract.registries.container_registry import REFRESH_TOKEN, ContainerRegistryService

    service = ContainerRegistryService()
    with serving(service) as world, patch.dict(os.environ, world.environment):  # type: ignore[arg-type]
        service.server = world.front.url.removeprefix("https://")
        session = Session(interval=0.0, sleep=lambda _seconds: None, options={"retry_backoff_factor": 0.001})
        allowed = frozenset({*ACTIONS, *OURS, "exchange", "Entra_Configuration", "Entra_Token"})
        name = f"{service.server}/shop/web-main"
        user = "00000000-0000-0000-0000-000000000000"
        yield Service(
            Azure(session), Cluster("shop"), name, allowed, world.front.calls, user, REFRESH_TOKEN, (service, session)
        )


SERVICES = {"ecr": ecr, "artifact-registry": artifact_registry, "container-registry": container_registry}
