"""How a compose service is watched, how many copies of it run, and what each may use."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from portable.importing.draft import Section, entries, scalar

_DURATION = re.compile(r"(?:(\d+)h)?(?:(\d+)m(?!s))?(?:(\d+(?:\.\d+)?)s)?(?:(\d+)ms)?(?:\d+us)?(?:\d+ns)?")
_MEMORY = re.compile(r"(\d+(?:\.\d+)?)\s*([bkmgt]?)(?:i?b)?", re.IGNORECASE)


def health(service: Section) -> dict[str, Any]:
    given = service.section("healthcheck")
    if given is None:
        return {}
    test, disabled, retries = given.take("test"), given.value("disable"), given.value("retries")
    times = {"periodSeconds": given.text("interval"), "timeoutSeconds": given.text("timeout")}
    # a failure while it starts means nothing to a readiness probe either
    given.close({}, silent=("start_period", "start_interval"))
    words = [scalar(entry) for entry in entries(test)]
    if test is not None and not words:
        words = ["CMD-SHELL", scalar(test)]
    if disabled or not words or words[0] == "NONE":
        return {}
    command = ["sh", "-c", *words[1:]] if words[0] == "CMD-SHELL" else words[1:]
    probe: dict[str, Any] = {"exec": {"command": command}}
    probe |= {key: max(round(seconds(text)), 1) for key, text in times.items() if text}
    return probe | ({"failureThreshold": int(retries)} if retries else {})


def seconds(text: str) -> float:
    """A duration of compose's ("1m30s", "500ms") in seconds; 0 for what is none."""
    match = _DURATION.fullmatch(text.strip())
    if match is None:
        return 0.0
    hours, minutes, whole, milli = (float(part or 0) for part in match.groups())
    return hours * 3600 + minutes * 60 + whole + milli / 1000


def deployed(service: Section) -> tuple[dict[str, Any], int | None]:
    """The container's `resources`, and how many copies are wanted: from `deploy`, or the older keys beside it."""
    limits = {"cpu": service.text("cpus"), "memory": service.text("mem_limit")}
    requests = {"memory": service.text("mem_reservation")}
    count = service.value("scale")
    deploy = service.section("deploy")
    if deploy is not None:
        count = deploy.value("replicas", count)
        given = deploy.section("resources")
        for key, amounts in (("limits", limits), ("reservations", requests)):
            section = given.section(key) if given is not None else None
            if section is not None:
                amounts |= {
                    name: text for name, of in (("cpu", "cpus"), ("memory", "memory")) if (text := section.text(of))
                }
                section.close({"devices": "nodes' devices need a patch"})
        deploy.close({"update_config": "`rollout` says how versions are replaced"}, silent=("restart_policy", "mode"))
    found = {"requests": _amounts(requests), "limits": _amounts(limits)}
    compute = {key: value for key, value in found.items() if value}
    return compute, count if isinstance(count, int) and count > 0 else None


def _amounts(given: Mapping[str, str]) -> dict[str, str]:
    found: dict[str, str] = {}
    if cpus := given.get("cpu"):
        found["cpu"] = f"{round(float(cpus) * 1000)}m"
    if memory := given.get("memory"):
        found["memory"] = quantity(memory)
    return found


def quantity(text: str) -> str:
    """Compose's bytes ("512m", "1gb": powers of 1024) as Kubernetes writes them."""
    match = _MEMORY.fullmatch(text.strip())
    if match is None:
        return text
    number, unit = match[1], match[2].upper()
    if "." in number:
        powers = {"": 0, "B": 0, "K": 1, "M": 2, "G": 3, "T": 4}
        return f"{round(float(number) * 1024 ** powers[unit] / 1024**2)}Mi"
    return number + {"": "", "B": "", "K": "Ki", "M": "Mi", "G": "Gi", "T": "Ti"}[unit]
