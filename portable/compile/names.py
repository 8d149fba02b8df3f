"""Names, labels and digests: what identifies an object, and what must therefore never change by accident."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from typing import Any

from portable.spec.model import App

MANAGER = "portable"
WORKLOAD_LABEL = "portable.dev/workload"
DIGEST_ANNOTATION = "portable.dev/digest"
SECRET_ANNOTATION = "secret.portable.dev/"
IMAGE_ANNOTATION = "image.portable.dev/"
DEFAULT_CONTAINER_ANNOTATION = "kubectl.kubernetes.io/default-container"

_NOT_IN_KEYS = re.compile(r"[^A-Za-z0-9._-]+")


def labels(app: App, workload: str | None = None) -> dict[str, str]:
    """The labels of every object of an app; with `workload` those of one workload or database."""
    found = {
        "app.kubernetes.io/instance": app.namespace,
        "app.kubernetes.io/managed-by": MANAGER,
        "app.kubernetes.io/part-of": app.name,
        "portable.dev/app": app.name,
    }
    if workload is not None:
        found["app.kubernetes.io/name"] = workload
        found[WORKLOAD_LABEL] = workload
    if app.environment is not None:
        found["portable.dev/environment"] = app.environment
    return dict(sorted(found.items()))


def selector(workload: str) -> dict[str, str]:
    """What picks a workload's pods. Immutable in a Deployment, so: one label, within a namespace that is the app's alone."""
    return {WORKLOAD_LABEL: workload}


def metadata(
    app: App, name: str, workload: str | None = None, *, annotations: Mapping[str, str] | None = None
) -> dict[str, Any]:
    found: dict[str, Any] = {"name": name, "namespace": app.namespace, "labels": labels(app, workload)}
    if annotations:
        found["annotations"] = dict(sorted(annotations.items()))
    return found


def digest(value: Any, length: int = 16) -> str:
    """Hex digits of the SHA-256 of a value's canonical JSON (keys sorted, no spaces)."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()[:length]


def by_digest(name: str, content: Any) -> str:
    """A name that changes with its content: what is immutable is never edited, only superseded."""
    return f"{name}-{digest(content, 8)}"


def slug(path: str, *, dots: bool = True, limit: int = 200) -> str:
    """A path as a ConfigMap key ("/etc/app/a.conf" -> "etc-app-a.conf"), or without dots and lowercase as a volume name."""
    found = _NOT_IN_KEYS.sub("-", path).strip("-._") or "root"
    if not dots:
        found = re.sub(r"[^a-z0-9-]+", "-", found.lower()).strip("-") or "root"
    return found if len(found) <= limit else f"{found[: limit - 9].rstrip('-._')}-{digest(path, 8)}"
