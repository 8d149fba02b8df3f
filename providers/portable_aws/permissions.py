"""Which calls the plugin makes, and the smallest IAM policy that allows them. A test holds this table against the calls recorded."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

# Statement -> its calls.
TABLE: Mapping[str, Sequence[str]] = {
    "Network": (
        "ec2:AllocateAddress",
        "ec2:AssociateRouteTable",
        "ec2:AttachInternetGateway",
        "ec2:CreateInternetGateway",
        "ec2:CreateLaunchTemplate",
        "ec2:CreateLaunchTemplateVersion",
        "ec2:CreateNatGateway",
        "ec2:CreateRoute",
        "ec2:CreateRouteTable",
        "ec2:CreateSubnet",
        "ec2:CreateTags",
        "ec2:CreateVpc",
        "ec2:DeleteInternetGateway",
        "ec2:DeleteLaunchTemplate",
        "ec2:DeleteNatGateway",
        "ec2:DeleteRouteTable",
        "ec2:DeleteSubnet",
        "ec2:DeleteVpc",
        "ec2:DescribeAddresses",
        "ec2:DescribeAvailabilityZones",
        "ec2:DescribeInternetGateways",
        "ec2:DescribeLaunchTemplateVersions",
        "ec2:DescribeLaunchTemplates",
        "ec2:DescribeNatGateways",
        "ec2:DescribeRouteTables",
        "ec2:DescribeSubnets",
        "ec2:DescribeVpcAttribute",
        "ec2:DescribeVpcs",
        "ec2:DetachInternetGateway",
        "ec2:DisassociateRouteTable",
        "ec2:ModifySubnetAttribute",
        "ec2:ModifyVpcAttribute",
        "ec2:ReleaseAddress",
        "ec2:ReplaceRoute",
    ),
    "Cluster": (
        "eks:AssociateAccessPolicy",
        "eks:CreateAccessEntry",
        "eks:CreateAddon",
        "eks:CreateCluster",
        "eks:CreateNodegroup",
        "eks:CreatePodIdentityAssociation",
        "eks:DeleteAddon",
        "eks:DeleteCluster",
        "eks:DeleteNodegroup",
        "eks:DeletePodIdentityAssociation",
        "eks:DescribeAddon",
        "eks:DescribeAddonVersions",
        "eks:DescribeCluster",
        "eks:DescribeClusterVersions",
        "eks:DescribeNodegroup",
        "eks:DescribePodIdentityAssociation",
        "eks:DescribeUpdate",
        "eks:ListAssociatedAccessPolicies",
        "eks:ListPodIdentityAssociations",
        "eks:UpdateAddon",
        "eks:UpdateClusterConfig",
        "eks:UpdateClusterVersion",
        "eks:UpdateNodegroupConfig",
        "eks:UpdateNodegroupVersion",
        "eks:UpdatePodIdentityAssociation",
        "sts:GetCallerIdentity",
    ),
    "Roles": (
        "iam:AttachRolePolicy",
        "iam:CreateRole",
        "iam:DeleteRole",
        "iam:DeleteRolePolicy",
        "iam:DetachRolePolicy",
        "iam:GetRolePolicy",
        "iam:ListAttachedRolePolicies",
        "iam:ListRolePolicies",
        "iam:PutRolePolicy",
        "iam:UpdateAssumeRolePolicy",
    ),
    "OtherRoles": ("iam:GetRole",),
    "Logs": ("logs:CreateLogGroup", "logs:DeleteLogGroup", "logs:DescribeLogGroups", "logs:PutRetentionPolicy"),
    "LeftBehind": (
        "ec2:DeleteNetworkInterface",
        "ec2:DeleteSecurityGroup",
        "ec2:DescribeInstances",
        "ec2:DescribeNetworkInterfaces",
        "ec2:DescribeSecurityGroups",
        "ec2:DescribeTags",
        "ec2:RevokeSecurityGroupIngress",
        "ec2:TerminateInstances",
        "elasticloadbalancing:DeleteLoadBalancer",
        "elasticloadbalancing:DeleteTargetGroup",
        "elasticloadbalancing:DescribeLoadBalancers",
        "elasticloadbalancing:DescribeTags",
        "elasticloadbalancing:DescribeTargetGroups",
    ),
    "Disks": ("ec2:DeleteVolume", "ec2:DescribeVolumes"),
    "Doctor": ("iam:SimulatePrincipalPolicy", "servicequotas:GetServiceQuota"),
}
CALLS = tuple(call for calls in TABLE.values() for call in calls)

# No call of ours, but checked when we make one: launch templates by node groups, tags with each creation.
# https://docs.aws.amazon.com/eks/latest/userguide/launch-templates.html
IMPLIED = {
    "Network": ("ec2:RunInstances",),
    "Cluster": ("eks:TagResource",),
    "Roles": ("iam:TagRole",),
    "Logs": ("logs:TagResource",),
}
# Whom roles of ours are handed to.
HANDED_TO = ("eks.amazonaws.com", "ec2.amazonaws.com", "pods.eks.amazonaws.com")
_OUR_ROLES = ["arn:*:iam::*:role/portable-*"]
_RESOURCES = {"Roles": _OUR_ROLES}
# Those that `doctor` can do without: it says what it could not look at.
OPTIONAL = TABLE["Doctor"]

_HEAD = """\
The IAM policy that `portable` needs on Amazon EKS. "Doctor" may be left out: those checks then say that they could not look.
So may "Dns" where no zone of a route's host is in Route 53, "Certificates" where no route has `tls: auto`,
and "Images" where no container has `build`.
The roles that portable makes are named portable-*; pods' roles (`identity:` in a spec) are only read.

"""


def policy() -> dict[str, Any]:
    from portable_aws import certificates, dns, registry

    images = (*registry.CALLS, *registry.IMPLIED)
    statements = [
        {
            "Sid": name,
            "Effect": "Allow",
            "Action": sorted([*calls, *IMPLIED.get(name, ())]),
            "Resource": _RESOURCES.get(name, "*"),
        }
        for name, calls in {**TABLE, "Dns": dns.CALLS, "Certificates": certificates.CALLS, "Images": images}.items()
    ]
    return {"Version": "2012-10-17", "Statement": [*statements, *_HANDED_ON]}


def text() -> str:
    return _HEAD + json.dumps(policy(), indent=2) + "\n"


_HANDED_ON = (
    {
        "Sid": "HandRolesToEks",
        "Effect": "Allow",
        "Action": "iam:PassRole",
        "Resource": _OUR_ROLES,
        "Condition": {"StringEquals": {"iam:PassedToService": list(HANDED_TO)}},
    },
    {
        # for `identity:` in a spec; narrow it to the roles that apps may have
        "Sid": "HandRolesToPods",
        "Effect": "Allow",
        "Action": "iam:PassRole",
        "Resource": "*",
        "Condition": {"StringEquals": {"iam:PassedToService": "pods.eks.amazonaws.com"}},
    },
    {
        # once for each account: EKS and its node groups make roles of their own
        "Sid": "FirstUse",
        "Effect": "Allow",
        "Action": "iam:CreateServiceLinkedRole",
        "Resource": "*",
        "Condition": {
            "StringEquals": {
                "iam:AWSServiceName": [
                    "eks.amazonaws.com",
                    "eks-nodegroup.amazonaws.com",
                    "autoscaling.amazonaws.com",
                    "elasticloadbalancing.amazonaws.com",
                    "spot.amazonaws.com",
                ]
            }
        },
    },
)
