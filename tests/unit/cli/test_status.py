"""`status` against a real API server whose pods a stand-in for the kubelet moves."""

from __future__ import annotations

import json
from typing import Any

import pytest

from portable.cli import main
from portable.kube import Kube
from portable.target import Request, compile_target, open_target
from tests.unit.rollout import kubelet

pytestmark = pytest.mark.unit

CLOUD = ["--cloud", "gcp"]


def deploy(kube: Kube, namespace: str) -> list[Any]:
    """Applies the compiled app; returns its pods once the controllers have made them."""
    objects = compile_target(open_target(Request(cloud="gcp")))
    for item in objects.items:
        kube.apply(item.manifest)
    return kubelet.pods(kube, namespace, objects.workloads["web"].digest, count=2)


def status(capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    capsys.readouterr()
    assert main(["status", "--output", "json", *CLOUD]) == 0
    return json.loads(capsys.readouterr().out)


def web(capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    (found,) = status(capsys)["workloads"]
    return found


def test_absent_then_waiting_then_ready(app: str, kube: Kube, capsys: pytest.CaptureFixture[str]) -> None:
    assert web(capsys)["state"] == "absent"
    pods = deploy(kube, app)
    assert web(capsys)["state"] == "waiting"
    for pod in pods:
        kubelet.run(kube, pod)
    kubelet.until(lambda: web(capsys)["state"] == "ready")
    found = web(capsys)
    assert (found["kind"], found["ready"], found["wanted"], found["images"]) == (
        "Deployment",
        2,
        2,
        ["example.com/web:1"],
    )
    assert found["age"] < 3600


def test_an_edited_spec_does_not_change_what_runs(
    app: str, kube: Kube, capsys: pytest.CaptureFixture[str], tmp_path: Any
) -> None:
    for pod in deploy(kube, app):
        kubelet.run(kube, pod)
    spec = tmp_path / "portable.yaml"
    spec.write_text(spec.read_text().replace("example.com/web:1", "example.com/web:2"))
    kubelet.until(lambda: web(capsys)["state"] == "ready")
    assert web(capsys)["images"] == ["example.com/web:1"]


def test_a_crash_loop_is_told_with_its_cause(
    app: str, kube: Kube, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def logs(_kube: Kube, _namespace: str, pod: str, _container: str, *, previous: bool, tail: int) -> list[str]:
        return [f"{pod}: no database", "exiting"][-tail:] if previous else ["starting"]

    monkeypatch.setattr(Kube, "logs", logs)  # there is no kubelet that has any
    pod, other = deploy(kube, app)
    kubelet.run(kube, other)
    kubelet.until(lambda: web(capsys)["ready"] == 1)  # it is the controllers that count
    kubelet.wait_in(kube, pod, "CrashLoopBackOff", "back-off 10s restarting failed container", restarts=3, code=1)
    found = web(capsys)
    assert found["state"] == "failing"
    assert found["restarts"] == 3
    assert found["cause"]["sign"] == "CrashLoop"
    assert found["cause"]["log_tail"] == [f"{pod['metadata']['name']}: no database", "exiting"]
    assert main(["status", *CLOUD]) == 0
    text = capsys.readouterr().out
    assert "CrashLoop" in text
    assert "| exiting" in text.replace("│", "|")
    assert "1/2" in text
    assert "http://hello.localhost/" in text
