"""What `eject` writes for `pulumi import`: every resource of the stack, by types of the official plugin and Azure's own ids."""

from __future__ import annotations

from dataclasses import replace

import pytest

from portable.provider import NativeResource
from tests.contract.azure.conftest import STANDARD, Bench

pytestmark = pytest.mark.contract

TYPES = {
    "group": "azure-native:resources:ResourceGroup",
    "data": "azure-native:resources:ResourceGroup",
    "cluster": "azure-native:containerservice:ManagedCluster",
    "disks": "azure-native:authorization:RoleAssignment",
    "access": "azure-native:authorization:RoleAssignment",
    "audit": "azure-native:storage:StorageAccount",
    "pool-default": "azure-native:containerservice:AgentPool",
}


def test_every_resource_has_a_native_one_that_is_there(bench: Bench) -> None:
    bench.up(STANDARD)
    plugin, state = bench.plugin(), bench.stack().state
    found: dict[str, NativeResource] = {}
    for name, kept in state.items():
        (found[name],) = plugin.native_resources(kept["type"], name, kept["inputs"], kept["outputs"])
    assert {name: each.type for name, each in found.items()} == TYPES
    for name, each in found.items():
        assert each.id.startswith("/subscriptions/")
        if name != "audit":
            assert each.id == state[name]["outputs"]["id"]
    account = bench.plugin()._session.resources.resources.get_by_id(found["audit"].id, api_version="2024-01-01")
    assert account.name == state["audit"]["inputs"]["account"]


def test_a_role_that_was_there_before_is_not_taken_over(bench: Bench) -> None:
    bench.up(replace(STANDARD, pools={}))
    kept = bench.stack().state["disks"]
    outputs = {**kept["outputs"], "foreign": True}
    assert bench.plugin().native_resources(kept["type"], "disks", kept["inputs"], outputs) == []
