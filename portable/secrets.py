"""User secrets: set and listed in the cluster itself. Values pass from a file or standard input to the API server, and nowhere else."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TypeAlias

from portable.compile.objects import ExpectedSecret, Objects
from portable.errors import ClusterError, UsageError
from portable.kube import Kube
from portable.provider import KubeObject
from portable.spec.model import App, Registry

# name -> key -> value
SecretFiles: TypeAlias = Mapping[str, Mapping[str, bytes]]
DOCKER_CONFIG_KEY = ".dockerconfigjson"
_MANAGER = "portable-secrets"


@dataclass(frozen=True)
class SecretState:
    """`keys`: name -> has a value. `changed`: when the Secret was last written (RFC 3339), "" while it is not there."""

    name: str
    keys: Mapping[str, bool]
    changed: str = ""

    @property
    def complete(self) -> bool:
        return all(self.keys.values())


def user_keys(app: App, objects: Objects, name: str) -> tuple[str, ...]:
    """The keys that a person sets for the secret resource `name`: the Secret's own; for a registry username and password.

    Raises UsageError where the spec has no such secret.
    """
    if isinstance(app.resources.get(name), Registry):
        return ("username", "password")
    return _expected(objects, name).keys


def set_secret(kube: Kube, app: App, objects: Objects, name: str, values: Mapping[str, bytes]) -> SecretState:
    """Sets some or all keys of a secret; the other keys stay as they are. Makes the namespace where it is missing. Raises as
    `require_settable`."""
    data = require_settable(app, objects, name, values)
    encoded = {key: base64.b64encode(value).decode() for key, value in data.items()}
    expected = _expected(objects, name)
    ensure_namespace(kube, objects)
    return _state(expected, _write(kube, objects, expected, encoded), user_keys(app, objects, name))


def require_settable(app: App, objects: Objects, name: str, values: Mapping[str, bytes]) -> Mapping[str, bytes]:
    """The Secret's data that `values` stand for; touches no cluster.

    Raises UsageError for an unknown name or key, for a registry without both keys, and where values are not text though
    they must be.
    """
    allowed = user_keys(app, objects, name)
    for key in values:
        if key not in allowed:
            raise UsageError(f"the secret {name!r} has no key {key!r}", fix=f"its keys are: {', '.join(allowed)}")
    resource = app.resources[name]
    return _docker_config(resource, values) if isinstance(resource, Registry) else values


def list_secrets(kube: Kube | None, app: App, objects: Objects) -> list[SecretState]:
    """The spec's secrets and which of their keys have a value. Without a cluster none has."""
    found = kube.list("v1", "Secret", objects.namespace) if kube else []
    live = {secret["metadata"]["name"]: secret for secret in found}
    return [
        _state(expected, live.get(expected.name), user_keys(app, objects, expected.resource))
        for expected in _user_secrets(objects)
    ]


def ensure_namespace(kube: Kube, objects: Objects) -> None:
    """Applies the compiled Namespace (with its Pod Security label) where there is none yet. Raises as `own_namespace` does."""
    if own_namespace(kube, objects):
        return
    for item in objects.items:
        if item.manifest["kind"] == "Namespace":
            kube.apply(item.manifest)


def own_namespace(kube: Kube, objects: Objects) -> bool:
    """Whether the app's namespace is there.

    Raises ClusterError for one that is not this app's: `up` would close it to others' traffic, and `destroy` would delete it.
    """
    live = kube.get("v1", "Namespace", objects.namespace)
    if live is not None:
        _require_ours(live, objects)
    return live is not None


def _require_ours(live: KubeObject, objects: Objects) -> None:
    """By its labels: an environment makes another app's namespace of the same name ("shop" in "dev", and "shop-dev")."""
    found = live["metadata"].get("labels") or {}
    wanted = {"portable.dev/app": objects.app, "portable.dev/environment": objects.environment}
    if all(found.get(key) == value for key, value in wanted.items()):
        return
    owner = found.get("portable.dev/app")
    labels = " ".join(f"{key}={value}" for key, value in wanted.items() if value is not None)
    raise ClusterError(
        f"the namespace {objects.namespace} exists and is not this app's",
        detail=f"it belongs to the app {owner}" if owner else "portable did not make it",
        fix="give the app another name (`metadata.name`); or, if it may have the namespace and all that is in it for itself:"
        f" `kubectl label namespace {objects.namespace} {labels}`",
    )


def _user_secrets(objects: Objects) -> list[ExpectedSecret]:
    """Certificates are the provider's to make, not the user's."""
    return [expected for expected in objects.expected if not expected.certificate_hosts]


def _expected(objects: Objects, name: str) -> ExpectedSecret:
    known = {expected.resource: expected for expected in _user_secrets(objects)}
    if name not in known:
        raise UsageError(
            f"the spec has no secret called {name!r}",
            detail=f"secrets in the spec: {', '.join(known) or 'none'}",
            fix="add it to `resources:` with `type: secret`, or correct the name",
        )
    return known[name]


def _write(kube: Kube, objects: Objects, expected: ExpectedSecret, data: Mapping[str, str]) -> KubeObject:
    manifest = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": expected.name, "namespace": objects.namespace, "labels": _labels(objects)},
        "type": expected.type,
        "data": dict(data),
    }
    live = kube.get("v1", "Secret", expected.name, objects.namespace)
    if live is not None and live.get("type", "Opaque") != expected.type:
        # The type of a Secret cannot be changed; whatever had the name before does not fit any more.
        kube.delete("v1", "Secret", expected.name, objects.namespace, uid=live["metadata"]["uid"])
        kube.wait_gone("v1", "Secret", expected.name, objects.namespace, uid=live["metadata"]["uid"], timeout=30)
        live = None
    try:
        if live is None:
            return kube.create(manifest, field_manager=_MANAGER)
    except ClusterError as error:
        if error.status != 409:  # another `secret set` was first: add to what it made
            raise
    patch = {"metadata": {"labels": manifest["metadata"]["labels"]}, "data": dict(data)}
    return kube.merge_patch("v1", "Secret", expected.name, patch, objects.namespace, field_manager=_MANAGER)


def _labels(objects: Objects) -> dict[str, str]:
    """The labels that everything of this app and environment carries: the namespace's, without the policy's."""
    labels: Mapping[str, str] = next(
        (item.manifest["metadata"].get("labels", {}) for item in objects.items if item.manifest["kind"] == "Namespace"),
        {},
    )
    return {key: value for key, value in labels.items() if not key.startswith("pod-security.")}


def _state(expected: ExpectedSecret, live: KubeObject | None, keys: Iterable[str]) -> SecretState:
    data = (live or {}).get("data") or {}
    whole = DOCKER_CONFIG_KEY in data
    times = [entry.get("time", "") for entry in (live or {}).get("metadata", {}).get("managedFields", ())]
    return SecretState(expected.resource, {key: whole or key in data for key in keys}, max(times, default=""))


def _docker_config(registry: Registry, values: Mapping[str, bytes]) -> dict[str, bytes]:
    """https://kubernetes.io/docs/concepts/configuration/secret/#docker-config-secrets"""
    try:
        username, password = values["username"].decode(), values["password"].decode()
    except KeyError as error:
        raise UsageError(
            f"the registry {registry.name!r} needs username and password together", fix=f"give {error} too"
        ) from None
    except UnicodeDecodeError:
        raise UsageError(f"username and password of the registry {registry.name!r} must be text") from None
    login = {
        "username": username,
        "password": password,
        "auth": base64.b64encode(f"{username}:{password}".encode()).decode(),
    }
    return {DOCKER_CONFIG_KEY: json.dumps({"auths": {registry.server: login}}).encode()}
