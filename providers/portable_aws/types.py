"""The resource types of a cluster's stack, by the token that `stack` names them with."""

from __future__ import annotations

from collections.abc import Mapping

from portable.provider import ResourceType
from portable_aws.access import Access
from portable_aws.addon import Addon
from portable_aws.cluster import ClusterResource
from portable_aws.ec2 import Ec2Object
from portable_aws.logs import Logs
from portable_aws.network import Address, InternetGateway, NatGateway, Routes, Subnet, Vpc
from portable_aws.nodes import NodeGroup
from portable_aws.roles import Role
from portable_aws.session import Sdk
from portable_aws.stack import PREFIX
from portable_aws.template import LaunchTemplate


def resource_types(sdk: Sdk) -> Mapping[str, ResourceType]:
    types: dict[str, ResourceType] = {
        type(kind).__name__: Ec2Object(sdk, kind)
        for kind in (Vpc(), InternetGateway(), Subnet(), Address(), NatGateway(), Routes(), LaunchTemplate())
    }
    types |= {"Role": Role(sdk), "Logs": Logs(sdk), "Cluster": ClusterResource(sdk), "Access": Access(sdk)}
    types |= {"Addon": Addon(sdk), "NodeGroup": NodeGroup(sdk)}
    return {PREFIX + name: served for name, served in types.items()}
