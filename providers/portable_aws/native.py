"""A cluster's resources as Pulumi's official AWS plugin names them: types and ids for `pulumi import`.

Ids are those of the "Import" section of each type's page in https://www.pulumi.com/registry/packages/aws/api-docs/ (7.x).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from portable.provider import Inputs, NativeResource, Outputs
from portable_aws.stack import PREFIX


def native_resources(type: str, name: str, inputs: Inputs, outputs: Outputs) -> Sequence[NativeResource]:
    kind = type.removeprefix(PREFIX)
    if kind in _BY_ID:
        return [NativeResource(_BY_ID[kind], name, outputs["id"])]
    make = _COMPOSED.get(kind)
    return make(name, inputs, outputs) if make is not None else []


def _routes(name: str, inputs: Inputs, outputs: Outputs) -> list[NativeResource]:
    """The table brings its routes; which subnets use it are objects of their own."""
    table = NativeResource("aws:ec2/routeTable:RouteTable", name, outputs["id"])
    return [table] + [
        NativeResource(
            "aws:ec2/routeTableAssociation:RouteTableAssociation", f"{name}-{index}", f"{subnet}/{outputs['id']}"
        )
        for index, subnet in enumerate(inputs["subnets"])
    ]


def _role(name: str, inputs: Inputs, outputs: Outputs) -> list[NativeResource]:
    role, partition = outputs["role"], outputs["arn"].split(":")[1]
    attached = [
        NativeResource(
            "aws:iam/rolePolicyAttachment:RolePolicyAttachment",
            f"{name}-{policy.rpartition('/')[2]}",
            f"{role}/arn:{partition}:iam::aws:policy/{policy}",
        )
        for policy in inputs["policies"]
    ]
    inline = [
        NativeResource("aws:iam/rolePolicy:RolePolicy", f"{name}-{policy}", f"{role}:{policy}")
        for policy in inputs["inline"]
    ]
    return [NativeResource("aws:iam/role:Role", name, role), *attached, *inline]


def _access(name: str, inputs: Inputs, outputs: Outputs) -> list[NativeResource]:
    cluster, principal = inputs["cluster"], outputs["principal"]
    partition = principal.split(":")[1]
    policies = [
        NativeResource(
            "aws:eks/accessPolicyAssociation:AccessPolicyAssociation",
            f"{name}-{policy}",
            f"{cluster}#{principal}#arn:{partition}:eks::aws:cluster-access-policy/{policy}",
        )
        for policy in outputs["policies"]
    ]
    return [NativeResource("aws:eks/accessEntry:AccessEntry", name, f"{cluster}:{principal}"), *policies]


def _one(type: str, id: Callable[[Inputs, Outputs], str]) -> Callable[..., list[NativeResource]]:
    return lambda name, inputs, outputs: [NativeResource(type, name, id(inputs, outputs))]


_BY_ID = {
    "Vpc": "aws:ec2/vpc:Vpc",
    "InternetGateway": "aws:ec2/internetGateway:InternetGateway",
    "Subnet": "aws:ec2/subnet:Subnet",
    "Address": "aws:ec2/eip:Eip",
    "NatGateway": "aws:ec2/natGateway:NatGateway",
    "LaunchTemplate": "aws:ec2/launchTemplate:LaunchTemplate",
}
_COMPOSED: dict[str, Callable[[str, Inputs, Outputs], list[NativeResource]]] = {
    "Routes": _routes,
    "Role": _role,
    "Access": _access,
    "Logs": _one("aws:cloudwatch/logGroup:LogGroup", lambda _inputs, outputs: outputs["group"]),
    "Cluster": _one("aws:eks/cluster:Cluster", lambda inputs, _outputs: inputs["cluster"]),
    "NodeGroup": _one("aws:eks/nodeGroup:NodeGroup", lambda inputs, _outputs: f"{inputs['cluster']}:{inputs['name']}"),
    "Addon": _one("aws:eks/addon:Addon", lambda inputs, _outputs: f"{inputs['cluster']}:{inputs['addon']}"),
}
