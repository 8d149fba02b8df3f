"""What every cloud's registry promises, held against the stand-ins."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from portable.events import nowhere
from portable.spec.model import Cluster
from portable.testing.registry import NAME, REGISTRY, Promise
from tests.contract.registries.services import REGION, SERVICES, Service

pytestmark = pytest.mark.contract


@pytest.fixture(params=SERVICES)
def service(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Service]:
    with SERVICES[request.param](tmp_path) as made:
        yield made
        assert set(made.calls) <= made.allowed, "a call that the printed permissions do not cover"


@pytest.mark.parametrize("promise", REGISTRY, ids=lambda promise: promise.__name__)
def test_it_keeps(promise: Promise, service: Service) -> None:
    promise(service.registry, service.cluster)


def test_the_clouds_own_names(service: Service) -> None:
    made = service.registry.ensure_repository(service.cluster, NAME, nowhere)
    assert made == service.repository
    login = service.registry.registry_login(service.cluster)
    assert login.username == service.username
    assert service.password in login.password
    if service.username != "AWS":  # moto's endpoint has an account and region of its own
        assert login.server == made.partition("/")[0]


def test_its_own_images_are_its_own(tmp_path: Path) -> None:
    own = {
        "ecr": "123456789012.dkr.ecr.eu-central-1.amazonaws.com/portable/shop/web:1",
        "artifact-registry": "europe-west1-docker.pkg.dev/acme-shop/portable/shop/web:1",
        "container-registry": "portable0123456789abcdef.azurecr.io/shop/web:1",
    }
    for name, make in SERVICES.items():
        with make(tmp_path) as service:
            found = {of: service.registry.owns_image(service.cluster, image) for of, image in own.items()}
            assert found == {of: of == name for of in own}


def test_ecr_keeps_tags_as_they_are_and_throws_out_what_has_none(tmp_path: Path) -> None:
    import json

    with SERVICES["ecr"](tmp_path) as service:
        service.registry.ensure_repository(service.cluster, NAME, nowhere)
        client = service.more.client("ecr", REGION)
        (live,) = client.describe_repositories()["repositories"]
        assert live["imageTagMutability"] == "IMMUTABLE"
        assert live["imageScanningConfiguration"]["scanOnPush"] is True
        policy = json.loads(client.get_lifecycle_policy(repositoryName=live["repositoryName"])["lifecyclePolicyText"])
        assert [rule["selection"]["tagStatus"] for rule in policy["rules"]] == ["untagged"]


def test_artifact_registry_keeps_tags_as_they_are(tmp_path: Path) -> None:
    with SERVICES["artifact-registry"](tmp_path) as service:
        service.registry.ensure_repository(service.cluster, NAME, nowhere)
        (live,) = service.more.repositories.values()
        assert live["format"] == "DOCKER"
        assert live["dockerConfig"] == {"immutableTags": True}


def test_acr_as_microsofts_own_client_sees_it(tmp_path: Path) -> None:
    """And the identity of the cluster's kubelets may pull."""
    from azure.mgmt.containerregistry import ContainerRegistryManagementClient

    from portable_azure import configuration, registry

    with SERVICES["container-registry"](tmp_path) as service:
        stand_in, session = service.more
        service.registry.ensure_repository(service.cluster, NAME, nowhere)
        client = ContainerRegistryManagementClient(
            session.credential,
            session.subscription,
            base_url=configuration.endpoint(),
            api_version="2025-11-01",
            credential_scopes=["https://management.azure.com/.default"],
        )
        (name,) = stand_in.registries
        live = client.registries.get(registry.GROUP, name)
        assert live.sku is not None
        assert live.sku.name == "Basic"
        assert live.admin_user_enabled is False
        assert f"{live.login_server}/{NAME}" == service.repository
        assert not [one for one in stand_in.account.things if "roleassignments" in one], "there is no cluster to let in"


def test_other_regions_have_other_registries(tmp_path: Path) -> None:
    for name in ("ecr", "artifact-registry"):
        with SERVICES[name](tmp_path) as service:
            elsewhere = service.registry.ensure_repository(Cluster("shop", region="us-east-1"), NAME, nowhere)
            assert "us-east-1" in elsewhere


def test_a_subscription_that_never_had_a_registry(tmp_path: Path) -> None:
    with SERVICES["container-registry"](tmp_path) as service:
        stand_in, _ = service.more
        stand_in.account.registered = False
        assert service.registry.ensure_repository(service.cluster, NAME, nowhere) == service.repository
        assert service.calls.count("Providers_Register") == 1
        assert set(service.calls) <= service.allowed


def test_the_clusters_kubelets_may_pull_from_acr(tmp_path: Path) -> None:
    from portable_azure import names, registry

    with SERVICES["container-registry"](tmp_path) as service:
        stand_in, session = service.more
        group = names.group("shop")
        session.resources.resource_groups.create_or_update(group, {"location": "westeurope"})
        stand_in.account.clusters[group, "shop"] = {
            "id": names.cluster_id(session.subscription, group, "shop"),
            "name": "shop",
            "location": "westeurope",
            "tags": {},
            "identity": {"principalId": "the-cluster"},
            "properties": {
                "provisioningState": "Succeeded",
                "identityProfile": {"kubeletidentity": {"objectId": "the-kubelets"}},
            },
        }
        for _ in range(2):
            service.registry.ensure_repository(service.cluster, NAME, nowhere)
        (role,) = [one for one in stand_in.account.things.values() if "roleAssignments" in one["type"]]
        assert role["properties"]["principalId"] == "the-kubelets"
        assert role["properties"]["roleDefinitionId"].endswith(registry.ACR_PULL)
        assert "/registries/portable" in role["id"]
