"""The stand-in as the SDK meets it: one address for all services, keys of a user who may do everything."""

from __future__ import annotations

import functools
import itertools
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from portable.events import Emit, nowhere
from portable.spec.model import Cluster
from portable.testing import Stack
from portable_aws import Aws
from portable_aws.session import Sdk
from tests.clouds.aws.eks import Plans
from tests.clouds.aws.service import REGION, AwsService
from tests.clouds.front import Front

USER = "deployer"
MOST_WAITS = 2000


@functools.cache
def _loader() -> Any:
    import botocore.session

    return botocore.session.get_session().get_component("data_loader")


@dataclass(frozen=True)
class World:
    """`environment`: what points the SDK (this process's, or a child's) at the stand-in."""

    front: Front
    service: AwsService
    environment: dict[str, str]
    folder: Path
    _sdks: dict[int, Sdk] = field(default_factory=dict)

    def sdk(self, *, fresh: bool = False) -> Sdk:
        """Waits for nothing, and not for ever. One for each process: a child has clients of its own. `fresh`: one that looks
        for credentials and region anew."""
        if fresh or os.getpid() not in self._sdks:
            self._sdks[os.getpid()] = self._new_sdk()
        return self._sdks[os.getpid()]

    def _new_sdk(self) -> Sdk:
        waits = itertools.count(1)

        def sleep(_seconds: float) -> None:
            assert next(waits) < MOST_WAITS, f"waits for ever; the last calls: {self.front.calls[-5:]}"

        sdk = Sdk(self.front.url, interval=0.0, sleep=sleep)
        # every run of the command reads botocore's big models; here they are read once
        sdk.session._session.register_component("data_loader", _loader())
        return sdk

    def provider(self, *, fresh: bool = False) -> Aws:
        return Aws(self.sdk(fresh=fresh))

    def stack(self, emit: Emit = nowhere) -> Stack:
        return Stack(self.provider().resource_types(), self.folder / "stack.json", emit)

    def up(self, cluster: Cluster, *, refresh: bool = True) -> list[str]:
        return self.stack().up(self.provider().cluster(cluster), refresh=refresh)

    @property
    def changes(self) -> list[str]:
        """Calls that change something, in order."""
        reads = ("Describe", "Get", "List", "Simulate")
        return [call for call in self.front.calls if not call.partition(":")[2].startswith(reads)]


@contextmanager
def serving(folder: Path, plans: Plans | None = None, api_server: tuple[str, str] | None = None) -> Iterator[World]:
    """`folder` holds the stack's state and stands for ~/.aws."""
    service = AwsService(plans, api_server)
    service.iam.create_user("aws", USER)
    key = service.iam.create_access_key(USER)
    with Front(service).serving() as front:
        environment = {
            "AWS_ENDPOINT_URL": front.url,
            "AWS_ACCESS_KEY_ID": key.access_key_id,
            "AWS_SECRET_ACCESS_KEY": key.secret_access_key,
            "AWS_DEFAULT_REGION": REGION,
            "AWS_CONFIG_FILE": str(folder / "config"),
            "AWS_SHARED_CREDENTIALS_FILE": str(folder / "credentials"),
            "AWS_EC2_METADATA_DISABLED": "true",
        }
        yield World(front, service, environment, folder)
