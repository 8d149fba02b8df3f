"""ECR: one repository for each image that portable builds, in the account and region of the cluster.
https://docs.aws.amazon.com/AmazonECR/latest/APIReference/

Tags are immutable: each is made of what the image was built from. EKS' nodes may pull from every repository of their account.
"""

from __future__ import annotations

import base64
import json
import re

from portable.events import Emit, Notice
from portable.provider import RegistryLogin
from portable_aws.session import Sdk, as_list
from portable_aws.words import explained

CALLS = (
    "ecr:CreateRepository",
    "ecr:DescribeRepositories",
    "ecr:GetAuthorizationToken",
    "ecr:PutLifecyclePolicy",
)
# What the registry itself asks of whoever pushes and pulls by its HTTP API, and tags with a creation.
# https://docs.aws.amazon.com/AmazonECR/latest/userguide/image-push-iam.html
IMPLIED = (
    "ecr:BatchCheckLayerAvailability",
    "ecr:BatchGetImage",
    "ecr:CompleteLayerUpload",
    "ecr:GetDownloadUrlForLayer",
    "ecr:InitiateLayerUpload",
    "ecr:PutImage",
    "ecr:TagResource",
    "ecr:UploadLayerPart",
)
PREFIX = "portable/"
REPOSITORY_TAG = "portable:repository"
_HOST = re.compile(
    r"\d{12}\.dkr[.-]ecr(-fips)?\.[a-z0-9-]+\.(amazonaws\.com(\.cn)?|on\.aws|on\.amazonwebservices\.com\.cn)/"
)
# An interrupted push leaves layers and manifests without a tag. What has one may run somewhere, so it stays.
_LIFECYCLE = {
    "rules": [
        {
            "rulePriority": 1,
            "description": "what no tag names, 14 days after it was pushed",
            "selection": {
                "tagStatus": "untagged",
                "countType": "sinceImagePushed",
                "countUnit": "days",
                "countNumber": 14,
            },
            "action": {"type": "expire"},
        }
    ]
}


def ensure_repository(sdk: Sdk, region: str, name: str, emit: Emit) -> str:
    """Made with immutable tags and a scan of what is pushed; one that is there is used as it is."""
    wanted = f"{PREFIX}{name}"
    with explained(sdk):
        client = sdk.client("ecr", region)
        try:
            made = client.create_repository(
                repositoryName=wanted,
                imageTagMutability="IMMUTABLE",
                imageScanningConfiguration={"scanOnPush": True},
                tags=as_list({REPOSITORY_TAG: name}),
            )["repository"]
        except client.exceptions.RepositoryAlreadyExistsException:
            return str(client.describe_repositories(repositoryNames=[wanted])["repositories"][0]["repositoryUri"])
        client.put_lifecycle_policy(repositoryName=wanted, lifecyclePolicyText=json.dumps(_LIFECYCLE))
    emit(Notice(f"the ECR repository {wanted} was made; it costs by what is stored in it, and outlives the cluster"))
    return str(made["repositoryUri"])


def login(sdk: Sdk, region: str) -> RegistryLogin:
    """Good for 12 hours, for every repository of the account in the region."""
    with explained(sdk):
        given = sdk.client("ecr", region).get_authorization_token()["authorizationData"][0]
    user, _, password = base64.b64decode(given["authorizationToken"]).decode().partition(":")
    return RegistryLogin(given["proxyEndpoint"].partition("://")[2], user, password)


def owns(image: str) -> bool:
    """Of any account: another may have let this one in, but no other cloud's nodes."""
    return _HOST.match(image) is not None
