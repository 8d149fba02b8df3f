"""The Kubernetes API as plain dicts: get, list, apply, patch, delete, watch, logs.

Objects here are dicts because the compiler makes dicts and server-side apply must send exactly those; lightkube supplies what
is hard and not ours: kubeconfig rules, client certificates, exec credential plugins, proxies.
API conventions: https://kubernetes.io/docs/reference/using-api/api-concepts/
"""

from __future__ import annotations

import json
import queue
import random
import re
import socket
import ssl
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, Literal, Self

from portable.errors import ClusterError
from portable.provider import Credentials, KubeObject

if TYPE_CHECKING:
    import httpx2
    from httpx2.websockets import WebSocketSession

FIELD_MANAGER = "portable"
Propagation = Literal["Foreground", "Background", "Orphan"]

# (plural, namespaced) of what the compiler makes and the watcher reads; anything else is asked from the server once.
_KNOWN: dict[tuple[str, str], tuple[str, bool]] = {
    ("v1", "Namespace"): ("namespaces", False),
    ("v1", "Node"): ("nodes", False),
    ("v1", "PersistentVolume"): ("persistentvolumes", False),
    ("v1", "Pod"): ("pods", True),
    ("v1", "Service"): ("services", True),
    ("v1", "Endpoints"): ("endpoints", True),
    ("v1", "Event"): ("events", True),
    ("v1", "ConfigMap"): ("configmaps", True),
    ("v1", "Secret"): ("secrets", True),
    ("v1", "ServiceAccount"): ("serviceaccounts", True),
    ("v1", "PersistentVolumeClaim"): ("persistentvolumeclaims", True),
    ("v1", "ResourceQuota"): ("resourcequotas", True),
    ("v1", "LimitRange"): ("limitranges", True),
    ("apps/v1", "Deployment"): ("deployments", True),
    ("apps/v1", "StatefulSet"): ("statefulsets", True),
    ("apps/v1", "DaemonSet"): ("daemonsets", True),
    ("apps/v1", "ReplicaSet"): ("replicasets", True),
    ("batch/v1", "Job"): ("jobs", True),
    ("batch/v1", "CronJob"): ("cronjobs", True),
    ("autoscaling/v2", "HorizontalPodAutoscaler"): ("horizontalpodautoscalers", True),
    ("policy/v1", "PodDisruptionBudget"): ("poddisruptionbudgets", True),
    ("networking.k8s.io/v1", "Ingress"): ("ingresses", True),
    ("networking.k8s.io/v1", "IngressClass"): ("ingressclasses", False),
    ("networking.k8s.io/v1", "NetworkPolicy"): ("networkpolicies", True),
    ("discovery.k8s.io/v1", "EndpointSlice"): ("endpointslices", True),
    ("coordination.k8s.io/v1", "Lease"): ("leases", True),
    ("storage.k8s.io/v1", "StorageClass"): ("storageclasses", False),
    ("rbac.authorization.k8s.io/v1", "ClusterRole"): ("clusterroles", False),
    ("rbac.authorization.k8s.io/v1", "ClusterRoleBinding"): ("clusterrolebindings", False),
    ("rbac.authorization.k8s.io/v1", "Role"): ("roles", True),
    ("rbac.authorization.k8s.io/v1", "RoleBinding"): ("rolebindings", True),
}


class Kube:
    """One cluster's API server. Thread-safe. Every method raises ClusterError (status 0: the server was not reached).

    `kubeconfig` is the document that it was connected by; it may hold secrets.
    """

    def __init__(self, http: httpx2.Client, server: str, kubeconfig: str = "") -> None:
        self._http = http
        self.server = server
        self.kubeconfig = kubeconfig
        self._resources = dict(_KNOWN)

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

            kube._http.auth = Bearer(credentials.token)
        return kube

    def close(self) -> None:
        self._http.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # -- one object ------------------------------------------------------------------------------------------------

    def get(self, api_version: str, kind: str, name: str, namespace: str | None = None) -> KubeObject | None:
        """The object, or None where it does not exist."""
        try:
            return self._json("GET", self._path(api_version, kind, name, namespace))
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
        return self._json("PATCH", path, params=params, content=json.dumps(manifest).encode(), headers=headers)

    def create(self, manifest: KubeObject, *, field_manager: str = FIELD_MANAGER) -> KubeObject:
        path = self._path(manifest["apiVersion"], manifest["kind"], None, manifest["metadata"].get("namespace"))
        return self._json("POST", path, params={"fieldManager": field_manager}, json=manifest)

    def replace(self, manifest: KubeObject, *, field_manager: str = FIELD_MANAGER) -> KubeObject:
        """PUT; with metadata.resourceVersion set it is a compare-and-set (409 when someone else was first)."""
        metadata = manifest["metadata"]
        path = self._path(manifest["apiVersion"], manifest["kind"], metadata["name"], metadata.get("namespace"))
        return self._json("PUT", path, params={"fieldManager": field_manager}, json=manifest)

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
        return self._json(
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
            self._json("DELETE", self._path(api_version, kind, name, namespace), json=body)
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
        params = _selectors(label_selector, field_selector)
        path = self._path(api_version, kind, None, namespace)
        items: list[KubeObject] = []
        while True:
            page = self._json("GET", path, params=params | {"limit": "500"})
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

        params = _selectors(label_selector, field_selector) | {
            "watch": "true",
            "resourceVersion": resource_version,
            "timeoutSeconds": str(max(1, int(timeout))),
            "allowWatchBookmarks": "true",
        }
        limits = httpx2.Timeout(10.0, read=timeout + 5.0)
        with self._stream(
            "GET", self._path(api_version, kind, None, namespace), params=params, timeout=limits
        ) as lines:
            for line in lines:
                event = json.loads(line)
                if event["type"] == "ERROR":
                    raise _refusal(int(event["object"].get("code", 0)), event["object"])
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

        params: dict[str, str] = {
            key: value
            for key, value in {
                "container": container or "",
                "previous": "true" if previous else "",
                "tailLines": "" if tail is None else str(tail),
                "follow": "true" if follow else "",
                "sinceSeconds": "" if since_seconds is None else str(since_seconds),
                "timestamps": "true" if timestamps else "",
            }.items()
            if value
        }
        limits = httpx2.Timeout(10.0, read=None if follow else 30.0)
        path = self._path("v1", "Pod", pod, namespace) + "/log"
        with self._stream("GET", path, params=params, timeout=limits) as lines:
            yield from lines

    # -- the server ------------------------------------------------------------------------------------------------

    def version(self) -> str:
        """The server's version, "v1.36.3"."""
        return str(self._json("GET", "/version")["gitVersion"])

    def cluster_uid(self) -> str:
        """The UID of kube-system, by which a cluster is told from a new one of the same name."""
        namespace = self.get("v1", "Namespace", "kube-system")
        if namespace is None:
            raise ClusterError("the cluster has no kube-system namespace", fix="wait until the cluster has started")
        return str(namespace["metadata"]["uid"])

    def raw(self, method: str, path: str, **options: Any) -> Any:
        """Any other call of the API: the decoded JSON answer."""
        return self._json(method, path, **options)

    @contextmanager
    def websocket(
        self, path: str, *, subprotocol: str, params: Mapping[str, str | list[str]]
    ) -> Iterator[WebSocketSession]:
        """A WebSocket to `path` ("/api/v1/.../portforward"). The caller handles httpx2's own errors while it is open."""
        import httpx2
        from httpx2.websockets import WebSocketUpgradeError

        try:
            with self._http.websocket(
                path, subprotocols=[subprotocol], params=params, keepalive_ping_interval_seconds=None
            ) as session:
                try:
                    yield session
                finally:
                    _end(session)
        except WebSocketUpgradeError as error:
            words: Mapping[str, Any] = {}
            with suppress(httpx2.StreamError):  # the connection may be closed before the refusal was read
                error.response.read()
                words = _body(error.response)
            raise _refusal(error.response.status_code, words) from error
        except httpx2.HTTPError as error:
            raise _unreachable(self.server, error) from error

    # -- wire ------------------------------------------------------------------------------------------------------

    def _path(self, api_version: str, kind: str, name: str | None, namespace: str | None) -> str:
        plural, namespaced = self._resource(api_version, kind)
        base = "/api/v1" if api_version == "v1" else f"/apis/{api_version}"
        if namespaced and namespace is not None:
            base += f"/namespaces/{namespace}"
        return f"{base}/{plural}" + (f"/{name}" if name is not None else "")

    def _resource(self, api_version: str, kind: str) -> tuple[str, bool]:
        if (api_version, kind) not in self._resources:
            found = self._json("GET", "/api/v1" if api_version == "v1" else f"/apis/{api_version}")
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

    def _json(self, method: str, path: str, **options: Any) -> Any:
        """Retries what the server asks to retry (429, 503 with Retry-After) and, for reads, a lost connection."""
        import httpx2

        for attempt in range(5):
            try:
                response = self._http.request(method, path, **options)
            except httpx2.HTTPError as error:
                if attempt < 2 and (method == "GET" or isinstance(error, httpx2.ConnectError)):
                    time.sleep(0.2 * (attempt + 1))
                    continue
                raise _unreachable(self.server, error) from error
            if response.status_code in (429, 503) and attempt < 4:
                time.sleep(_retry_after(response, attempt))
                continue
            if response.status_code >= 400:
                raise _refusal(response.status_code, _body(response))
            return response.json()
        raise AssertionError("unreachable: the last attempt returns or raises")

    @contextmanager
    def _stream(self, method: str, path: str, **options: Any) -> Iterator[Iterator[str]]:
        import httpx2

        try:
            with self._http.stream(method, path, **options) as response:
                if response.status_code >= 400:
                    response.read()
                    raise _refusal(response.status_code, _body(response))
                yield response.iter_lines()
        except httpx2.HTTPError as error:
            raise _unreachable(self.server, error) from error


def hang_up(session: WebSocketSession) -> None:
    """Ends a WebSocket from any thread: who reads from it finds that it has ended. What it was opened by closes it.

    Not by closing its socket: the library's own thread would still read from it, and from whatever connection gets the same
    file descriptor next.
    """
    sock = session.stream.get_extra_info("socket")
    if sock is not None:
        with suppress(OSError):
            # not TLS's own, which takes the object apart under its reader
            socket.socket.shutdown(sock, socket.SHUT_RDWR)


def _end(session: WebSocketSession) -> None:
    """Says goodbye, and waits until nobody reads any more."""
    from httpx2.websockets import WebSocketNetworkError
    from wsproto.events import CloseConnection
    from wsproto.utilities import LocalProtocolError

    with suppress(WebSocketNetworkError, LocalProtocolError):
        session.send(CloseConnection(1000))
    hang_up(session)
    reader, patience = session._background_receive_task, time.monotonic() + 5
    while reader.is_alive() and time.monotonic() < patience:
        with suppress(queue.Empty):  # it may wait for room in its queue
            session._events.get(timeout=0.01)


def _selectors(label_selector: str | None, field_selector: str | None) -> dict[str, str]:
    pairs = {"labelSelector": label_selector, "fieldSelector": field_selector}
    return {key: value for key, value in pairs.items() if value}


def _retry_after(response: httpx2.Response, attempt: int) -> float:
    header = response.headers.get("Retry-After", "")
    return min(float(header), 10.0) if header.isdigit() else 0.2 * 2**attempt


def _body(response: httpx2.Response) -> Mapping[str, Any]:
    try:
        body = response.json()
    except ValueError:
        return {"message": response.text.strip()[:500]}
    return body if isinstance(body, dict) else {"message": str(body)[:500]}


# What a refusal is about where the status does not say it: policies and admission answer 403 too, whatever the credentials may do.
_RULES = (
    (
        r"denied (the )?request|exceeded quota|violates PodSecurity",
        "the cluster's own rules refuse it: change the spec as the message asks, or ask who set them",
    ),
    (
        r"must support resize",
        "volumes of this storage keep their size: put the old `size` back, or mount a new volume and copy the data to it",
    ),
    (r"can not be less than status\.capacity", "a volume can grow but not shrink: put the old `size` back"),
)


def _refusal(status: int, body: Mapping[str, Any]) -> ClusterError:
    message = str(body.get("message") or f"the API server answered {status}")
    fix = {
        401: "the credentials are not accepted: get new ones",
        403: "the credentials lack a permission: ask for the role that the message names",
    }.get(status, "")
    fix = next((said for words, said in _RULES if re.search(words, message)), fix)
    return ClusterError(message, status=status, reason=str(body.get("reason", "")), fix=fix)


def _unreachable(server: str, error: Exception) -> ClusterError:
    return ClusterError(
        f"the cluster's API server {server} cannot be reached",
        detail=f"{type(error).__name__}: {error}",
        fix="check that the cluster runs and that this machine has a way to it",
    )
