"""Which user secrets are there, and keyed digests of their values, so that a changed secret rolls what uses it.

A plain hash in an annotation would let anyone who may read pods test guesses of a short secret; an HMAC whose key stays in
a Secret of the same namespace does not.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
from collections.abc import Iterable, Mapping

from portable.compile.objects import ExpectedSecret
from portable.errors import ClusterError
from portable.kube import Kube

KEY_SECRET = "portable-digest-key"


def secret_digests(
    kube: Kube, namespace: str, expected: Iterable[ExpectedSecret], labels: Mapping[str, str]
) -> tuple[dict[str, str], tuple[ExpectedSecret, ...]]:
    """(resource name -> digest of its Secret's values, those that are missing or lack a key)."""
    wanted = tuple(expected)
    if not wanted:
        return {}, ()
    live = {secret["metadata"]["name"]: secret.get("data") or {} for secret in kube.list("v1", "Secret", namespace)}
    missing = tuple(entry for entry in wanted if not set(entry.keys) <= live.get(entry.name, {}).keys())
    if len(missing) == len(wanted):  # nothing to digest, and perhaps no namespace yet to keep a key in
        return {}, missing
    key = _key(kube, namespace, live, labels)
    return {entry.resource: _digest(key, live[entry.name]) for entry in wanted if entry not in missing}, missing


def _digest(key: bytes, data: Mapping[str, str]) -> str:
    mac = hmac.new(key, digestmod=hashlib.sha256)
    for name in sorted(data):
        value = base64.b64decode(data[name])
        mac.update(f"{len(name)}:{name}{len(value)}:".encode() + value)
    return mac.hexdigest()[:32]


def _key(kube: Kube, namespace: str, live: Mapping[str, Mapping[str, str]], labels: Mapping[str, str]) -> bytes:
    if KEY_SECRET not in live:
        manifest = {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": KEY_SECRET, "namespace": namespace, "labels": dict(labels)},
            "immutable": True,
            "data": {"key": base64.b64encode(secrets.token_bytes(32)).decode()},
        }
        try:
            kube.create(manifest)
        except ClusterError as error:
            if error.status != 409:  # another `up` made it first: its key counts
                raise
    made = kube.get("v1", "Secret", KEY_SECRET, namespace)
    if made is None:
        raise ClusterError(
            f"the Secret {KEY_SECRET} in {namespace} vanished while it was used", fix="run the command again"
        )
    return base64.b64decode(made["data"]["key"])
