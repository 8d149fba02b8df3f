"""The network of a cluster: kinds of EC2 objects, for `ec2.Ec2Object`.

Vpc              block
InternetGateway  vpc
Subnet           vpc, block, zone (a number: which of the region's zones), public, tags (roles for load balancers)
Address          a fixed public address, for the NAT gateway
NatGateway       subnet, address
Routes           vpc, target (an internet or a NAT gateway), subnets: a route table with one route out
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from portable.errors import ProviderError
from portable.events import Emit
from portable.polling import Pending
from portable.provider import Inputs, Outputs
from portable_aws.ec2 import Raw, specification
from portable_aws.session import Sdk
from portable_aws.words import unless, unless_gone

EVERYWHERE = "0.0.0.0/0"
NAT_SECONDS = 900.0
# EKS puts no control plane there: https://docs.aws.amazon.com/eks/latest/userguide/network-reqs.html
UNFIT_ZONES = {"use1-az3", "usw1-az2", "cac1-az3"}


class Vpc:
    noun, type, id, id_filter = "VPC", "vpc", "VpcId", "vpc-id"

    def list(self, ec2: Any, filters: Sequence[Raw]) -> Sequence[Raw]:
        return ec2.describe_vpcs(Filters=filters)["Vpcs"]

    def make(self, ec2: Any, inputs: Inputs, tags: Sequence[Raw]) -> Raw:
        answer = ec2.create_vpc(CidrBlock=inputs["block"], TagSpecifications=specification(self.type, tags))
        return answer["Vpc"]

    def settle(self, sdk: Sdk, inputs: Inputs, found: Raw, emit: Emit) -> None:
        """Nodes find the API server's private address by name, for which both have to be on."""
        ec2 = sdk.ec2(inputs["region"])
        if not _vpc_attribute(ec2, found["VpcId"], "enableDnsSupport"):
            ec2.modify_vpc_attribute(VpcId=found["VpcId"], EnableDnsSupport={"Value": True})
        if not _vpc_attribute(ec2, found["VpcId"], "enableDnsHostnames"):
            ec2.modify_vpc_attribute(VpcId=found["VpcId"], EnableDnsHostnames={"Value": True})

    def outputs(self, sdk: Sdk, region: str, found: Raw) -> Outputs:
        ec2 = sdk.ec2(region)
        names = all(
            _vpc_attribute(ec2, found["VpcId"], attribute) for attribute in ("enableDnsSupport", "enableDnsHostnames")
        )
        return {"block": found["CidrBlock"], "names": names}

    def wrong(self, inputs: Inputs, outputs: Outputs) -> tuple[str, ...]:
        return () if outputs["names"] else ("names",)

    def remove(self, sdk: Sdk, region: str, found: Raw) -> None:
        sdk.ec2(region).delete_vpc(VpcId=found["VpcId"])


def _vpc_attribute(ec2: Any, vpc: str, attribute: str) -> bool:
    answer = ec2.describe_vpc_attribute(VpcId=vpc, Attribute=attribute)
    return bool(answer[attribute[0].upper() + attribute[1:]]["Value"])


class InternetGateway:
    noun, type, id, id_filter = "internet gateway", "internet-gateway", "InternetGatewayId", "internet-gateway-id"

    def list(self, ec2: Any, filters: Sequence[Raw]) -> Sequence[Raw]:
        return ec2.describe_internet_gateways(Filters=filters)["InternetGateways"]

    def make(self, ec2: Any, inputs: Inputs, tags: Sequence[Raw]) -> Raw:
        return ec2.create_internet_gateway(TagSpecifications=specification(self.type, tags))["InternetGateway"]

    def settle(self, sdk: Sdk, inputs: Inputs, found: Raw, emit: Emit) -> None:
        if _attached(found) != inputs["vpc"]:
            attach = {"InternetGatewayId": found["InternetGatewayId"], "VpcId": inputs["vpc"]}
            unless({"Resource.AlreadyAssociated"}, lambda: sdk.ec2(inputs["region"]).attach_internet_gateway(**attach))

    def outputs(self, sdk: Sdk, region: str, found: Raw) -> Outputs:
        return {"vpc": _attached(found)}

    def wrong(self, inputs: Inputs, outputs: Outputs) -> tuple[str, ...]:
        return () if outputs["vpc"] == inputs["vpc"] else ("vpc",)

    def remove(self, sdk: Sdk, region: str, found: Raw) -> None:
        ec2, gateway = sdk.ec2(region), found["InternetGatewayId"]
        if vpc := _attached(found):
            detach = {"InternetGatewayId": gateway, "VpcId": vpc}
            unless({"Gateway.NotAttached"}, lambda: ec2.detach_internet_gateway(**detach))
        ec2.delete_internet_gateway(InternetGatewayId=gateway)


def _attached(gateway: Raw) -> str:
    return next((entry["VpcId"] for entry in gateway.get("Attachments", ())), "")


class Subnet:
    noun, type, id, id_filter = "subnet", "subnet", "SubnetId", "subnet-id"

    def list(self, ec2: Any, filters: Sequence[Raw]) -> Sequence[Raw]:
        return ec2.describe_subnets(Filters=filters)["Subnets"]

    def make(self, ec2: Any, inputs: Inputs, tags: Sequence[Raw]) -> Raw:
        zones = _zones(ec2)
        return ec2.create_subnet(
            VpcId=inputs["vpc"],
            CidrBlock=inputs["block"],
            AvailabilityZone=zones[inputs["zone"] % len(zones)],
            TagSpecifications=specification(self.type, tags),
        )["Subnet"]

    def settle(self, sdk: Sdk, inputs: Inputs, found: Raw, emit: Emit) -> None:
        if found["MapPublicIpOnLaunch"] != inputs["public"]:
            sdk.ec2(inputs["region"]).modify_subnet_attribute(
                SubnetId=found["SubnetId"], MapPublicIpOnLaunch={"Value": inputs["public"]}
            )

    def outputs(self, sdk: Sdk, region: str, found: Raw) -> Outputs:
        return {
            "zone": found["AvailabilityZone"],
            "block": found["CidrBlock"],
            "public": found["MapPublicIpOnLaunch"],
        }

    def wrong(self, inputs: Inputs, outputs: Outputs) -> tuple[str, ...]:
        return () if outputs["public"] == inputs["public"] else ("public",)

    def remove(self, sdk: Sdk, region: str, found: Raw) -> None:
        sdk.ec2(region).delete_subnet(SubnetId=found["SubnetId"])


def _zones(ec2: Any) -> list[str]:
    filters = [
        {"Name": "opt-in-status", "Values": ["opt-in-not-required"]},
        {"Name": "zone-type", "Values": ["availability-zone"]},
    ]
    zones = ec2.describe_availability_zones(Filters=filters)["AvailabilityZones"]
    return sorted(
        zone["ZoneName"] for zone in zones if zone["State"] == "available" and zone["ZoneId"] not in UNFIT_ZONES
    )


class Address:
    noun, type, id, id_filter = "elastic IP address", "elastic-ip", "AllocationId", "allocation-id"

    def list(self, ec2: Any, filters: Sequence[Raw]) -> Sequence[Raw]:
        return ec2.describe_addresses(Filters=filters)["Addresses"]

    def make(self, ec2: Any, inputs: Inputs, tags: Sequence[Raw]) -> Raw:
        return ec2.allocate_address(Domain="vpc", TagSpecifications=specification(self.type, tags))

    def settle(self, sdk: Sdk, inputs: Inputs, found: Raw, emit: Emit) -> None:
        """An address has nothing to change."""

    def outputs(self, sdk: Sdk, region: str, found: Raw) -> Outputs:
        return {"address": found["PublicIp"]}

    def wrong(self, inputs: Inputs, outputs: Outputs) -> tuple[str, ...]:
        return ()

    def remove(self, sdk: Sdk, region: str, found: Raw) -> None:
        sdk.ec2(region).release_address(AllocationId=found["AllocationId"])


class NatGateway:
    noun, type, id, id_filter = "NAT gateway", "natgateway", "NatGatewayId", "nat-gateway-id"

    def list(self, ec2: Any, filters: Sequence[Raw]) -> Sequence[Raw]:
        found = ec2.describe_nat_gateways(Filter=filters)["NatGateways"]
        return [gateway for gateway in found if gateway["State"] in ("pending", "available")]

    def make(self, ec2: Any, inputs: Inputs, tags: Sequence[Raw]) -> Raw:
        return ec2.create_nat_gateway(
            SubnetId=inputs["subnet"],
            AllocationId=inputs["address"],
            TagSpecifications=specification(self.type, tags),
        )["NatGateway"]

    def settle(self, sdk: Sdk, inputs: Inputs, found: Raw, emit: Emit) -> None:
        wait_for_nat(sdk, inputs["region"], found["NatGatewayId"], "available", emit)

    def outputs(self, sdk: Sdk, region: str, found: Raw) -> Outputs:
        return {"subnet": found["SubnetId"], "state": found["State"]}

    def wrong(self, inputs: Inputs, outputs: Outputs) -> tuple[str, ...]:
        return ()

    def remove(self, sdk: Sdk, region: str, found: Raw) -> None:
        """Waits: its address and its subnet are held until it is gone."""
        from portable.events import nowhere

        gateway = found["NatGatewayId"]
        unless_gone(lambda: sdk.ec2(region).delete_nat_gateway(NatGatewayId=gateway))
        wait_for_nat(sdk, region, gateway, "deleted", nowhere)


def wait_for_nat(sdk: Sdk, region: str, gateway: str, wanted: str, emit: Emit) -> None:
    """Raises ProviderError with the service's reason where the gateway fails."""

    def look() -> bool | Pending:
        answer = unless_gone(lambda: sdk.ec2(region).describe_nat_gateways(NatGatewayIds=[gateway]))
        found = answer["NatGateways"] if answer else []
        state = found[0]["State"] if found else "deleted"
        if state == "failed":
            raise ProviderError(
                f"the NAT gateway {gateway} failed: {found[0].get('FailureMessage', 'no reason given')}",
                fix="mend what it names, then run the same command again: another one is made",
            )
        return True if state == wanted else Pending(state)

    sdk.wait(
        look,
        what="NAT gateway",
        usual="2-3 min",
        timeout=NAT_SECONDS,
        emit=emit,
    )


class Routes:
    noun, type, id, id_filter = "route table", "route-table", "RouteTableId", "route-table-id"

    def list(self, ec2: Any, filters: Sequence[Raw]) -> Sequence[Raw]:
        return ec2.describe_route_tables(Filters=filters)["RouteTables"]

    def make(self, ec2: Any, inputs: Inputs, tags: Sequence[Raw]) -> Raw:
        specified = specification(self.type, tags)
        return ec2.create_route_table(VpcId=inputs["vpc"], TagSpecifications=specified)["RouteTable"]

    def settle(self, sdk: Sdk, inputs: Inputs, found: Raw, emit: Emit) -> None:
        ec2, table = sdk.ec2(inputs["region"]), found["RouteTableId"]
        way_out = _way_out(found)
        if way_out != inputs["target"]:
            route = {"RouteTableId": table, "DestinationCidrBlock": EVERYWHERE, **_target(inputs["target"])}
            change = ec2.replace_route if _default(found) else ec2.create_route
            unless({"RouteAlreadyExists"}, lambda: change(**route))
        for subnet in sorted(set(inputs["subnets"]) - set(_associations(found))):
            pair = {"RouteTableId": table, "SubnetId": subnet}
            unless({"Resource.AlreadyAssociated"}, lambda pair=pair: ec2.associate_route_table(**pair))

    def outputs(self, sdk: Sdk, region: str, found: Raw) -> Outputs:
        return {"target": _way_out(found), "subnets": sorted(_associations(found))}

    def wrong(self, inputs: Inputs, outputs: Outputs) -> tuple[str, ...]:
        subnets = {str(subnet) for subnet in inputs["subnets"]}
        wrong = [] if outputs["target"] == inputs["target"] else ["target"]
        return tuple(wrong if subnets <= set(outputs["subnets"]) else [*wrong, "subnets"])

    def remove(self, sdk: Sdk, region: str, found: Raw) -> None:
        ec2 = sdk.ec2(region)
        for association in _associations(found).values():
            unless_gone(lambda name=association: ec2.disassociate_route_table(AssociationId=name))
        ec2.delete_route_table(RouteTableId=found["RouteTableId"])


def _default(table: Raw) -> Raw | None:
    return next((route for route in table.get("Routes", ()) if route.get("DestinationCidrBlock") == EVERYWHERE), None)


def _way_out(table: Raw) -> str:
    """The gateway of the route to everywhere; empty: there is none, or it leads nowhere any more."""
    route = _default(table)
    if route is None or route.get("State", "active") == "blackhole":
        return ""
    return route.get("NatGatewayId") or route.get("GatewayId") or ""


def _target(gateway: str) -> Raw:
    return {"NatGatewayId": gateway} if gateway.startswith("nat-") else {"GatewayId": gateway}


def _associations(table: Raw) -> dict[str, str]:
    """subnet -> id of its association with this table."""
    return {
        entry["SubnetId"]: entry["RouteTableAssociationId"]
        for entry in table.get("Associations", ())
        if entry.get("SubnetId")
    }
