"""What `status` tells of a workload's recent past."""

from __future__ import annotations

from typing import Any

import pytest

from portable.compile.objects import CompiledWorkload, Reference
from portable.health import recent_events
from portable.rollout.view import View

pytestmark = pytest.mark.unit
WEB = CompiledWorkload("web", Reference("apps/v1", "Deployment", "web"), "digest", 60, "rollback")


def pod(name: str, ready_since: str = "") -> dict[str, Any]:
    condition = {"type": "Ready", "status": "True" if ready_since else "False", "lastTransitionTime": ready_since}
    return {"kind": "Pod", "metadata": {"uid": name, "name": name}, "status": {"conditions": [condition]}}


def warning(at: str) -> dict[str, Any]:
    return {"type": "Warning", "reason": "Unhealthy", "message": f"at {at}", "lastTimestamp": at}


def test_what_a_pod_met_with_before_it_was_ready_is_no_news() -> None:
    early, late = warning("2026-11-23T10:00:00Z"), warning("2026-11-23T10:00:09Z")
    pods = (pod("well", ready_since="2026-11-23T10:00:05Z"), pod("ill"))
    view = View(WEB, pods=pods, events={"well": (early, late), "ill": (early,)})
    assert [(each.about, each.message) for each in recent_events(view)] == [
        ("Pod/well", late["message"]),
        ("Pod/ill", early["message"]),
    ]
