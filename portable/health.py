"""What `status` says beside how many pods are ready: restarts, events, the autoscaler's figures, how long certificates last."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from portable.certificates import validity
from portable.provider import KubeObject
from portable.rollout.view import View, condition, containers, event_time, is_ready

SHOWN_EVENTS = 5
# Of the events that are no warnings, those that tell what became of pods; the rest is every pod's everyday life.
_TELLING = ("Killing", "SuccessfulRescale", "Preempted", "NodeNotReady", "TaintManagerEviction")


@dataclass(frozen=True)
class Restart:
    """The last time that a container was started anew. `at`: when the run before ended (RFC 3339)."""

    pod: str
    container: str
    at: str
    exit_code: int | None
    reason: str


@dataclass(frozen=True)
class Happened:
    """Events of the same words, as one. `age`: seconds since the last one."""

    reason: str
    message: str
    about: str
    count: int
    age: float
    warning: bool


@dataclass(frozen=True)
class Autoscaler:
    """`current` and `wanted` pods, between `low` and `high`; `metrics`: what it measures in words ("cpu 45% of 70%").

    `blocked`: why it does not act, in its own words.
    """

    current: int
    wanted: int
    low: int
    high: int
    metrics: tuple[str, ...]
    blocked: str = ""


@dataclass(frozen=True)
class CertificateLife:
    """`days` until its end, negative when that has passed; `ends` is RFC 3339."""

    secret: str
    hosts: tuple[str, ...]
    ends: str
    days: int


def last_restart(pods: Iterable[KubeObject]) -> Restart | None:
    found = [
        Restart(
            pod["metadata"]["name"],
            status["name"],
            ended.get("finishedAt") or "",
            ended.get("exitCode"),
            ended.get("reason", ""),
        )
        for pod in pods
        for _spec, status in containers(pod)
        if status.get("restartCount") and (ended := status.get("lastState", {}).get("terminated"))
    ]
    return max(found, key=lambda restart: restart.at, default=None)


def recent_events(view: View) -> tuple[Happened, ...]:
    """The newest first, at most `SHOWN_EVENTS`."""
    about = [item for item in (view.controller, view.maker, *view.pods, *view.leaving) if item is not None]
    seen: dict[tuple[str, str], Happened] = {}
    for item in {item["metadata"]["uid"]: item for item in about}.values():
        for event in view.events_of(item):
            if _overcome(event, item):
                continue
            happened = _happened(event, item)
            key = (happened.reason, happened.message)
            if happened.warning or happened.reason in _TELLING:
                before = seen.get(key)
                count = happened.count + (before.count if before else 0)
                newest = min((happened, before or happened), key=lambda each: each.age)
                seen[key] = Happened(*key, newest.about, count, newest.age, newest.warning)
    return tuple(sorted(seen.values(), key=lambda each: each.age)[:SHOWN_EVENTS])


def _overcome(event: KubeObject, about: KubeObject) -> bool:
    """Whether it tells of a pod that has become ready since: what it met with on its way there is no news."""
    if about["kind"] != "Pod" or not is_ready(about):
        return False
    ready = condition(about, "Ready")
    return ready is not None and event_time(event) <= ready["lastTransitionTime"]


def autoscaler(scaler: KubeObject) -> Autoscaler:
    spec, status = scaler["spec"], scaler.get("status", {})
    off = [
        f"{found.get('reason', '')}: {found.get('message', '')}"
        for found in status.get("conditions") or ()
        if found["status"] == "False" and found["type"] in ("AbleToScale", "ScalingActive")
    ]
    return Autoscaler(
        current=status.get("currentReplicas", 0),
        wanted=status.get("desiredReplicas", 0),
        low=spec.get("minReplicas", 1),
        high=spec["maxReplicas"],
        metrics=tuple(_metrics(spec.get("metrics") or (), status.get("currentMetrics") or ())),
        blocked=off[0] if off else "",
    )


def certificate_lives(secrets: Iterable[KubeObject]) -> tuple[CertificateLife, ...]:
    """Of the namespace's TLS Secrets, the one that ends first in front."""
    now, found = datetime.now(UTC), list[CertificateLife]()
    for secret in secrets:
        if secret.get("type") == "kubernetes.io/tls":
            life = validity(base64.b64decode((secret.get("data") or {}).get("tls.crt", "")))
            if life is not None:
                days = (life.end - now).days
                ends = life.end.isoformat(timespec="seconds")
                found.append(CertificateLife(secret["metadata"]["name"], life.hosts, ends, days))
    return tuple(sorted(found, key=lambda life: life.ends))


def _happened(event: KubeObject, about: KubeObject) -> Happened:
    at = datetime.fromisoformat(event_time(event) or "1970-01-01T00:00:00").replace(tzinfo=UTC)
    count = int((event.get("series") or {}).get("count") or event.get("count") or 1)
    age = max((datetime.now(UTC) - at).total_seconds(), 0.0)
    message = " ".join(str(event.get("message", "")).split())
    name = f"{about['kind']}/{about['metadata']['name']}"
    return Happened(event.get("reason", ""), message, name, count, age, event.get("type") == "Warning")


def _metrics(wanted: Iterable[dict[str, Any]], current: Iterable[dict[str, Any]]) -> Iterator[str]:
    now = {found["resource"]["name"]: found["resource"]["current"] for found in current if found.get("resource")}
    for metric in wanted:
        resource = metric.get("resource")
        if resource:
            measured = now.get(resource["name"], {}).get("averageUtilization")
            target = resource["target"].get("averageUtilization")
            yield f"{resource['name']} {'unknown' if measured is None else f'{measured}%'} of {target}%"
