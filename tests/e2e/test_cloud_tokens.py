"""Amazon's own authenticator, unchanged, judges the tokens that the plugin makes; the security token service is a stand-in."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator

import pytest

from portable.spec.model import Cluster
from portable_aws import Aws
from tests.clouds.authenticator import authenticator
from tests.clouds.aws.service import ACCOUNT, REGION
from tests.clouds.aws.world import World, serving
from tests.clouds.token_webhook import Judge, User

pytestmark = pytest.mark.e2e
SHOP = Cluster("shop", region=REGION)
ARN = f"arn:aws:iam::{ACCOUNT}:user/deployer"


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with serving(tmp_path_factory.mktemp("aws")) as made:
        yield made


@pytest.fixture(scope="module")
def entries() -> dict[str, tuple[str, ...]]:
    """The cluster's access entries: ARN -> groups."""
    return {ARN: ("system:masters",)}


@pytest.fixture(scope="module")
def judge(
    world: World, entries: dict[str, tuple[str, ...]], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Judge]:
    keys = {world.environment["AWS_ACCESS_KEY_ID"]: world.environment["AWS_SECRET_ACCESS_KEY"]}
    folder = tmp_path_factory.mktemp("authenticator")
    with authenticator(
        folder,
        cluster=SHOP.name,
        region=REGION,
        account=ACCOUNT,
        stand_in=world.front.url,
        keys=keys,
        groups=entries.get,
    ) as made:
        yield made


@pytest.fixture
def token(world: World, monkeypatch: pytest.MonkeyPatch) -> Callable[..., str]:
    """`token(cluster, **environment)`: as the plugin makes it with those credentials."""

    def make(cluster: Cluster = SHOP, **environment: str) -> str:
        for name, value in {**world.environment, **environment}.items():
            monkeypatch.setenv(name, value)
        return Aws().token(cluster).value

    return make


def test_a_token_says_who_we_are(judge: Judge, token: Callable[..., str]) -> None:
    assert judge(token()) == User(ARN, ("system:masters",))


def test_a_token_for_another_cluster_is_refused(judge: Judge, token: Callable[..., str]) -> None:
    assert judge(token(dataclasses.replace(SHOP, name="other"))) is None


def test_a_token_that_another_key_signed_is_refused(judge: Judge, token: Callable[..., str]) -> None:
    assert judge(token(AWS_SECRET_ACCESS_KEY="another")) is None


def test_who_has_no_access_entry_is_refused(
    judge: Judge, token: Callable[..., str], entries: dict[str, tuple[str, ...]]
) -> None:
    entry = entries.pop(ARN)
    assert judge(token()) is None
    entries[ARN] = entry


def test_other_clouds_tokens_are_not_asked_about(judge: Judge) -> None:
    assert judge("ya29.a-token-of-googles") is None
