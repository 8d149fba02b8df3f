"""The clock, with made-up times: how long signs must hold, and what is remembered."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pytest

from portable.errors import ClusterError
from portable.rollout.finding import LogSource
from portable.rollout.verdict import Judge, Judgement
from portable.rollout.view import View
from tests.unit.rollout.kubelet import workload
from tests.unit.rollout.test_diagnose import recorded, tried_again

pytestmark = pytest.mark.unit


class Clock:
    """One workload judged at times of the test's choosing."""

    def __init__(self, name: str, lines: tuple[str, ...] = (), **changes: Any) -> None:
        self.view = recorded(name, **changes)
        self.asked: list[LogSource] = []
        self.lines = lines
        self.judge = Judge({name: self.view.workload}, self._log, {}, False)
        self.at(0.0, View(self.view.workload))  # before it is applied

    def _log(self, source: LogSource) -> tuple[str, ...]:
        self.asked.append(source)
        return self.lines

    def at(self, now: float, view: View | None = None, trouble: ClusterError | None = None) -> Judgement:
        return self.judge.judge(view or self.view, now, synced=True, trouble=trouble)


def test_a_sign_must_hold_for_its_patience() -> None:
    clock = Clock("readiness-404")
    assert clock.at(100.0).cause is None
    assert clock.at(114.0).cause is None
    cause = clock.at(115.0).cause
    assert cause is not None
    assert (cause.sign, cause.seconds) == ("ProbeFailing", 15.0)


def test_a_sign_that_will_soon_be_fatal_makes_suspect() -> None:
    clock = Clock("readiness-404")
    assert not clock.at(100.0).suspect
    assert not clock.at(109.0).suspect
    assert clock.at(110.0).suspect
    assert not clock.at(115.0).suspect, "no longer a suspicion: a cause"


def test_a_sign_that_flickers_goes_on_and_one_that_was_away_starts_anew() -> None:
    clock = Clock("readiness-404")
    quiet = View(clock.view.workload, clock.view.controller, clock.view.maker)
    clock.at(100.0)
    clock.at(104.0, quiet)
    clock.at(108.0)
    assert clock.at(115.0).cause is not None
    clock = Clock("readiness-404")
    clock.at(100.0)
    clock.at(106.0, quiet)
    assert clock.at(115.0).cause is None
    assert clock.at(130.0).cause is not None


def test_a_sign_that_is_not_there_now_is_not_fatal() -> None:
    clock = Clock("readiness-404")
    quiet = View(clock.view.workload, clock.view.controller, clock.view.maker)
    clock.at(100.0)
    clock.at(114.0)
    assert clock.at(116.0, quiet).cause is None


def test_a_verdict_stays() -> None:
    clock = Clock("crash")
    first = clock.at(1.0).cause
    assert first is not None
    assert clock.at(500.0, View(clock.view.workload)).cause is first


def test_what_failed_before_this_run_counts_from_the_wait_on() -> None:
    view = recorded("readiness-404")
    judge = Judge({"readiness-404": view.workload}, lambda _: (), {}, False)
    for now in (0.0, 20.0, 40.0):
        judged = judge.judge(view, now, synced=True, trouble=None)
        assert (judged.cause, judged.concerns) == (None, False), "nobody has asked, and nothing was applied"
    judge.awaited("readiness-404", None, 41.0)
    assert judge.judge(view, 42.0, synced=True, trouble=None).cause is None
    assert judge.judge(view, 60.0, synced=True, trouble=None).cause is not None


@pytest.mark.parametrize(("opens_at", "verdict_at"), [(100.0, 110.0), (107.0, 120.0), (math.inf, 145.0)])
def test_an_app_that_answers_elsewhere_will_not_answer_the_probe_later(opens_at: float, verdict_at: float) -> None:
    view = recorded("readiness-refused")
    spec = view.pods[0]["spec"]["containers"][0]
    spec["ports"] = [{"containerPort": 8080}, {"containerPort": 3000, "protocol": "TCP"}]
    asked: list[int] = []
    cause = None

    def answers(_pod: str, port: int) -> bool:
        asked.append(port)
        return clock >= opens_at

    judge = Judge({"readiness-refused": view.workload}, lambda _: (), {}, False, answers)
    judge.judge(View(view.workload), 0.0, synced=True, trouble=None)
    for clock in map(float, range(100, 146)):
        cause = judge.judge(view, clock, synced=True, trouble=None).cause
        assert (cause is not None) == (clock >= verdict_at), clock
    assert cause is not None
    assert ("while the app answers on port 3000" in cause.summary) == (opens_at < math.inf)
    assert set(asked) == {3000}
    assert len(asked) <= 46 / 5 + 1


def test_a_startup_probe_is_its_authors_word() -> None:
    view = recorded("readiness-refused")
    spec = view.pods[0]["spec"]["containers"][0]
    spec["ports"], spec["startupProbe"] = [{"containerPort": 3000}], {"periodSeconds": 10}
    judge = Judge({"readiness-refused": view.workload}, lambda _: (), {}, False, lambda *_: True)
    judge.judge(View(view.workload), 0.0, synced=True, trouble=None)
    assert judge.judge(view, 100.0, synced=True, trouble=None).cause is None
    assert judge.judge(view, 130.0, synced=True, trouble=None).cause is None


def test_the_log_gives_lines_and_hint() -> None:
    line = "mkdir: can't create directory '/var/cache/app/': Read-only file system"
    clock = Clock("readonly", lines=("starting", line))
    cause = clock.at(1.0).cause
    assert cause is not None
    assert cause.log_tail == ("starting", line)
    assert "writable: [/var/cache]" in cause.hint
    assert clock.asked[0].container == "main"


def test_a_job_that_has_deleted_its_pod_still_tells_what_it_ended_with() -> None:
    clock = Clock("job-onfailure", lines=("migrating",))
    failed = clock.view
    crashed = recorded("crash").pods[0]
    running = {**(failed.controller or {}), "status": {}}
    clock.at(1.0, View(failed.workload, running, running, pods=(crashed,)))
    clock.lines = ()
    cause = clock.at(2.0, View(failed.workload, failed.controller, failed.maker)).cause
    assert cause is not None
    assert (cause.sign, cause.exit_code, cause.log_tail) == ("JobFailed", 3, ("migrating",))


def test_a_job_says_what_its_first_try_died_of_before_kubernetes_tries_again() -> None:
    first = tried_again("job")
    judge = Judge({"job": first.workload}, lambda _: ("connecting", "table orders is locked"), {}, False)
    judge.judge(View(first.workload), 0.0, synced=True, trouble=None)
    judged = judge.judge(first, 1.0, synced=True, trouble=None)
    assert judged.cause is None
    assert judged.progress.detail == "try 2 of 3, container main ended with exit code 2: table orders is locked"


def test_out_of_time_while_the_server_is_away_says_so() -> None:
    clock = Clock("ok", timeout=10)
    gone = ClusterError("the cluster's API server cannot be reached", fix="check that the cluster runs")
    clock.judge.awaited("ok", {"metadata": {"uid": "another", "creationTimestamp": "2099-01-01T00:00:00Z"}}, 0.0)
    assert clock.at(5.0, trouble=gone).cause is None
    cause = clock.at(15.0, trouble=gone).cause
    assert cause is not None
    assert "cannot be reached" in cause.summary
    assert cause.hint == "check that the cluster runs"


def test_ready_without_a_probe_must_hold() -> None:
    clock = Clock("ok")
    assert not clock.at(1.0).ready
    assert clock.at(1.0).progress.detail == "checking that it keeps running"
    assert clock.at(4.5).ready


def test_ready_before_this_run_is_ready_at_once() -> None:
    view = recorded("ok")
    judge = Judge({"ok": view.workload}, lambda _: (), {}, False)
    assert judge.judge(view, 0.0, synced=True, trouble=None).ready


def test_cron_jobs_are_ready_when_they_are_there() -> None:
    cron = workload("nightly", kind="CronJob")
    template = {"metadata": {"annotations": {"portable.dev/digest": "v1"}}}
    live = {"kind": "CronJob", "metadata": {"uid": "u"}, "spec": {"jobTemplate": {"spec": {"template": template}}}}
    judge = Judge({"nightly": cron}, lambda _: (), {}, False)
    assert not judge.judge(View(cron), 0.0, synced=True, trouble=None).ready
    assert judge.judge(View(cron, live), 1.0, synced=True, trouble=None).ready


@pytest.mark.parametrize(("kind", "excused"), [("Deployment", True), ("StatefulSet", False)])
def test_only_what_keeps_no_state_is_excused_while_a_database_starts(kind: str, excused: bool) -> None:
    view = recorded("crash")
    view = replace(view, workload=replace(view.workload, controller=replace(view.workload.controller, kind=kind)))
    db = workload("db", kind="StatefulSet")
    judge = Judge({"crash": view.workload, "db": db}, lambda _: (), {}, False)
    for quiet in (View(view.workload), View(db)):
        judge.judge(quiet, 0.0, synced=True, trouble=None)
    assert (judge.judge(view, 1.0, synced=True, trouble=None).cause is None) == excused


def test_the_excuse_ends_with_the_database_ready() -> None:
    view, ready = recorded("crash", timeout=600), recorded("ok")
    db = replace(ready.workload, controller=replace(ready.workload.controller, kind="StatefulSet"))
    judge = Judge({"crash": view.workload, "ok": db}, lambda _: (), {}, False)
    judge.judge(View(view.workload), 0.0, synced=True, trouble=None)
    judge.judge(View(db), 0.0, synced=True, trouble=None)
    for now in (1.0, 50.0, 99.0):
        assert judge.judge(view, now, synced=True, trouble=None).cause is None
    judge.judge(replace(ready, workload=db), 100.0, synced=True, trouble=None)
    assert judge.judge(view, 101.0, synced=True, trouble=None).cause is None
    assert judge.judge(view, 128.0, synced=True, trouble=None).cause is None
    assert judge.judge(view, 129.0, synced=True, trouble=None).cause is not None
