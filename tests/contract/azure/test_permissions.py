"""The role that is printed is what the calls need: nothing missing, nothing more."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from portable.events import nowhere
from portable.spec.model import Cluster, Nodes
from portable_azure import dns, registry, roles
from portable_azure.permissions import ACTIONS
from tests.clouds.azure import service
from tests.clouds.front import HttpReply, HttpRequest
from tests.contract.azure.conftest import STANDARD, Bench

pytestmark = pytest.mark.contract

_VERBS = {"GET": "read", "PUT": "write", "DELETE": "delete", "POST": "action"}


def everything(bench: Bench) -> None:
    """Every kind of call that the plugin makes."""
    plugin, seen = bench.plugin(), bench.service
    seen.registered = False
    plugin.doctor(STANDARD, fix=True, emit=nowhere)
    seen.identity("web", "client-of-web")
    bench.up(replace(STANDARD, version="1.31"))
    seen.cluster("shop")["properties"]["powerState"] = {"code": "Stopped"}
    bench.up(replace(STANDARD, version="1.32", pools={"more": Nodes(1)}))
    plugin.find(Cluster("shop", existing=True))
    mine = next(id for id in seen.things if "/managedclusters/shop/" in id and "roleassignments" in id)
    del seen.things[mine]
    seen.role(seen.cluster("shop")["id"], roles.CLUSTER_ADMIN)
    bench.up(replace(STANDARD, version="1.32", pools={"more": Nodes(1)}))
    plugin.bind(STANDARD, "shop", {"web": "client-of-web"})
    seen.disk("portable-shop_data", "pvc-1", claim="shop/data")
    group = f"/subscriptions/{service.SUBSCRIPTION}/resourceGroups/portable-shop_data"
    id = f"{group}/providers/Microsoft.Storage/storageAccounts/f"
    seen.things[id.lower()] = {"id": id, "name": "f", "type": "Microsoft.Storage/storageAccounts"}
    bench.stack().destroy()
    for leftover in plugin.leftovers(STANDARD):
        assert plugin.remove(STANDARD, leftover, nowhere) == ""
    assert seen.leftovers() == []


def test_the_table_holds_exactly_the_calls_and_what_azure_asks_for_each(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: dict[str, str] = {}
    answer = bench.service.answer

    def watched(request: HttpRequest) -> HttpReply:
        name = bench.service.name(request)
        if not name.startswith(("Entra_", "Kubernetes_")):
            made[name] = _action(request.method, request.path.lower())
        return answer(request)

    monkeypatch.setattr(bench.service, "answer", watched)
    everything(bench)
    assert made == {operation: action.lower() for operation, action in ACTIONS.items()}


def _action(method: str, path: str) -> str:
    """Azure's rule: the types in the path, and read, write, delete or NAME/action by the method."""
    words = path.strip("/").split("/")
    if words[-1] == "register":
        # whichever service it is that has to be registered
        return "*/register/action"
    if "providers" in words and len(words) - words.index("providers") > 2:
        place = len(words) - words[::-1].index("providers")
        types = [words[place], *words[place + 1 :: 2]]
    else:
        types = ["microsoft.resources", *words[::2]]
    return "/".join([*types, _VERBS[method]])


def test_it_is_a_role_that_az_takes(bench: Bench) -> None:
    text = bench.plugin().permissions()
    role = json.loads(text[text.index("{") :])
    assert role["IsCustom"] is True
    assert role["Actions"] == sorted({*ACTIONS.values(), *dns.ACTIONS.values(), *registry.ACTIONS.values()})
    assert not any(action == "*" or action.endswith("/*") for action in role["Actions"])
