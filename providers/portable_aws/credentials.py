"""How a cluster is asked about and reached: what EKS says of it, and tokens that need no CLI."""

from __future__ import annotations

import base64
import time

from portable.access import exec_kubeconfig
from portable.errors import ClusterGone, ProviderError
from portable.provider import ClusterState, Credentials, Token
from portable.spec.model import Cluster
from portable_aws import eks as service
from portable_aws.cluster import uid
from portable_aws.session import Sdk
from portable_aws.words import explained

# https://github.com/kubernetes-sigs/aws-iam-authenticator#api-authorization-from-outside-a-cluster: taken for 15 minutes
TOKEN_SECONDS = 14 * 60
_URL_SECONDS = 60
_PREFIX = "k8s-aws-v1."
# Whose credentials they are; none holds one itself.
_CHOICES = ("AWS_PROFILE", "AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE")
_HEALTHY = ("ACTIVE", "UPDATING")


def find(sdk: Sdk, cluster: Cluster) -> ClusterState | None:
    """None: EKS knows no such cluster in that region. Raises ProviderError for one that is not ours to touch."""
    region = sdk.region(cluster)
    with explained(sdk):
        live = service.cluster_of(sdk.eks(region), cluster.name)
    if live is None:
        return None
    if not cluster.existing:
        service.require_ours(live)
    detail = "; ".join(f"{code}: {message}" for code, message in service.issues(live)) or live["status"]
    return ClusterState(cluster.name, live["status"] in _HEALTHY, detail, live.get("version", ""), uid(live))


def credentials(sdk: Sdk, cluster: Cluster) -> Credentials:
    """Raises ClusterGone, and ProviderError for a cluster that has no API server yet."""
    region = sdk.region(cluster)
    with explained(sdk):
        live = service.cluster_of(sdk.eks(region), cluster.name)
    if live is None:
        raise ClusterGone(f"there is no EKS cluster {cluster.name} in {region}", fix="`portable up` makes it")
    if not live.get("endpoint"):
        raise ProviderError(
            f"the cluster {cluster.name} has no API server yet: it is {live['status']}", fix="run `portable up`"
        )
    authority = live["certificateAuthority"]["data"]
    document = exec_kubeconfig("aws", cluster.name, live["endpoint"], authority, region=region, choices=_CHOICES)
    return Credentials(document, lambda: token(sdk, cluster))


def token(sdk: Sdk, cluster: Cluster) -> Token:
    """A request to STS, signed and not sent: the API server sends it, and so learns who we are."""
    from botocore.config import Config
    from botocore.signers import RequestSigner

    region = sdk.region(cluster)
    with explained(sdk):
        session = sdk.session
        # Amazon's own host, whatever stands in for it here: an API server takes no other
        own = Config(ignore_configured_endpoint_urls=True)
        sts = session.client("sts", region_name=region, config=own)
        signer = RequestSigner(
            sts.meta.service_model.service_id, region, "sts", "v4", session.get_credentials(), session.events
        )
        request = {
            "method": "GET",
            "url": f"{sts.meta.endpoint_url}/?Action=GetCallerIdentity&Version=2011-06-15",
            "body": {},
            "headers": {"x-k8s-aws-id": cluster.name},
            "context": {},
        }
        url = signer.generate_presigned_url(
            request, region_name=region, expires_in=_URL_SECONDS, operation_name="GetCallerIdentity"
        )
    value = base64.urlsafe_b64encode(str(url).encode()).decode().rstrip("=")
    return Token(_PREFIX + value, time.time() + TOKEN_SECONDS)
