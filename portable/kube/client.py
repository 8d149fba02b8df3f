"""The Kubernetes API as plain dicts: get, list, apply, patch, delete, watch, logs.

Objects here are dicts because the compiler makes dicts and server-side apply must send exactly those; lightkube supplies what
is hard and not ours: kubeconfig rules, client certificates, exec credential plugins, proxies.
API conventions: https://kubernetes.io/docs/reference/using-api/api-concepts/
"""

from __future__ import annotations

import json
import random
import ssl
import time
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any, Literal, Self

from portable.errors import ClusterError
from portable.kube import refusals, websocket
from portable.kube.kinds import KNOWN
from portable.kube.wire import Wire
from portable.provider import Credentials, KubeObject

if TYPE_CHECKING:
    import httpx2
    from httpx2.websockets import WebSocketSession

FIELD_MANAGER = "portable"
Propagation = Literal["Foreground", "Background", "Orphan"]


class Kube:
    """One cluster's API server. Thread-safe. Every method raises ClusterError (status 0: the server was not reached).

    `kubeconfig` is the document that it was connected by; it may hold secrets.
    """

    def __init__(self, http: httpx2.Client, server: str, kubeconfig: str = "") -> None:
        self._wire = Wire(http, server)
        self.server = server
        self.kubeconfig = kubeconfig
        self._resources = dict(KNOWN)

    @classmethod
    def connect(cls, kubeconfig: str, *, context: str | None = None, timeout: float = 30.0) -> Kube:
        """From a kubeconfig document (YAML text). Opens no connection yet."""
        import httpx2
        import yaml
        from lightkube.config.client_adapter import Client, ConnectionParams
        from lightkube.config.kubeconfig import KubeConfig
        from lightkube.core.exceptions import ConfigError

        try:
            config = KubeConfig.from_dict(yaml.load(kubeconfig, Loader=yaml.CSafeLoader)).get(context)
            if config is None:
                raise ConfigError("it names no current context")
            http = Client(config, ConnectionParams(timeout=httpx2.Timeout(timeout), trust_env=False))
        except (ConfigError, yaml.YAMLError, ssl.SSLError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise ClusterError(
                f"the kubeconfig cannot be used: {error}", fix="check the credentials of the cluster"
            ) from error
        return cls(http, config.cluster.server, kubeconfig)

    @classmethod
    def reach(cls, credentials: Credentials, *, timeout: float = 30.0) -> Kube:
        """As `connect`, with the provider's own tokens where it makes them."""
        kube = cls.connect(credentials.kubeconfig, timeout=timeout)
        if credentials.token is not None:
            from portable.bearer import Bearer

            kube._wire.http.auth = Bearer(credentials.token)
        return kube

    def close(self) -> None:
        self._wire.http.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # -- one object ------------------------------------------------------------------------------------------------

    def get(self, api_version: str, kind: str, name: str, namespace: str | None = None) -> KubeObject | None:
        """The object, or None where it does not exist."""
        try:
            return self._wire.json("GET", self._path(api_version, kind, name, namespace))
        except ClusterError as error:
            if error.status == 404:
                return None
            raise

    def apply(
        self, manifest: KubeObject, *, field_manager: str = FIELD_MANAGER, force: bool = True, dry_run: bool = False
    ) -> KubeObject:
        """Server-side apply; returns the object as the server has (or with `dry_run` would have) it."""
        metadata = manifest["metadata"]
        params = {"fieldManager": field_manager, "force": str(force).lower()} | ({"dryRun": "All"} if dry_run else {})
        path = self._path(manifest["apiVersion"], manifest["kind"], metadata["name"], metadata.get("namespace"))
        headers = {"Content-Type": "application/apply-patch+yaml"}
        return self._wire.json("PATCH", path, params=params, content=json.dumps(manifest).encode(), headers=headers)

    def create(self, manifest: KubeObject, *, field_manager: str = FIELD_MANAGER) -> KubeObject:
        path = self._path(manifest["apiVersion"], manifest["kind"], None, manifest["metadata"].get("namespace"))
        return self._wire.json("POST", path, params={"fieldManager": field_manager}, json=manifest)

    def replace(self, manifest: KubeObject, *, field_manager: str = FIELD_MANAGER) -> KubeObject:
        """PUT; with metadata.resourceVersion set it is a compare-and-set (409 when someone else was first)."""
        metadata = manifest["metadata"]
        path = self._path(manifest["apiVersion"], manifest["kind"], metadata["name"], metadata.get("namespace"))
        return self._wire.json("PUT", path, params={"fieldManager": field_manager}, json=manifest)

    def merge_patch(
        self,
        api_version: str,
        kind: str,
        name: str,
        patch: Mapping[str, Any],
        namespace: str | None = None,
        *,
        subresource: str | None = None,
        field_manager: str = FIELD_MANAGER,
    ) -> KubeObject:
        """RFC 7386 merge patch."""
        path = self._path(api_version, kind, name, namespace) + (f"/{subresource}" if subresource else "")
        headers = {"Content-Type": "application/merge-patch+json"}
        return self._wire.json(
            "PATCH", path, params={"fieldManager": field_manager}, content=json.dumps(patch).encode(), headers=headers
        )

    def delete(
        self,
        api_version: str,
        kind: str,
        name: str,
        namespace: str | None = None,
        *,
        propagation: Propagation = "Foreground",
        uid: str | None = None,
    ) -> bool:
        """Asks for deletion; False where the object was not there. `uid`: only that very object. Does not wait."""
        body: dict[str, Any] = {"apiVersion": "v1", "kind": "DeleteOptions", "propagationPolicy": propagation}
        if uid is not None:
            body["preconditions"] = {"uid": uid}
        try:
            self._wire.json("DELETE", self._path(api_version, kind, name, namespace), json=body)
        except ClusterError as error:
            if error.status == 404:
                return False
            raise
        return True

    def wait_gone(
        self,
        api_version: str,
        kind: str,
        name: str,
        namespace: str | None = None,
        *,
        uid: str | None = None,
        timeout: float,
    ) -> bool:
        """True once the object (with `uid`, that one) is gone, finalizers included; False after `timeout` seconds."""
        deadline = time.monotonic() + timeout
        delay = 0.05
        while True:
            live = self.get(api_version, kind, name, namespace)
            if live is None or (uid is not None and live["metadata"].get("uid") != uid):
                return True
            if time.monotonic() >= deadline:
                return False
            time.sleep(delay * random.uniform(0.8, 1.2))
            delay = min(delay * 1.6, 1.0)

    # -- many objects ----------------------------------------------------------------------------------------------

    def list(
        self,
        api_version: str,
        kind: str,
        namespace: str | None = None,
        *,
        label_selector: str | None = None,
        field_selector: str | None = None,
    ) -> list[KubeObject]:
        """All objects; apiVersion and kind are filled in on each (the server leaves them out in lists)."""
        return self.list_page(
            api_version, kind, namespace, label_selector=label_selector, field_selector=field_selector
        )[0]

    def list_page(
        self,
        api_version: str,
        kind: str,
        namespace: str | None = None,
        *,
        label_selector: str | None = None,
        field_selector: str | None = None,
    ) -> tuple[list[KubeObject], str]:
        """As `list`, with the collection's resourceVersion to start a watch from."""
        params = _given(labelSelector=label_selector, fieldSelector=field_selector)
        path = self._path(api_version, kind, None, namespace)
        items: list[KubeObject] = []
        while True:
            page = self._wire.json("GET", path, params=params | {"limit": "500"})
            items += page.get("items") or []
            params["continue"] = page["metadata"].get("continue", "")
            if not params["continue"]:
                break
        for item in items:
            item.setdefault("apiVersion", api_version)
            item.setdefault("kind", kind)
        return items, page["metadata"]["resourceVersion"]

    def watch(
        self,
        api_version: str,
        kind: str,
        namespace: str | None = None,
        *,
        resource_version: str,
        timeout: float,
        label_selector: str | None = None,
        field_selector: str | None = None,
    ) -> Iterator[tuple[str, KubeObject]]:
        """(ADDED|MODIFIED|DELETED|BOOKMARK, object) as they happen, until `timeout` seconds are over or the server ends it.

        Raises ClusterError with status 410 when `resource_version` is too old: list again.
        """
        import httpx2

        params = _given(labelSelector=label_selector, fieldSelector=field_selector) | {
            "watch": "true",
            "resourceVersion": resource_version,
            "timeoutSeconds": str(max(1, int(timeout))),
            "allowWatchBookmarks": "true",
        }
        limits = httpx2.Timeout(10.0, read=timeout + 5.0)
        with self._wire.stream(
            "GET", self._path(api_version, kind, None, namespace), params=params, timeout=limits
        ) as lines:
            for line in lines:
                event = json.loads(line)
                if event["type"] == "ERROR":
                    raise refusals.refusal(int(event["object"].get("code", 0)), event["object"], self.server)
                yield event["type"], event["object"]

    def logs(
        self,
        namespace: str,
        pod: str,
        container: str | None = None,
        *,
        previous: bool = False,
        tail: int | None = None,
        follow: bool = False,
        since_seconds: int | None = None,
        timestamps: bool = False,
    ) -> Iterator[str]:
        """Log lines without their newline; with `follow` until the container ends."""
        import httpx2

        params = _given(
            container=container,
            previous="true" if previous else None,
            tailLines=tail,
            follow="true" if follow else None,
            sinceSeconds=since_seconds,
            timestamps="true" if timestamps else None,
        )
        limits = httpx2.Timeout(10.0, read=None if follow else 30.0)
        path = self._path("v1", "Pod", pod, namespace) + "/log"
        with self._wire.stream("GET", path, params=params, timeout=limits) as lines:
            yield from lines

    # -- the server ------------------------------------------------------------------------------------------------

    def version(self) -> str:
        """The server's version, "v1.36.3"."""
        return str(self._wire.json("GET", "/version")["gitVersion"])

    def cluster_uid(self) -> str:
        """The UID of kube-system, by which a cluster is told from a new one of the same name."""
        namespace = self.get("v1", "Namespace", "kube-system")
        if namespace is None:
            raise ClusterError("the cluster has no kube-system namespace", fix="wait until the cluster has started")
        return str(namespace["metadata"]["uid"])

    def raw(self, method: str, path: str, **options: Any) -> Any:
        """Any other call of the API: the decoded JSON answer."""
        return self._wire.json(method, path, **options)

    def websocket(
        self, path: str, *, subprotocol: str, params: Mapping[str, str | list[str]]
    ) -> AbstractContextManager[WebSocketSession]:
        """A WebSocket to `path` ("/api/v1/.../portforward"). The caller handles httpx2's own errors while it is open."""
        return websocket.opened(self._wire, path, subprotocol=subprotocol, params=params)

    # -- wire ------------------------------------------------------------------------------------------------------

    def _path(self, api_version: str, kind: str, name: str | None, namespace: str | None) -> str:
        plural, namespaced = self._resource(api_version, kind)
        base = "/api/v1" if api_version == "v1" else f"/apis/{api_version}"
        if namespaced and namespace is not None:
            base += f"/namespaces/{namespace}"
        return f"{base}/{plural}" + (f"/{name}" if name is not None else "")

    def _resource(self, api_version: str, kind: str) -> tuple[str, bool]:
        if (api_version, kind) not in self._resources:
            found = self._wire.json("GET", "/api/v1" if api_version == "v1" else f"/apis/{api_version}")
            for entry in found.get("resources", ()):
                if "/" not in entry["name"]:
                    self._resources[(api_version, entry["kind"])] = (entry["name"], bool(entry["namespaced"]))
        try:
            return self._resources[(api_version, kind)]
        except KeyError:
            raise ClusterError(
                f"the cluster knows no {kind} in {api_version}",
                status=404,
                reason="NotFound",
                fix="install the operator or CRD that defines it, or leave the object out",
            ) from None


def _given(**params: str | int | None) -> dict[str, str]:
    """The query's parameters that have a value."""
    return {name: str(value) for name, value in params.items() if value is not None and value != ""}
