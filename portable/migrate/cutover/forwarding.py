"""The source's routes lead to the target, until DNS has expired everywhere.

By the source's own load balancer, in three steps, so that no request is lost whatever controller serves its Ingress: a path of
nobody's leads to the forwarder until it answers there; then the app's paths do; a second path keeps the app's own Services among
what the load balancer knows, so that the way back is as short. https://kubernetes.io/docs/concepts/services-networking/ingress/
"""

from __future__ import annotations

import copy
import http.client
import json
import ssl
from collections.abc import Callable
from typing import Any

from portable.errors import ClusterError
from portable.events import Emit
from portable.migrate.cutover import forwarder
from portable.migrate.cutover.addresses import INGRESS, Place, ingresses, places, unserved
from portable.migrate.cutover.smoke import REQUEST_SECONDS, ask
from portable.migrate.sides import FIELD_MANAGER, Side, Sides
from portable.polling import Pending, poll
from portable.provider import KubeObject
from portable.rollout.ownership import owned_fields

BEFORE = "portable.dev/before-forwarding"
KEEP_PATH = "/.well-known/portable-forwarded"
READY_SECONDS = 900.0
# In a row, since several machines may make up one load balancer.
_ANSWERS = 3
# A load balancer may hold a request for a Service that has no pods, and go on holding it after the change that it waits for.
# So the first request is given up early, and those after it less so: an app may take its time.
_FIRST_SECONDS = 1.0


class Forwarding:
    """Stateless in this process; what was changed stands at the source's Ingress objects. Every call may be repeated.

    Raises ClusterError, and ProviderError where a load balancer does not follow in time.
    """

    def __init__(self, sides: Sides, emit: Emit, *, timeout: float = READY_SECONDS) -> None:
        self._sides, self._emit, self._timeout = sides, emit, timeout
        self._source: Side = sides.source
        self._patience = _FIRST_SECONDS

    def prepare(self) -> None:
        """The forwarder runs, and nothing leads to it yet: what `start` need not wait for while the source stands still."""
        if self._source.objects.routes:
            self._run_forwarder()

    def start(self) -> None:
        """Returns when requests to the source's routes are answered by the target; none is lost on the way there."""
        if not self._source.objects.routes:
            return
        self._run_forwarder()
        for live in ingresses(self._source):
            self._remember(live)
        if not self._all_at_target():
            self._change(lambda before: _with_paths(before, forwarded=False))
            self._until("the forwarder answers behind the source's load balancer", self._probes)
        self._change(lambda before: _with_paths(before, forwarded=True))
        self._until("the target answers the source's routes", self._at_target)

    def undo(self) -> None:
        """The source's workloads answer again, who must be ready; its Ingress objects are exactly as they were."""
        if any(_before(live) for live in ingresses(self._source)):
            self._change(lambda before: _with_paths(before, forwarded=False))
            self._until("the source answers its routes itself", self._at_source)
        self.remove()

    def remove(self) -> None:
        """As `undo`, without waiting for the source's workloads: for a source that is to be destroyed."""
        for live in ingresses(self._source):
            if before := _before(live):
                self._restore(live, before)
        for kind, api_version in forwarder.kinds().items():
            self._source.kube.delete(
                api_version, kind, forwarder.NAME, self._source.namespace, propagation="Background"
            )

    # -- the forwarder ---------------------------------------------------------------------------------------------

    def _run_forwarder(self) -> None:
        from portable.migrate.transfer.images import load

        self._until(f"a load balancer of {self._sides.target}", self._served)
        for manifest in forwarder.objects(self._sides, load(self._source, self._emit)):
            self._source.kube.apply(manifest)

        def ready() -> bool | Pending:
            live = self._source.kube.get("apps/v1", "Deployment", forwarder.NAME, self._source.namespace) or {}
            status, wanted = live.get("status", {}), live.get("spec", {}).get("replicas", 0)
            known = status.get("observedGeneration") == live.get("metadata", {}).get("generation")
            done = known and min(status.get(f"{kind}Replicas", 0) for kind in ("updated", "ready")) >= wanted
            return done or Pending(f"{status.get('readyReplicas', 0)} of {wanted} pods are ready")

        self._until("the forwarder's pods", ready)

    def _served(self) -> bool | Pending:
        hosts = unserved(self._sides.target)
        return Pending(f"{', '.join(hosts)} has no address yet") if hosts else True

    # -- the Ingress objects ---------------------------------------------------------------------------------------

    def _remember(self, live: KubeObject) -> None:
        """What we had applied, in an annotation, before anything is changed."""
        if _before(live) is None:
            applied = json.dumps(owned_fields(live), sort_keys=True)
            self._patch(live, {"metadata": {"annotations": {BEFORE: applied}}})

    def _change(self, made: Callable[[KubeObject], list[dict[str, Any]]]) -> None:
        for live in ingresses(self._source):
            before = _before(live)
            if before is None:
                raise ClusterError(f"the Ingress {live['metadata']['name']} was changed meanwhile", fix="try again")
            rules = made(before)
            if live["spec"]["rules"] != rules:
                self._patch(live, {"spec": {"rules": rules}})

    def _patch(self, live: KubeObject, change: KubeObject) -> None:
        """Only of the object as it was looked at: another's change in between is a refusal (409)."""
        version = {"resourceVersion": live["metadata"]["resourceVersion"]}
        patch = {**change, "metadata": {**change.get("metadata", {}), **version}}
        name = live["metadata"]["name"]
        self._source.kube.merge_patch(*INGRESS, name, patch, self._source.namespace, field_manager=FIELD_MANAGER)

    def _restore(self, live: KubeObject, before: KubeObject) -> None:
        """As `up` had applied it, and ours as it was: what is the same is no change for the next `up`."""
        identity = {"name": live["metadata"]["name"], "namespace": self._source.namespace}
        manifest = {**before, "apiVersion": INGRESS[0], "kind": INGRESS[1]}
        manifest["metadata"] = {**before.get("metadata", {}), **identity}
        applied = self._source.kube.apply(manifest)
        self._patch(applied, {"metadata": {"annotations": {BEFORE: None}}})

    # -- what answers ----------------------------------------------------------------------------------------------

    def _until(self, what: str, check: Callable[[], bool | Pending]) -> None:
        self._patience = _FIRST_SECONDS
        poll(check, what=what, timeout=self._timeout, emit=self._emit, step="cut-over", interval=0.5)

    def _all_at_target(self) -> bool:
        """Of an earlier call that broke off, or of one that ended."""
        return all(
            live["spec"]["rules"] == _with_paths(_before(live) or {}, forwarded=True)
            for live in ingresses(self._source)
        )

    def _probes(self) -> bool | Pending:
        return self._each(lambda place: self._answers(place, forwarder.PROBE_PATH, by_forwarder=True))

    def _at_target(self) -> bool | Pending:
        return self._each(lambda place: self._answers(place, place.path, by_forwarder=True))

    def _at_source(self) -> bool | Pending:
        return self._each(lambda place: self._answers(place, place.path, by_forwarder=False))

    def _each(self, answers: Callable[[Place], str]) -> bool | Pending:
        for place in places(self._source):
            for _ in range(_ANSWERS):
                if why := answers(place):
                    return Pending(f"{place.host}: {why}")
        return True

    def _answers(self, place: Place, path: str, *, by_forwarder: bool) -> str:
        """Empty: an answer that is no failure of a server or load balancer, by whom it should be. Else why not."""
        migration = self._sides.migration
        try:
            asked = {forwarder.PROBE_HEADER: migration}
            status, headers, body = ask(self._source, place, path, asked, seconds=self._patience)
        except TimeoutError:
            waited, self._patience = self._patience, min(2 * self._patience, REQUEST_SECONDS)
            return f"no answer within {waited:.0f} s"
        except (OSError, ssl.SSLError, http.client.HTTPException) as error:
            return f"{type(error).__name__}: {error}"
        if status >= 500:
            return f"it answers {status}"
        if path == forwarder.PROBE_PATH:
            return "" if body.decode(errors="replace").strip() == migration else "another answers"
        marked = headers.get(forwarder.PROBE_HEADER.lower()) == migration
        return "" if marked is by_forwarder else f"still answered by the {'source' if by_forwarder else 'target'}"


def _before(live: KubeObject) -> KubeObject | None:
    """What `_remember` wrote."""
    text = (live["metadata"].get("annotations") or {}).get(BEFORE)
    return None if text is None else json.loads(text)


def _with_paths(before: KubeObject, *, forwarded: bool) -> list[dict[str, Any]]:
    """The rules as they were with the two paths of ours; `forwarded`: all that was the app's leads to the forwarder."""
    rules = copy.deepcopy(before.get("spec", {}).get("rules", []))
    ours = {"service": {"name": forwarder.NAME, "port": {"number": forwarder.PORT}}}
    for rule in rules:
        paths = rule["http"]["paths"]
        kept = [
            {"path": f"{KEEP_PATH}/{number}", "pathType": "Exact", "backend": backend}
            for number, backend in enumerate(_distinct([path["backend"] for path in paths]))
        ]
        changed = [{**path, "backend": ours} for path in paths] if forwarded else paths
        probe = {"path": forwarder.PROBE_PATH, "pathType": "Exact", "backend": ours}
        rule["http"]["paths"] = [probe, *kept, *changed]
    return rules


def _distinct(backends: list[dict[str, Any]]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    for backend in backends:
        if backend not in found:
            found.append(backend)
    return found
