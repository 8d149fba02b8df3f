"""The contract that every plugin keeps: a third party's whole, and of the project's own what needs no cloud."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from portable.provider import Leftover, load_provider
from portable.spec.model import Cluster, Nodes
from portable.testing import (
    CLUSTER,
    PLUGIN,
    Case,
    Promise,
    a_creation_that_broke_off_is_carried_on,
    a_living_cluster_is_not_swept,
    check_provider,
    costs_nothing_to_load,
    destroy_leaves_nothing_and_may_be_repeated,
    has_resources_that_are_data,
    what_a_lost_cluster_leaves_is_swept,
)

pytestmark = pytest.mark.contract


def _name(promise: Promise) -> str:
    return promise.__name__


@pytest.fixture
def acme(acme_installed: None, acme_cloud: Path, tmp_path: Path) -> Case:
    provider = load_provider("acme")
    cluster = Cluster(name="shop", version="1.34", pools={"default": Nodes(2)})

    def leftovers() -> Sequence[str]:
        return [str(path.relative_to(acme_cloud)) for path in acme_cloud.rglob("*/*.json")]

    def foreign() -> None:
        from acme_sdk import Client  # type: ignore[import-not-found]

        Client().create("networks", "theirs", {"tags": {}})
        Client().create("clusters", "shop", {"network": "theirs", "version": "1.35", "tags": {}})

    state = tmp_path / "state"
    state.mkdir()
    changed = replace(cluster, version="1.36", pools={"default": Nodes(3)})
    return Case(provider, cluster, state, changed, leftovers, foreign)


@pytest.mark.parametrize("promise", [*PLUGIN, *CLUSTER], ids=_name)
def test_a_third_partys_plugin(promise: Promise, acme: Case) -> None:
    promise(acme)


@pytest.mark.parametrize("promise", PLUGIN, ids=_name)
@pytest.mark.parametrize("name", ["kind"])
def test_our_own(name: str, promise: Promise, tmp_path: Path) -> None:
    promise(Case(load_provider(name), Cluster(name="shop"), tmp_path))


def test_the_contract_can_be_checked_without_pytest(acme: Case) -> None:
    check_provider(acme, PLUGIN)


# -- promises can be broken: each of these plugins breaks one ----------------------------------------------------------


def test_a_plugin_that_serves_none_of_its_types_is_found_out(acme: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(acme.provider, "resource_types", dict, raising=True)
    with pytest.raises(AssertionError, match="is not served"):
        has_resources_that_are_data(acme)


def test_a_plugin_that_imports_its_sdk_early_is_found_out(acme: Case, acme_site: Path, tmp_path: Path) -> None:
    module = acme_site / "portable_acme/profile.py"
    before = module.read_text()
    try:
        module.write_text("import acme_sdk\n" + before.replace("from __future__ import annotations\n", ""))
        with pytest.raises(AssertionError, match=r"imported too early: \['acme_sdk'"):
            costs_nothing_to_load(acme)
    finally:
        module.write_text(before)


def test_a_plugin_that_makes_two_is_found_out(acme: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    from portable_acme import resources  # type: ignore[import-not-found]

    def make_another(client, kind, name):  # type: ignore[no-untyped-def]
        if kind == "networks" and resources.described(client, kind, name) is not None:
            return client.create(kind, f"{name}-{uuid.uuid4().hex}", {"tags": {}})
        return resources.described(client, kind, name)

    monkeypatch.setattr(resources, "_adopted", make_another)
    with pytest.raises(AssertionError, match="twice"):
        a_creation_that_broke_off_is_carried_on(acme)


def test_a_plugin_that_leaves_something_is_found_out(acme: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    from portable_acme import resources  # type: ignore[import-not-found]

    monkeypatch.setattr(resources.NetworkType, "delete", lambda *_given: None)
    with pytest.raises(AssertionError):
        destroy_leaves_nothing_and_may_be_repeated(acme)
    assert acme.leftovers() == ["networks/shop.json"]


def test_a_plugin_that_sweeps_what_a_cluster_stands_on_is_found_out(
    acme: Case, monkeypatch: pytest.MonkeyPatch
) -> None:
    from portable_acme import sweep  # type: ignore[import-not-found]

    network = [Leftover(sweep.NETWORK, acme.cluster.name)]
    monkeypatch.setattr(sweep, "leftovers", lambda _cluster: network)
    with pytest.raises(AssertionError, match="of a cluster that lives"):
        a_living_cluster_is_not_swept(acme)


def test_a_plugin_that_does_not_find_what_is_left_is_found_out(acme: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    from portable_acme import sweep  # type: ignore[import-not-found]

    monkeypatch.setattr(sweep, "leftovers", lambda _cluster: [])
    with pytest.raises(AssertionError):
        what_a_lost_cluster_leaves_is_swept(acme)
    assert acme.leftovers() == ["networks/shop.json"]
