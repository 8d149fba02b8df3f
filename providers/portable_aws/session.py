"""The SDK: clients by service and region, made when first asked for. https://boto3.amazonaws.com/v1/documentation

Retries are botocore's own ("standard"), except where `once` says that a call may not be repeated blindly: what has no client
token would be made twice.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Mapping
from functools import cached_property
from typing import Any, TypeVar

from portable.errors import ProviderError
from portable.events import Emit
from portable.polling import Pending, poll
from portable.spec.model import Cluster

Found = TypeVar("Found")

STACK_TAG = "portable:stack"
RESOURCE_TAG = "portable:resource"

_PARTITIONS = ("aws", "aws-us-gov", "aws-cn")
ATTEMPTS = 5
CONNECT_SECONDS = 10
READ_SECONDS = 60


class Sdk:
    """`endpoint`: one address for every service, in place of Amazon's (also AWS_ENDPOINT_URL). `interval`: seconds between looks
    at what takes long; `sleep`: how to let them pass."""

    def __init__(
        self, endpoint: str | None = None, *, interval: float = 15.0, sleep: Callable[[float], None] = time.sleep
    ) -> None:
        self._endpoint = endpoint
        self.interval = interval
        self.sleep = sleep
        self._clients: dict[tuple[str, str, bool], Any] = {}
        self._lock = threading.RLock()

    def client(self, service: str, region: str, *, once: bool = False) -> Any:
        """Thread-safe; the same one each time."""
        from botocore.config import Config

        with self._lock:  # making clients is not thread-safe, using them is
            key = (service, region, once)
            if key not in self._clients:
                config = Config(
                    retries={"mode": "standard", "total_max_attempts": 1 if once else ATTEMPTS},
                    connect_timeout=CONNECT_SECONDS,
                    read_timeout=READ_SECONDS,
                    user_agent_extra="portable",
                )
                self._clients[key] = self.session.client(
                    service, region_name=region, endpoint_url=self._endpoint, config=config
                )
            return self._clients[key]

    def wait(
        self, check: Callable[[], Found | Pending], *, what: str, timeout: float, emit: Emit, usual: str = ""
    ) -> Found:
        """`portable.polling.poll` at this pace."""
        return poll(check, what=what, usual=usual, timeout=timeout, emit=emit, interval=self.interval, sleep=self.sleep)

    def eks(self, region: str) -> Any:
        return self.client("eks", region)

    def ec2(self, region: str) -> Any:
        return self.client("ec2", region)

    def iam(self, region: str) -> Any:
        return self.client("iam", region)

    @cached_property
    def session(self) -> Any:
        import boto3

        return boto3.Session()

    def region(self, cluster: Cluster) -> str:
        """The spec's, else what the SDK's own configuration says. Raises ProviderError naming every place that was looked at."""
        from portable_aws.words import explained

        with explained(self):
            region = cluster.region or os.environ.get("AWS_REGION") or self.session.region_name
        if not region:
            profile = os.environ.get("AWS_PROFILE") or "default"
            raise ProviderError(
                "no AWS region is chosen",
                detail="looked at: cluster.region in the spec, AWS_REGION, AWS_DEFAULT_REGION, "
                f"and `region` of the profile {profile!r} in ~/.aws/config",
                fix="add `region: eu-central-1` (say) to `cluster` in the spec, or set AWS_REGION",
            )
        return region

    def known_regions(self) -> list[str]:
        """Those with EKS, as far as this version of the SDK knows."""
        return [name for partition in _PARTITIONS for name in self.session.get_available_regions("eks", partition)]

    def partition(self, region: str) -> str:
        """ "aws", "aws-cn", "aws-us-gov": the second part of every ARN."""
        return self.session.get_partition_for_region(region)

    def credentials_source(self) -> str:
        """Which link of the chain gave credentials ("env", "sso", "iam-role"); empty: none did."""
        try:
            found = self.session.get_credentials()
        except Exception:  # noqa: BLE001 (each link has errors of its own; here only the name of the link is asked for)
            return ""
        return found.method if found else ""


def stack_tag(cluster: str) -> str:
    return f"aws.{cluster}"


def tags_of(cluster: str, resource: str) -> dict[str, str]:
    """What everything carries: whose it is, which part of the stack, and a name for the console."""
    return {STACK_TAG: stack_tag(cluster), RESOURCE_TAG: resource, "Name": f"portable-{cluster}-{resource}"}


def is_tagged(thing: Mapping[str, Any], cluster: str) -> bool:
    """Whether a thing of EKS's carries the tag of this cluster's stack."""
    return thing.get("tags", {}).get(STACK_TAG) == stack_tag(cluster)


def as_list(tags: Mapping[str, str]) -> list[dict[str, str]]:
    return [{"Key": key, "Value": value} for key, value in tags.items()]


def as_dict(tags: list[dict[str, str]] | None) -> dict[str, str]:
    return {tag["Key"]: tag["Value"] for tag in tags or ()}
