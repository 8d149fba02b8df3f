"""What an `up` would fail with once the cluster is there, told before anything is made or changed: a cluster takes its time and
costs money."""

from __future__ import annotations

from portable.certificates import require_way
from portable.dns.places import services
from portable.dns.routes import public_hosts
from portable.events import Emit
from portable.identities import require_identities
from portable.provider import KeptVolumes
from portable.secrets import SecretFiles, require_settable
from portable.situation import Situation
from portable.target import Target


def require_possible(target: Target, now: Situation, emit: Emit, secrets: SecretFiles | None = None) -> None:
    """`secrets`: values that are about to be set. Asks the cloud at most, and changes nothing.

    Raises UsageError for secrets and keys that the spec does not have, settings of DNS that cannot be, built images without a
    registry, and certificates without a way to them; SpecError for identities that the cloud does not know; ProviderError.
    """
    for name, values in (secrets or {}).items():
        require_settable(target.app, now.objects, name, values)
    if target.app.builds:
        from portable.images.delivery import require_destination

        require_destination(target)
    if public_hosts(target.provider, now.objects):
        services(target.provider, target.app.cluster)
    require_way(target, now.objects, emit, now.kube)
    require_identities(target)
    if now.cluster is None and isinstance(target.provider, KeptVolumes):
        target.provider.persistent_volumes(target.app.cluster, now.objects.namespace)
