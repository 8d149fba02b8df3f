"""Signs in a pod's containers: images, configuration, crashes, probes.

Waiting reasons: kubernetes/pkg/kubelet/container/sync_result.go and kuberuntime_container.go.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from portable.errors import Cause
from portable.provider import KubeObject
from portable.rollout import hints, images
from portable.rollout.finding import NEVER, Finding, LogSource
from portable.rollout.progress import probe_words, shorten
from portable.rollout.view import View, containers

_CANNOT_START = {"CreateContainerError", "RunContainerError", "StartError", "ContainerCannotRun", "PostStartHookError"}
_MISSING = re.compile(r"(?i)(secret|configmap) \"([^\"]+)\" not found")
_MISSING_KEY = re.compile(
    r"couldn't find key (?P<key>\S+) in (?P<kind>Secret|ConfigMap) [^/\s]+/(?P<name>\S+)|references non-existent (?P<kind2>secret|config) key: (?P<key2>\S+)"
)


def container_findings(view: View, pod: KubeObject, resources: Mapping[str, str]) -> Iterator[Finding]:
    """`resources`: Secret name in the cluster -> name of the resource in the spec."""
    for spec, status in containers(pod):
        waiting = status.get("state", {}).get("waiting") or {}
        reason, message = waiting.get("reason", ""), waiting.get("message", "")
        if reason in images.REASONS:
            yield _image(view, pod, spec, reason, message)
        elif reason == "CreateContainerConfigError":
            yield _config(view, pod, spec["name"], message, resources)
        elif reason in _CANNOT_START:
            yield _cannot_start(view, pod, spec["name"], message)
        elif not _over(status):
            yield from _running_or_crashing(view, pod, spec, status)


def _over(status: Mapping[str, Any]) -> bool:
    """Ready, or an init container that has done its work."""
    ended = status.get("state", {}).get("terminated") or {}
    return bool(status.get("ready")) or (ended.get("exitCode") == 0 and status.get("restartCount", 0) == 0)


def _cause(view: View, pod: KubeObject, container: str, sign: str, summary: str, **more: Any) -> Cause:
    return Cause(view.workload.name, sign, summary, pod=pod["metadata"]["name"], container=container, **more)


def _image(view: View, pod: KubeObject, spec: Mapping[str, Any], reason: str, message: str) -> Finding:
    failed = [
        event["message"]
        for event in view.events_of(pod, "Failed", "InspectFailed")
        if spec["image"] in event["message"]
    ]
    # "Back-off pulling image" may hide the reason; the event of the last try tells it.
    full = " ".join((message, *(text for text in failed[-1:] if reason == "ImagePullBackOff" and ": " not in message)))
    place = f"workloads.{view.workload.name}.containers.{spec['name']}"
    summary, hint, patience = images.pull_failure(spec["image"], reason, full, place)
    event = shorten(failed[-1] if failed else message, 400)
    return Finding(_cause(view, pod, spec["name"], "ImagePull", summary, event=event, hint=hint), patience)


def _config(view: View, pod: KubeObject, name: str, message: str, resources: Mapping[str, str]) -> Finding:
    if "runAsNonRoot" in message or "non-root" in message:
        summary = f"the image of container {name} wants to run as root, which this workload may not"
        hint = hints.for_root(view.workload.name)
        if named := re.search(r"non-numeric user \((\S+)\)", message):
            summary = (
                f'the image of container {name} names its user "{named[1]}", so nobody can tell that it is not root'
            )
            hint = hints.for_named_user(view.workload.name)
        return Finding(_cause(view, pod, name, "RootImage", summary, event=shorten(message, 400), hint=hint), 0.0)
    found = missing_config(message, resources)
    if found is None:
        summary = f"container {name} cannot be configured: {shorten(message)}"
        return Finding(_cause(view, pod, name, "CannotStart", summary, event=shorten(message, 400)), 5.0)
    summary, hint = found
    cause = _cause(view, pod, name, "ConfigMissing", summary, event=shorten(message, 400), hint=hint)
    return Finding(cause, 5.0)


def missing_config(message: str, resources: Mapping[str, str]) -> tuple[str, str] | None:
    """(summary, hint) where a kubelet message tells of a Secret, a ConfigMap or a key that is not there."""
    key = ""
    if found := _MISSING_KEY.search(message):
        key = (found["key"] or found["key2"]).strip('"')
        kind, name = (found["kind"] or found["kind2"]).lower().replace("config", "configmap", 1), found["name"] or ""
        kind = kind.replace("configmapmap", "configmap")
    elif found := _MISSING.search(message):
        kind, name = found[1].lower(), found[2]
    else:
        return None
    noun = "secret" if kind == "secret" else "config"
    resource = resources.get(name, name)
    what = f'{noun} "{resource}"' if resource else f"a {noun}"
    summary = f'{what} has no key "{key}"' if key else f"{what} does not exist in the cluster"
    if kind != "secret":
        return summary, "run `portable up` again: it makes the config; something else has removed it"
    return summary, f"portable secret set {resource or 'NAME'}" + (f" --key {key}" if key and key != "value" else "")


def _cannot_start(view: View, pod: KubeObject, name: str, message: str) -> Finding:
    place = f"workloads.{view.workload.name}.containers.{name}"
    hint = f"check {place}.command, args and volumes"
    summary = f"container {name} cannot be started: {shorten(_innermost(message))}"
    if _has_no_command(message):
        hint = f"the image has no such command: check {place}.command and args"
    elif "permission denied" in message:
        hint = f"the file has no x bit, or the user may not read it: check {place}.command and security.user"
    return Finding(_cause(view, pod, name, "CannotStart", summary, event=shorten(message, 400), hint=hint), 3.0)


def _has_no_command(message: str) -> bool:
    return "executable file not found" in message or "no such file or directory" in message


def _innermost(message: str) -> str:
    """The last clause of a chain "failed to ...: failed to ...: exec: "x": executable file not found in $PATH"."""
    found = re.search(r"(exec: .*|error mounting .*|exec format error.*|exec .*: .*)$", " ".join(message.split()))
    return found[1] if found else message


def _running_or_crashing(
    view: View, pod: KubeObject, spec: Mapping[str, Any], status: Mapping[str, Any]
) -> Iterator[Finding]:
    killed = [
        event
        for event in view.events_of(pod, "Killing")
        if re.search(rf"Container {re.escape(spec['name'])} failed (liveness|startup) probe", event.get("message", ""))
    ]
    unhealthy = [e for e in view.events_of(pod, "Unhealthy") if _names(e, spec["name"])]
    if killed and status.get("restartCount", 0) > 0:
        # while it is restarted it refuses every connection, which is no reason but a consequence
        answered = [event for event in unhealthy if "connection refused" not in event["message"]]
        yield _probe(view, pod, spec, answered or unhealthy, killed[-1], 0.0)
    elif crash := _crash(view, pod, spec, status):
        yield crash
    elif unhealthy and "running" in status.get("state", {}):
        yield _probe(view, pod, spec, unhealthy, None, None)


def _names(event: KubeObject, container: str) -> bool:
    """`fieldPath` is spec.containers{NAME}; events without one are taken to be ours."""
    path = event.get("involvedObject", {}).get("fieldPath", "")
    return not path or path.endswith("{" + container + "}")


def _crash(view: View, pod: KubeObject, spec: Mapping[str, Any], status: Mapping[str, Any]) -> Finding | None:
    """Two ends of the same container are a crash loop. A job's tries are its own to count (see `jobs`): there it only names."""
    state = status.get("state", {})
    ended = state.get("terminated") or status.get("lastState", {}).get("terminated")
    if ended is None:
        return None
    code, restarts = int(ended.get("exitCode", 0)), status.get("restartCount", 0)
    ends = restarts + ("running" not in state)
    looping, of_job = ends >= 2, view.workload.controller.kind == "Job"
    if ended.get("reason") in _CANNOT_START:
        found = _cannot_start(view, pod, spec["name"], ended.get("message", ""))
        sure = looping or (of_job and _has_no_command(ended.get("message", "")))
        return Finding(found.cause, found.patience if sure else NEVER)
    if code == 0 and (of_job or not looping):
        return None
    name, words = spec["name"], hints.exit_words(code)
    # A pod that is gone for good (Failed) keeps the log of its only run.
    log = LogSource(pod["metadata"]["name"], name, previous="terminated" not in state)
    if ended.get("reason") == "OOMKilled":
        limit = spec.get("resources", {}).get("limits", {}).get("memory")
        summary = f"container {name} needs more memory than its limit" + (f" of {limit}" if limit else " allows")
        hint = f"raise workloads.{view.workload.name}.containers.{name}.resources.limits.memory"
        cause = _cause(view, pod, name, "OutOfMemory", summary, exit_code=code, hint=hint)
    else:
        times = f" ({ends} times)" if looping else ""
        summary = f"container {name} {'crashes' if code else 'ends instead of running on'}: {words}{times}"
        hint = hints.for_exit(code, view.workload.name, name)
        cause = _cause(view, pod, name, "CrashLoop", summary, exit_code=code, hint=hint)
    return Finding(cause, 0.0 if looping and not of_job else NEVER, log)


def _probe(
    view: View,
    pod: KubeObject,
    spec: Mapping[str, Any],
    unhealthy: list[KubeObject],
    killed: KubeObject | None,
    patience: float | None,
) -> Finding:
    """Not fatal at once: apps need time to start. See `_probe_patience` for how much they get."""
    answer = probe_words(unhealthy[-1]["message"]) if unhealthy else ""
    match = re.search(r"failed (liveness|startup) probe", killed["message"]) if killed else None
    which = match[1] if match else answer.split(" probe ", 1)[0].lower() or "readiness"
    said = shorten(answer.split(": ", 1)[-1]) or "no answer"
    did = ", and the container was restarted for it" if killed else ""
    summary = f"the {which} probe of container {spec['name']} fails: {said}{did}"
    place = f"workloads.{view.workload.name}.containers.{spec['name']}.{which}Probe"
    cause = _cause(
        view, pod, spec["name"], "ProbeFailing", summary, event=shorten(answer, 400), hint=_probe_hint(said, place)
    )
    log = LogSource(pod["metadata"]["name"], spec["name"], previous=killed is not None)
    if patience is not None:
        return Finding(cause, patience, log)
    return Finding(cause, _probe_patience(spec, said), log, _other_ports(spec, said))


def _other_ports(spec: Mapping[str, Any], said: str) -> tuple[int, ...]:
    """The container's ports that its probe does not ask. None where a startup probe says that the app takes its time."""
    refused = re.search(r":(\d+): connect: connection refused", said)
    if refused is None or spec.get("startupProbe"):
        return ()
    ports = [port["containerPort"] for port in spec.get("ports", ()) if port.get("protocol", "TCP") == "TCP"]
    return tuple(port for port in ports if port != int(refused[1]))


def _probe_hint(said: str, place: str) -> str:
    if "connection refused" in said:
        return f"nothing listens on that port: check the port in {place} and service.ports; if it starts slowly, add a startupProbe"
    if found := re.search(r"statuscode: (\d+)", said):
        code = int(found[1])
        if code in (401, 403, 404, 405):
            return f"the app answers {code}: check the path in {place}"
        return f"the app answers {code}: its log says why"
    if "executable file not found" in said or "no such file" in said:
        return f"the image has no such command: check {place}.exec.command"
    if "deadline exceeded" in said or "timeout" in said.lower():
        return f"no answer in time: raise {place}.timeoutSeconds, or look for what blocks the app"
    return f"check {place}; if the app starts slowly, add a startupProbe"


def _probe_patience(spec: Mapping[str, Any], said: str) -> float:
    """A wrong path (4xx) will not heal: 15 s. An app that answers "not yet" gets 30 s, one that does not answer 45 s, each
    beyond the delay that its probes ask for; a startup probe's own budget is its author's word and comes on top."""
    code = re.search(r"statuscode: (\d+)", said)
    base = 45.0 if code is None else 15.0 if code[1].startswith("4") else 30.0
    readiness, startup = spec.get("readinessProbe") or {}, spec.get("startupProbe") or {}
    budget = startup.get("failureThreshold", 3) * startup.get("periodSeconds", 10) if startup else 0
    return base + readiness.get("initialDelaySeconds", 0) + startup.get("initialDelaySeconds", 0) + budget
