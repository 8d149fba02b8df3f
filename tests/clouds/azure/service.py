"""Azure as a stand-in: Entra, Resource Manager, AKS, and a few lines of an API server, behind `tests.clouds.front.Front`.

A mock but for what it is held against: see `aks` and `schema`. Every ARM call needs a token, a known path and that path's
api-version; long operations answer 201/200/202 with Azure-AsyncOperation or Location, and their states are told one at a time,
some of them such as Azure has never sent.

`endpoint`, `authority` (PEM): of a real API server to hand out in place of the few lines here.
"""

from __future__ import annotations

import base64
import json
import re
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs, unquote

from tests.clouds.azure import aks
from tests.clouds.azure.aks import Body, Refusal, Work
from tests.clouds.azure.entra import AKS_SERVER, ARM, CALLER, Entra, refused
from tests.clouds.azure.routes import route
from tests.clouds.front import Fault, HttpReply, HttpRequest

SUBSCRIPTION = "00000000-0000-0000-0000-000000000001"
TAG = "portable:stack"
_JSON = {"Content-Type": "application/json"}


@dataclass(frozen=True)
class Call:
    """An ARM request. `at`: the named parts of its path, in lower case; `path` as it was sent."""

    path: str
    at: dict[str, str]
    query: dict[str, str]
    headers: Any
    body: Body
    host: str


class AzureService:
    """`fail`: the next operation on a cluster or pool ends with this error body. `slow`: how many states operations tell.

    `places`: ids, in lower case, of what else roles may be assigned on.
    `things`: role assignments, disks, storage accounts, identities and their federated credentials, by id in lower case.
    """

    def __init__(self, endpoint: str = "", authority: str = "", *, slow: int = 2) -> None:
        self.entra = Entra()
        self.endpoint = endpoint
        self.authority = authority
        self.slow = slow
        self.fail: Body | None = None
        self.groups: dict[str, Body] = {}
        self.clusters: dict[tuple[str, str], Body] = {}
        self.things: dict[str, Body] = {}
        self.places: set[str] = set()
        self.denied_reviews = 1
        self.permitted: list[str] = ["*"]
        self.registered = True
        self.cores: tuple[int, int] = (0, 100)
        self._work: dict[str, Work] = {}
        self._busy: dict[tuple[str, str], Work] = {}
        self._deleting: dict[str, Work] = {}

    # -- Service ---------------------------------------------------------------------------------------------------

    def name(self, request: HttpRequest) -> str:
        if request.path.endswith("/.well-known/openid-configuration"):
            return "Entra_Configuration"
        if request.path.endswith("/oauth2/v2.0/token"):
            return "Entra_Token"
        if request.path.startswith("/apis/"):
            return "Kubernetes_AccessReview" if request.method == "POST" else "Kubernetes_Discovery"
        found = route(request)
        return found[0].name if found else f"Unknown: {request.method} {request.path}"

    def answer(self, request: HttpRequest) -> HttpReply:
        name = self.name(request)
        if name == "Entra_Configuration":
            return self.entra.configuration(request)
        if name == "Entra_Token":
            return self.entra.token(request)
        if name.startswith("Kubernetes_"):
            return self._kubernetes(request)
        try:
            return self._resource_manager(request)
        except Refusal as refusal:
            return _reply(refusal.status, refusal.body)

    def refusal(self, fault: Fault, request: HttpRequest) -> HttpReply:
        if fault is Fault.EXPIRED:
            if self.name(request).startswith("Entra_"):
                return refused("AADSTS7000222: The provided client secret keys are expired.")
            return _error(401, "ExpiredAuthenticationToken", "The access token expiry UTC time is earlier than now.")
        if fault is Fault.THROTTLE:
            reply = _error(429, "TooManyRequests", "Number of requests exceeded the limit.")
            return HttpReply(reply.status, reply.body, {**_JSON, "Retry-After": "0"})
        return _error(500, "InternalServerError", "An unexpected error occurred.")

    def leftovers(self) -> list[str]:
        found = [f"group {body['name']}" for body in self.groups.values() if body.get("tags", {}).get(TAG)]
        for (_, name), cluster in self.clusters.items():
            if not cluster.get("tags", {}).get(TAG):
                continue
            found.append(f"cluster {name}")
            found += [f"pool {name}/{pool['name']}" for pool in cluster["properties"]["agentPoolProfiles"]]
        kinds = {
            "roleassignments": "role",
            "disks": "disk",
            "federatedidentitycredentials": "federated",
            "storageaccounts": "account",
            "diagnosticsettings": "setting",
        }
        found += [f"{kinds[kind]} {id}" for id in self.things if (kind := id.split("/")[-2]) in kinds]
        return sorted(found)

    # -- for tests -------------------------------------------------------------------------------------------------

    def cluster(self, name: str) -> Body:
        return next(body for (_, each), body in self.clusters.items() if each == name)

    def disk(self, group: str, name: str, *, claim: str, size: int = 32, stack: str = "", zone: str = "") -> None:
        """A disk as the CSI driver makes it: claim is "NAMESPACE/NAME"."""
        namespace, claimed = claim.split("/")
        id = f"/subscriptions/{SUBSCRIPTION}/resourceGroups/{group}/providers/Microsoft.Compute/disks/{name}"
        self.things[id.lower()] = {
            "id": id,
            "name": name,
            "type": "Microsoft.Compute/disks",
            "location": self.groups[group.lower()]["location"],
            "sku": {"name": "StandardSSD_LRS", "tier": "Standard"},
            **({"zones": [zone]} if zone else {}),
            "tags": {
                TAG: stack,
                "k8s-azure-created-by": "kubernetes-azure-dd",
                "kubernetes.io-created-for-pv-name": name,
                "kubernetes.io-created-for-pvc-name": claimed,
                "kubernetes.io-created-for-pvc-namespace": namespace,
            },
            "properties": {"diskSizeGB": size, "diskState": "Unattached", "provisioningState": "Succeeded"},
        }

    def foreign_cluster(self, group: str, name: str) -> None:
        """As somebody else would have made it, in a group of their own or of ours."""
        body = {
            "location": "westeurope",
            "sku": {"name": "Base", "tier": "Free"},
            "identity": {"type": "SystemAssigned"},
            "properties": {"dnsPrefix": name, "agentPoolProfiles": [{"name": "one", "mode": "System", "count": 1}]},
        }
        if group.lower() not in self.groups:
            self._make_group(group, "westeurope", {})
        id = f"/subscriptions/{SUBSCRIPTION}/resourceGroups/{group}/providers/Microsoft.ContainerService/managedClusters/{name}"
        made = aks.new_cluster(
            name, body, "westeurope", {"id": id, "nodeResourceGroup": f"MC_{group}_{name}_westeurope"}
        )
        for part in (made["properties"], *made["properties"]["agentPoolProfiles"]):
            part["provisioningState"] = "Succeeded"
        self.clusters[group.lower(), name] = made

    def identity(self, name: str, client: str) -> None:
        id = f"/subscriptions/{SUBSCRIPTION}/resourceGroups/users/providers/Microsoft.ManagedIdentity/userAssignedIdentities/{name}"
        self.things[id.lower()] = {
            "id": id,
            "name": name,
            "type": "Microsoft.ManagedIdentity/userAssignedIdentities",
            "location": "westeurope",
            "properties": {"clientId": client, "principalId": f"principal-of-{name}"},
        }

    def role(self, place: str, role: str, *, principal: str = CALLER, **more: str) -> str:
        """As somebody else would have assigned it: its id."""
        id = f"{place}/providers/Microsoft.Authorization/roleAssignments/{uuid.uuid4()}"
        definition = f"/subscriptions/{SUBSCRIPTION}/providers/Microsoft.Authorization/roleDefinitions/{role}"
        kind = "ServicePrincipal"
        properties = {"roleDefinitionId": definition, "principalId": principal, "principalType": kind, **more}
        self.things[id.lower()] = {
            "id": id,
            "name": id.split("/")[-1],
            "type": "Microsoft.Authorization/roleAssignments",
            "properties": {**properties, "scope": place.lower()},
        }
        return id

    def accepts(self, token: str) -> bool:
        """Whether an API server of this cloud would take the token (for a token webhook)."""
        return self.entra.accepts(token, AKS_SERVER)

    # -- Resource Manager ------------------------------------------------------------------------------------------

    def _resource_manager(self, request: HttpRequest) -> HttpReply:
        token = request.headers.get("authorization", "").removeprefix("Bearer ")
        if not self.entra.accepts(token, ARM):
            raise Refusal(401, "AuthenticationFailed", "Authentication failed.")
        found = route(request)
        if found is None:
            raise Refusal(404, "InvalidResourceType", f"no such call: {request.method} {request.path}")
        each, match = found
        version = each.api_version
        query = {key: values[0] for key, values in parse_qs(request.query).items()}
        if query.get("api-version") != version:
            raise Refusal(
                400, "InvalidApiVersionParameter", f"{query.get('api-version')} for {request.path}, not {version}"
            )
        at = {key: unquote(value) for key, value in match.groupdict().items()}
        if at.get("subscription", SUBSCRIPTION) != SUBSCRIPTION:
            raise Refusal(404, "SubscriptionNotFound", f"The subscription '{at['subscription']}' could not be found.")
        body = json.loads(request.body) if request.body else {}
        call = Call(request.path, at, query, request.headers, body, request.headers["host"])
        handle: Callable[[Call], HttpReply] = getattr(self, f"_{each.handler}")
        return handle(call)

    # groups

    def _group(self, call: Call) -> Body:
        name = call.at["group"]
        if work := self._deleting.get(name):
            work.look()
        if name not in self.groups:
            raise Refusal(404, "ResourceGroupNotFound", f"Resource group '{name}' could not be found.")
        return self.groups[name]

    def _group_get(self, call: Call) -> HttpReply:
        return _reply(200, self._group(call))

    def _group_put(self, call: Call) -> HttpReply:
        name = call.path.rstrip("/").split("/")[-1]
        live = self.groups.get(name.lower())
        if unknown := set(call.body) - {"location", "tags"}:
            raise Refusal(400, "InvalidRequestContent", f"unknown: {unknown}")
        if live and live["properties"]["provisioningState"] == "Deleting":
            raise Refusal(409, "ResourceGroupBeingDeleted", f"The resource group '{name}' is being deleted.")
        if live and live["location"] != call.body["location"]:
            raise Refusal(409, "InvalidResourceGroupLocation", "The resource group already exists in another location.")
        self._make_group(name, call.body["location"], call.body.get("tags", {}))
        return _reply(200 if live else 201, self.groups[name.lower()])

    def _make_group(self, name: str, location: str, tags: dict[str, str], manager: str = "") -> None:
        self.groups[name.lower()] = {
            "id": f"/subscriptions/{SUBSCRIPTION}/resourceGroups/{name}",
            "name": name,
            "type": "Microsoft.Resources/resourceGroups",
            "location": location,
            "tags": tags,
            **({"managedBy": manager} if manager else {}),
            "properties": {"provisioningState": "Succeeded"},
        }

    def _group_delete(self, call: Call) -> HttpReply:
        group = self._group(call)
        name = call.at["group"]
        group["properties"]["provisioningState"] = "Deleting"

        def end() -> None:
            self.groups.pop(name, None)
            self._deleting.pop(name, None)
            self.clusters = {key: body for key, body in self.clusters.items() if key[0] != name}
            inside = f"/resourcegroups/{name}/"
            self.things = {id: body for id, body in self.things.items() if inside not in id}

        work = self._deleting.get(name) or self._started(end)
        self._deleting[name] = work
        location = f"https://{call.host}/subscriptions/{SUBSCRIPTION}/operationresults/{work.id}?api-version=2025-04-01"
        return HttpReply(202, b"", {"Location": location, "Retry-After": "0"})

    def _group_list(self, call: Call) -> HttpReply:
        found = [*self.groups.values()]
        wanted = re.fullmatch(r"tagName eq '([^']+)' and tagValue eq '([^']+)'", call.query.get("$filter", ""))
        if call.query.get("$filter"):
            assert wanted, call.query
            found = [body for body in found if body.get("tags", {}).get(wanted[1]) == wanted[2]]
        return _reply(200, {"value": found})

    def _resources_in(self, call: Call) -> HttpReply:
        self._group(call)
        inside = f"/resourcegroups/{call.at['group']}/"
        things = [
            {key: body[key] for key in ("id", "name", "type", "location", "tags") if key in body}
            for id, body in self.things.items()
            if inside in id
            and len(id.split("/providers/")) == 2
            and "/microsoft.authorization/" not in id
            and "/managementpolicies/" not in id
        ]
        clusters = [
            {key: body[key] for key in ("id", "name", "type", "location", "tags") if key in body}
            for (group, _), body in self.clusters.items()
            if group == call.at["group"]
        ]
        return _reply(200, {"value": things + clusters})

    def _provider_get(self, call: Call) -> HttpReply:
        state = "Registered" if self.registered else "NotRegistered"
        return _reply(200, {"namespace": call.at["namespace"], "registrationState": state, "resourceTypes": []})

    def _register(self, call: Call) -> HttpReply:
        self.registered = True
        return _reply(200, {"namespace": call.at["namespace"], "registrationState": "Registering", "resourceTypes": []})

    # clusters

    def _key(self, call: Call) -> tuple[str, str]:
        return call.at["group"], call.at["cluster"]

    def _cluster(self, call: Call) -> Body:
        self._group(call)
        key = self._key(call)
        if work := self._busy.get(key):
            work.look()
        if key not in self.clusters:
            name = f"Microsoft.ContainerService/managedClusters/{call.at['cluster']}"
            raise Refusal(
                404, "ResourceNotFound", f"The Resource '{name}' under resource group '{key[0]}' was not found."
            )
        return self.clusters[key]

    def _idle(self, key: tuple[str, str]) -> None:
        work = self._busy.get(key)
        if work is not None and not work.over:
            work.look()
        if work is not None and not work.over:
            raise Refusal(
                409,
                "OperationNotAllowed",
                "Operation is not allowed: Another operation (Updating) is in progress, please wait.",
            )

    def _cluster_get(self, call: Call) -> HttpReply:
        return _reply(200, self._cluster(call))

    def _cluster_put(self, call: Call) -> HttpReply:
        group = self._group(call)
        if group["properties"]["provisioningState"] == "Deleting":
            raise Refusal(409, "ResourceGroupBeingDeleted", "The resource group is being deleted.")
        key, name = self._key(call), call.at["cluster"]
        live = self.clusters.get(key)
        _guard(call, live, (live or {}).get("eTag", ""))
        self._idle(key)
        aks.check_body("managedClusters", name, call.body)
        if live is None:
            node_group = f"MC_{group['name']}_{name}_{call.body['location']}"
            made = aks.new_cluster(
                name,
                call.body,
                call.body["location"],
                {"id": call.path, "nodeResourceGroup": node_group},
            )
            self._make_group(node_group, call.body["location"], dict(made.get("tags", {})), call.path)
            self.clusters[key] = made
        else:
            aks.changed_cluster(live, call.body)
        body = self.clusters[key]
        pools = [pool for pool in body["properties"]["agentPoolProfiles"] if pool["provisioningState"] == "Creating"]
        states = ["ProvisioningControlPlane", "CreatingAgentPool: 0/1 nodes completed", "WarmingTheCoffee"]
        work = self._begin(key, lambda failed: _conclude([body["properties"], *pools], failed), states)
        return _reply(200 if live else 201, body, self._async(call, work))

    def _cluster_start(self, call: Call) -> HttpReply:
        body = self._cluster(call)
        self._idle(self._key(call))
        body["properties"]["provisioningState"] = "Starting"

        def end(failed: bool) -> None:
            _conclude([body["properties"]], failed)
            body["properties"]["powerState"] = {"code": "Running"}

        work = self._begin(self._key(call), end, ["Starting"])
        return HttpReply(202, b"", self._async(call, work))

    def _cluster_delete(self, call: Call) -> HttpReply:
        body = self._cluster(call)
        key = self._key(call)
        self._idle(key)
        body["properties"]["provisioningState"] = "Deleting"
        node_group = body["properties"]["nodeResourceGroup"].lower()

        def end(failed: bool) -> None:
            if failed:
                body["properties"]["provisioningState"] = "Failed"
                return
            self.clusters.pop(key, None)
            self.groups.pop(node_group, None)
            inside = (f"/resourcegroups/{node_group}/", f"/managedclusters/{key[1]}/")
            # a diagnostic setting outlives its cluster, as it does in Azure
            self.things = {
                id: thing
                for id, thing in self.things.items()
                if "/diagnosticsettings/" in id or not any(part in id for part in inside)
            }

        work = self._begin(key, end, ["Deleting", "DeletingAgentPools: 1/2"])
        return HttpReply(202, b"", self._async(call, work))

    def _cluster_list(self, call: Call) -> HttpReply:
        return _reply(200, {"value": list(self.clusters.values())})

    def _credentials(self, call: Call) -> HttpReply:
        self._cluster(call)
        assert call.query.get("format") == "exec", call.query
        server = self.endpoint or f"https://{call.host}"
        trust = (
            {"certificate-authority-data": base64.b64encode(self.authority.encode()).decode()} if self.authority else {}
        )
        kubelogin = {
            "apiVersion": "client.authentication.k8s.io/v1beta1",
            "command": "kubelogin",
            "args": ["get-token"],
        }
        document = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": call.at["cluster"], "cluster": {"server": server, **trust}}],
            "users": [{"name": "clusterUser", "user": {"exec": kubelogin}}],
            "contexts": [
                {"name": call.at["cluster"], "context": {"cluster": call.at["cluster"], "user": "clusterUser"}}
            ],
            "current-context": call.at["cluster"],
        }
        value = base64.b64encode(json.dumps(document).encode()).decode()
        return _reply(200, {"kubeconfigs": [{"name": "clusterUser", "value": value}]})

    def _kubernetes_versions(self, call: Call) -> HttpReply:
        values = [
            {
                "version": version,
                **({"isDefault": True} if version == aks.DEFAULT_VERSION else {}),
                **({"isPreview": True} if version == aks.PREVIEW_VERSION else {}),
                "capabilities": {"supportPlan": ["KubernetesOfficial"]},
                "patchVersions": {patch: {"upgrades": []}},
            }
            for version, patch in aks.VERSIONS.items()
        ]
        return _reply(200, {"values": values})

    # pools

    def _pools(self, call: Call) -> list[Body]:
        return self._cluster(call)["properties"]["agentPoolProfiles"]

    def _pool(self, call: Call) -> Body | None:
        return next((pool for pool in self._pools(call) if pool["name"] == call.at["pool"]), None)

    def _pool_get(self, call: Call) -> HttpReply:
        pool = self._pool(call)
        if pool is None:
            # the service's own shape here: no "error" around it
            raise Refusal(404, "NotFound", f"Could not find the agent pool {call.at['pool']}.", flat=True)
        return _reply(200, self._pool_body(call, pool))

    def _pool_body(self, call: Call, pool: Body) -> Body:
        properties = {key: value for key, value in pool.items() if key != "name"}
        id = f"{self.clusters[self._key(call)]['id']}/agentPools/{pool['name']}"
        return {
            "id": id,
            "name": pool["name"],
            "type": "Microsoft.ContainerService/managedClusters/agentPools",
            "properties": properties,
        }

    def _pool_put(self, call: Call) -> HttpReply:
        pool = self._pool(call)
        _guard(call, pool, (pool or {}).get("eTag", ""))
        self._idle(self._key(call))
        name = call.at["pool"]
        aks.check_body("managedClusters_agentPools", name, call.body)
        cluster = self.clusters[self._key(call)]
        if cluster["sku"]["name"] == "Automatic":
            raise Refusal(400, "AutomaticClusterPools", "Agent pools cannot be made in an automatic cluster here.")
        version = cluster["properties"]["currentKubernetesVersion"]
        if pool is None:
            pool = aks.new_pool(name, call.body, version)
            cluster["properties"]["agentPoolProfiles"].append(pool)
            status = 201
        else:
            aks.changed_pool(pool, call.body, version)
            status = 200
        made = pool
        work = self._begin(
            self._key(call), lambda failed: _conclude([made], failed), ["Creating", "PuttingNodesToSleep"]
        )
        return _reply(status, self._pool_body(call, pool), self._async(call, work))

    def _pool_delete(self, call: Call) -> HttpReply:
        pool = self._pool(call)
        if pool is None:
            return HttpReply(204)
        self._idle(self._key(call))
        pool["provisioningState"] = "Deleting"
        pools = self._pools(call)

        def end(failed: bool) -> None:
            if pool in pools and not failed:
                pools.remove(pool)

        return HttpReply(202, b"", self._async(call, self._begin(self._key(call), end, ["Draining"])))

    # role assignments, disks, identities

    def _thing_get(self, call: Call) -> HttpReply:
        id = call.at["id"].lower()
        if id not in self.things:
            raise Refusal(404, "RoleAssignmentNotFound", f"The role assignment '{id}' is not found.")
        return _reply(200, self.things[id])

    def _thing_delete(self, call: Call) -> HttpReply:
        gone = self.things.pop(call.at["id"], None)
        self.things = {id: body for id, body in self.things.items() if not id.startswith(call.at["id"] + "/")}
        return _reply(200, gone) if gone else HttpReply(204)

    def _account_put(self, call: Call) -> HttpReply:
        self._parent(call.at["id"])
        name = call.path.split("/")[-1]
        if not re.fullmatch("[a-z0-9]{3,24}", name) or set(call.body) - {
            "location",
            "kind",
            "sku",
            "tags",
            "properties",
        }:
            raise Refusal(400, "AccountNameInvalid", f"{name} is not a valid storage account: {call.body}")
        new = call.at["id"] not in self.things
        made = {**call.body, "id": call.path, "name": name, "type": "Microsoft.Storage/storageAccounts"}
        made["properties"] = {**made["properties"], "provisioningState": "Succeeded"}
        if not new:
            self.things[call.at["id"]] = made
            return _reply(200, made)
        work = self._started(lambda: self.things.update({call.at["id"]: made}))
        location = f"https://{call.host}/subscriptions/{SUBSCRIPTION}/operationresults/{work.id}?api-version=2025-04-01"
        return HttpReply(202, b"", {"Location": location, "Retry-After": "0"})

    def _policy_put(self, call: Call) -> HttpReply:
        if call.at["id"].rpartition("/managementpolicies/")[0] not in self.things:
            raise Refusal(404, "ResourceNotFound", "The storage account was not found.")
        (rule,) = call.body["properties"]["policy"]["rules"]
        assert rule["definition"]["actions"]["baseBlob"]["delete"]["daysAfterModificationGreaterThan"] > 0
        self.things[call.at["id"]] = {**call.body, "id": call.path, "name": "DefaultManagementPolicy"}
        return _reply(200, self.things[call.at["id"]])

    def _setting_put(self, call: Call) -> HttpReply:
        self._parent(call.at["id"])
        properties = call.body["properties"]
        if set(properties) - {"storageAccountId", "logs"} or properties["storageAccountId"].lower() not in self.things:
            raise Refusal(400, "BadRequest", f"no storage account, or unknown properties: {properties}")
        known = {"kube-audit", "kube-audit-admin", "kube-apiserver", "guard", "cluster-autoscaler"}
        if unknown := [each["category"] for each in properties["logs"] if each["category"] not in known]:
            raise Refusal(400, "BadRequest", f"Category {unknown} is not supported.")
        self.things[call.at["id"]] = {**call.body, "id": call.path, "name": "portable"}
        return _reply(200, self.things[call.at["id"]])

    def _parent(self, id: str) -> None:
        """What a thing stands in, or on, has to be there."""
        place = id.rpartition("/providers/")[0]
        known = {body["id"].lower() for body in (*self.groups.values(), *self.clusters.values())} | self.places
        if place not in known:
            raise Refusal(404, "ResourceNotFound", f"The scope {place} was not found.")

    def _role_put(self, call: Call) -> HttpReply:
        id = call.at["id"].lower()
        properties = call.body["properties"]
        if unknown := set(properties) - {"roleDefinitionId", "principalId", "principalType"}:
            raise Refusal(400, "InvalidRequestContent", f"unknown: {unknown}")
        principals = {CALLER, *(body["identity"]["principalId"] for body in self.clusters.values())}
        profiles = (body["properties"].get("identityProfile", {}) for body in self.clusters.values())
        principals |= {each["objectId"] for profile in profiles for each in profile.values()}
        if properties["principalId"] not in principals:
            raise Refusal(
                400, "PrincipalNotFound", f"Principal {properties['principalId']} does not exist in the directory."
            )
        self._parent(id)
        place = id.rpartition("/providers/")[0]
        for other, body in self.things.items():
            same = body.get("properties", {}) == {**properties, "scope": place}
            if same and other != id and other.startswith(place):
                raise Refusal(409, "RoleAssignmentExists", "The role assignment already exists.")
        new = id not in self.things
        self.things[id] = {
            "id": call.path,
            "name": id.split("/")[-1],
            "type": "Microsoft.Authorization/roleAssignments",
            "properties": {**properties, "scope": place},
        }
        return _reply(201 if new else 200, self.things[id])

    def _role_list(self, call: Call) -> HttpReply:
        """At, above and below the place, as documented for this filter."""
        wanted = re.fullmatch("principalId eq '([^']+)'", call.query.get("$filter", ""))
        assert wanted, call.query
        place = call.at["id"].lower()
        roles = [body for id, body in self.things.items() if id.split("/")[-2] == "roleassignments"]
        found = [
            body
            for body in roles
            if body["properties"]["principalId"] == wanted[1]
            and (
                f"{place}/".startswith(f"{body['properties']['scope']}/")
                or body["properties"]["scope"].startswith(f"{place}/")
            )
        ]
        return _reply(200, {"value": found})

    def _disk_list(self, call: Call) -> HttpReply:
        self._group(call)
        inside = f"/resourcegroups/{call.at['group']}/providers/microsoft.compute/disks/"
        found = [body for id, body in self.things.items() if inside in id]
        if "page" not in call.query and len(found) > 1:
            # two pages, as long lists have
            more = f"https://{call.host}{call.path}?api-version=2024-03-02&page=2"
            return _reply(200, {"value": found[:1], "nextLink": more})
        return _reply(200, {"value": found[1:] if "page" in call.query else found})

    def _disk_delete(self, call: Call) -> HttpReply:
        id = call.at["id"].lower()
        disk = self.things.get(id)
        if disk is None:
            return HttpReply(204)
        if disk["properties"]["diskState"] == "Attached":
            raise Refusal(409, "OperationNotAllowed", f"Disk {disk['name']} is attached to VM node-1.")
        work = self._started(lambda: self.things.pop(id, None))
        location = f"https://{call.host}/subscriptions/{SUBSCRIPTION}/operationresults/{work.id}?api-version=2025-04-01"
        return HttpReply(202, b"", {"Location": location, "Retry-After": "0"})

    def _identity_list(self, call: Call) -> HttpReply:
        return _reply(
            200, {"value": [body for id, body in self.things.items() if id.split("/")[-2] == "userassignedidentities"]}
        )

    def _federated_list(self, call: Call) -> HttpReply:
        inside = call.at["id"].lower() + "/federatedidentitycredentials/"
        return _reply(200, {"value": [body for id, body in self.things.items() if id.startswith(inside)]})

    def _federated_put(self, call: Call) -> HttpReply:
        id = call.at["id"].lower()
        if id.rpartition("/federatedidentitycredentials/")[0] not in self.things:
            raise Refusal(404, "ResourceNotFound", "The identity was not found.")
        properties = call.body["properties"]
        if set(properties) != {"issuer", "subject", "audiences"} or properties["audiences"] != [
            "api://AzureADTokenExchange"
        ]:
            raise Refusal(400, "InvalidRequestContent", f"not a federated credential: {properties}")
        new = id not in self.things
        self.things[id] = {"id": call.path, "name": call.path.split("/")[-1], "properties": properties}
        return _reply(201 if new else 200, self.things[id])

    # doctor

    def _permissions(self, call: Call) -> HttpReply:
        return _reply(200, {"value": [{"actions": self.permitted, "notActions": []}]})

    def _usages(self, call: Call) -> HttpReply:
        used, limit = self.cores
        return _reply(
            200,
            {"value": [{"name": {"value": "cores"}, "currentValue": used, "limit": limit, "unit": "Count"}]},
        )

    def _locations(self, call: Call) -> HttpReply:
        return _reply(200, {"value": [{"name": "westeurope"}, {"name": "eastus"}]})

    # operations

    def _started(self, end: Callable[[], Any], states: list[str] | None = None) -> Work:
        work = Work((states or ["InProgress"])[: self.slow], end)
        self._work[work.id] = work
        return work

    def _begin(self, key: tuple[str, str], end: Callable[[bool], None], states: list[str]) -> Work:
        error, self.fail = self.fail, None
        work = self._started(lambda: end(error is not None), states)
        work.error = error
        self._busy[key] = work
        return work

    def _async(self, call: Call, work: Work) -> dict[str, str]:
        place = f"https://{call.host}/subscriptions/{SUBSCRIPTION}/providers/Microsoft.ContainerService/locations/westeurope"
        return {
            "Azure-AsyncOperation": f"{place}/operations/{work.id}?api-version=2017-08-31&c=c&h=h",
            "Retry-After": "0",
        }

    def _operation_get(self, call: Call) -> HttpReply:
        work = self._work[call.at["operation"]]
        answer: Body = {"name": work.id, "status": work.look(), "startTime": "2001-02-03T04:05:06Z"}
        if work.over and work.error:
            answer["error"] = work.error
        return _reply(200, answer)

    def _result_get(self, call: Call) -> HttpReply:
        work = self._work[call.at["operation"]]
        if work.look() in ("Succeeded", "Failed"):
            return HttpReply(200)
        location = f"https://{call.host}{call.path}?api-version=2025-04-01"
        return HttpReply(202, b"", {"Location": location, "Retry-After": "0"})

    # -- a few lines of an API server ------------------------------------------------------------------------------

    def _kubernetes(self, request: HttpRequest) -> HttpReply:
        if not self.accepts(request.headers.get("authorization", "").removeprefix("Bearer ")):
            return _reply(
                401, {"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": "Unauthorized", "code": 401}
            )
        group = "authorization.k8s.io/v1"
        if request.method == "GET":
            review = {
                "name": "selfsubjectaccessreviews",
                "singularName": "",
                "namespaced": False,
                "kind": "SelfSubjectAccessReview",
                "verbs": ["create"],
            }
            return _reply(
                200, {"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": group, "resources": [review]}
            )
        self.denied_reviews -= 1
        mine = any(body.get("properties", {}).get("principalId") == CALLER for body in self.things.values())
        return _reply(201, {**json.loads(request.body), "status": {"allowed": mine and self.denied_reviews < 0}})


def _guard(call: Call, live: Body | None, tag: str) -> None:
    if call.headers.get("if-none-match") == "*" and live is not None:
        raise Refusal(412, "PreconditionFailed", "The resource exists.")
    wanted = call.headers.get("if-match")
    if wanted and wanted.strip('"') not in ("*", tag.strip('"')):
        raise Refusal(412, "PreconditionFailed", "The resource has changed.")


def _conclude(parts: list[Body], failed: bool) -> None:
    for part in parts:
        part["provisioningState"] = "Failed" if failed else "Succeeded"


def _error(status: int, code: str, message: str) -> HttpReply:
    return _reply(status, {"error": {"code": code, "message": message}})


def _reply(status: int, body: Body, headers: dict[str, str] | None = None) -> HttpReply:
    return HttpReply(status, json.dumps(body).encode(), {**_JSON, **(headers or {})})
