"""What AWS refuses and moto does not: deleting what something else holds. And NAT gateways that take their time.

https://docs.aws.amazon.com/vpc/latest/userguide/delete-vpc.html, nat-gateway-basics.html
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tests.clouds.aws.eks import Eks
from tests.clouds.aws.model import Refused

Form = Mapping[str, list[str]]
_LOOKS = 2


class Rules:
    def __init__(self, ec2: Any, eks: Eks) -> None:
        self._ec2, self._eks = ec2, eks
        self._looks: dict[str, int] = {}
        ask = ec2.describe_nat_gateways
        ec2.describe_nat_gateways = lambda filters, ids: self._nats(ask(filters, ids), filters)

    def refuse(self, call: str, form: Form) -> Refused | None:
        """Why the call cannot be done now; None: moto may do it."""
        rule = {
            "ec2:DeleteSubnet": lambda: self._subnet(form["SubnetId"][0]),
            "ec2:DeleteVpc": lambda: self._vpc(form["VpcId"][0]),
            "ec2:ReleaseAddress": lambda: self._address(form["AllocationId"][0]),
            "ec2:DetachInternetGateway": lambda: self._gateway(form["VpcId"][0]),
            "ec2:DeleteSecurityGroup": lambda: self._group(form["GroupId"][0]),
            "ec2:DeleteLaunchTemplate": lambda: self._launch_template(form["LaunchTemplateId"][0]),
            "ec2:CreateLaunchTemplate": lambda: self._template_name(form["LaunchTemplateName"][0]),
            "ec2:CreateRoute": lambda: self._route(form["RouteTableId"][0], form["DestinationCidrBlock"][0]),
            "iam:DeleteRole": lambda: self._role(form["RoleName"][0]),
        }.get(call)
        return rule() if rule else None

    def done(self, call: str, form: Form) -> None:
        """After moto did it: what AWS would do besides, or in its own time."""
        if call == "ec2:CreateNatGateway":
            nat = list(self._ec2.nat_gateways.values())[-1]
            # moto's interface counts as free, a NAT gateway's never is
            self._ec2.enis.pop(nat._eni.id, None)
            nat.state, self._looks[nat.id] = "pending", _LOOKS
        if call == "ec2:TerminateInstances":
            gone = [name for name, each in self._ec2.enis.items() if each.instance and each.instance._state.code == 48]
            for name in gone:
                del self._ec2.enis[name]
        if call == "ec2:DeleteNatGateway":
            nat = self._ec2.nat_gateways[form["NatGatewayId"][0]]
            nat.state, self._looks[nat.id] = "deleting", _LOOKS

    def _nats(self, found: Sequence[Any], filters: Any) -> list[Any]:
        """moto knows no filters by tag; and states go on with each look."""
        wanted = {name[4:]: values for name, values in (filters or {}).items() if name.startswith("tag:")}
        chosen = []
        for nat in found:
            tags = {tag["key"]: tag["value"] for tag in nat.get_tags()}
            if all(tags.get(key) in values for key, values in wanted.items()):
                chosen.append(nat)
                self._look(nat)
        return chosen

    def _look(self, nat: Any) -> None:
        left = self._looks.get(nat.id, 0)
        self._looks[nat.id] = left - 1
        if left == 1:
            nat.state = {"pending": "available", "deleting": "deleted"}.get(nat.state, nat.state)

    def _subnet(self, name: str) -> Refused | None:
        used = self._eks.uses_subnet(name) or any(nat.subnet_id == name for nat in self._living_nats())
        if used or any(interface.subnet.id == name for interface in self._ec2.enis.values()):
            return _held(f"The subnet '{name}' has dependencies and cannot be deleted.")
        return None

    def _vpc(self, name: str) -> Refused | None:
        attached = any(gateway.vpc and gateway.vpc.id == name for gateway in self._ec2.internet_gateways.values())
        groups = [group for group in self._ec2.groups.get(name, {}).values() if group.name != "default"]
        if attached or groups:
            return _held(f"The vpc '{name}' has dependencies and cannot be deleted.")
        return None

    def _address(self, name: str) -> Refused | None:
        held = any(
            address.get("allocationId") == name for nat in self._living_nats() for address in nat.nat_gateway_addresses
        )
        if held:
            return Refused("InvalidIPAddress.InUse", f"The address with allocation id [{name}] is in use.")
        return None

    def _gateway(self, vpc: str) -> Refused | None:
        if any(nat.vpc_id == vpc for nat in self._living_nats()):
            return _held(f"Network {vpc} has some mapped public address(es). Please unmap those before detaching.")
        return None

    def _group(self, name: str) -> Refused | None:
        """Another group's rule that names it, or an interface in it, holds a group."""
        groups = [group for groups in self._ec2.groups.values() for group in groups.values()]
        named = any(
            source.get("GroupId") == name
            for group in groups
            if group.id != name
            for rule in group.ingress_rules
            for source in rule.source_groups
        )
        if named or any(name in [group.id for group in interface.group_set] for interface in self._ec2.enis.values()):
            return _held(f"resource {name} has a dependent object")
        return None

    def _route(self, table: str, destination: str) -> Refused | None:
        """One that leads nowhere any more is there too."""
        there = {route.destination_cidr_block for route in self._ec2.route_tables[table].routes}
        words = f"The route identified by {destination} already exists."
        return Refused("RouteAlreadyExists", words) if destination in there else None

    def _launch_template(self, name: str) -> Refused | None:
        """AWS lets it go; the node groups would be broken. Nobody should."""
        assert not any(
            group.thing.get("launchTemplate", {}).get("id") == name for group in self._eks.groups.values()
        ), "a launch template is deleted under a node group"
        return None

    def _template_name(self, name: str) -> Refused | None:
        if any(template.name == name for template in self._ec2.launch_templates.values()):
            return Refused("InvalidLaunchTemplateName.AlreadyExistsException", "Launch template name already in use.")
        return None

    def _role(self, name: str) -> Refused | None:
        if self._eks.uses_role(f"arn:aws:iam::{self._ec2.account_id}:role/{name}"):
            return Refused("DeleteConflict", "Cannot delete entity, must remove roles from instance profile first.", status=409)  # fmt: skip
        return None

    def _living_nats(self) -> list[Any]:
        """One that is being deleted gets on with it, whatever it is that it stands in the way of."""
        for nat in self._ec2.nat_gateways.values():
            if nat.state == "deleting":
                self._look(nat)
        return [nat for nat in self._ec2.nat_gateways.values() if nat.state != "deleted"]


def _held(message: str) -> Refused:
    return Refused("DependencyViolation", message)
