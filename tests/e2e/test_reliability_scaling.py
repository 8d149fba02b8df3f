"""The promise of balance: load is spread over the replicas, more of them come when it grows, and no request notices."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator

import pytest

from tests import soak
from tests.e2e.conftest import AppUnderTest, wait
from tests.e2e.promises import Table, build_images, full_strength, subject, under_load, url_of
from tests.load import Stream, Summary, failures

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(1200)]

HEAD = ("load", "requests", "failed", "furthest from even", "p99", "seconds")
EVEN = 0.2  # of a replica's share
# Enough requests for chance alone to stay far below EVEN: of 750 over three replicas, a standard deviation is 5 %.
EVENLY = soak.size(15, 30)
KEPT = Stream("keep-alive", rate=50, connections=8, patience=20)
FRESH = Stream("fresh", rate=50, keep_alive=False, patience=20)
# 10 requests of 40 ms of pure computing a second: 400m, where the pods ask for 100m and are to use 60 % of it.
BUSY = Stream("busy", rate=10, path="/burn?ms=40", patience=30)
SCALE = {"min": 2, "max": 4, "cpu": 60}
DEPLOYMENT = ("apps/v1", "Deployment")


@pytest.fixture(scope="module")
def table(say: Callable[[str], None]) -> Iterator[Table]:
    made = Table("tests/e2e/test_reliability_scaling.py", HEAD, [])
    yield made
    made.tell(say)


@pytest.fixture(scope="module")
def app(module_app: AppUnderTest) -> AppUnderTest:
    build_images()
    return module_app


def row(case: str, seen: Summary, seconds: str = "") -> tuple[str, ...]:
    return (
        case,
        str(seen.requests),
        str(seen.failed),
        f"{seen.unevenness():.0%}",
        f"{seen.p99 * 1000:.0f} ms",
        seconds,
    )


def replicas(app: AppUnderTest, name: str) -> int:
    return app.get(*DEPLOYMENT, name)["spec"]["replicas"]


def strong(app: AppUnderTest, name: str) -> bool:
    return full_strength(app.cluster.kube, app.namespace, "Deployment", name)


def test_load_is_spread_evenly_also_after_scaling_up(app: AppUnderTest, table: Table) -> None:
    app.write({"web": subject(f"{app.name}.localhost", replicas=2)})
    url = url_of(app.up())
    with under_load(url, KEPT, FRESH) as record:
        time.sleep(EVENLY)
        app.write({"web": subject(f"{app.name}.localhost", replicas=3)})
        app.up()
        wait(lambda: strong(app, "web"), "the third replica is ready")
        grown = time.monotonic() + 2.0  # the ingress learns of it a moment later
        time.sleep(EVENLY + 2.0)
    assert not record.failed(), failures(record.responses)
    two = record.summary(until=min(r.due for r in record.responses) + EVENLY)
    for client in ("keep-alive", "fresh"):
        three = record.summary(client, since=grown)
        table.rows.append(row(f"{client}, after growing from 2 to 3", three))
        assert len(three.spread) == 3
        assert three.unevenness() <= EVEN, three
    table.rows.append(row("2 replicas", two))
    assert two.unevenness() <= EVEN, two


def test_load_scales_out_and_calm_scales_in(app: AppUnderTest, table: Table) -> None:
    """In one sweep each: a count that turns back before the load does would be flapping."""
    # a workload of its own: the other one has just grown, and an autoscaler would first wait for calm
    busy = subject(f"busy.{app.name}.localhost", scale=SCALE)
    busy["containers"]["main"]["resources"]["requests"]["cpu"] = "100m"
    app.write({"busy": busy})
    url = url_of(app.up())
    quiet = Stream("quiet", rate=10, patience=20)
    with under_load(url, quiet) as background:
        with under_load(url, BUSY) as record:
            took = wait(lambda: replicas(app, "busy") == 4 and strong(app, "busy"), "four replicas serve", seconds=300)
            grown = time.monotonic() + 2.0
            time.sleep(soak.size(15, 60))
        table.rows.append(row("busy, scaled out from 2 to 4", record.summary(), f"{took:.0f}"))
        table.rows.append(row("busy, on 4 replicas", record.summary(since=grown)))
        assert not record.failed(), failures(record.responses)
        if soak.SOAK:
            back = wait(lambda: replicas(app, "busy") == 2 and strong(app, "busy"), "two replicas again", seconds=720)
            table.rows.append(row("calm, scaled in from 4 to 2", background.summary(since=grown), f"{back:.0f}"))
    assert not background.failed(), failures(background.responses)
    sizes = rescales(app, "busy")
    turn = sizes.index(4)
    assert sizes == sorted(sizes[: turn + 1]) + sorted(sizes[turn + 1 :], reverse=True), f"it flapped: {sizes}"


def rescales(app: AppUnderTest, name: str) -> list[int]:
    """Every count that the autoscaler chose, in order, by its own events."""
    events = [
        event
        for event in app.cluster.kube.list("v1", "Event", app.namespace)
        if (event["reason"], event["involvedObject"]["name"]) == ("SuccessfulRescale", name)
    ]
    events.sort(key=lambda event: event["firstTimestamp"])
    sizes = (int(re.findall(r"New size: (\d+)", event["message"])[0]) for event in events)
    return [size for size, event in zip(sizes, events, strict=True) for _ in range(event.get("count", 1))]


def test_nothing_scales_to_zero(app: AppUnderTest) -> None:
    app.write({"web": subject(f"{app.name}.localhost", scale={"min": 0, "max": 3, "cpu": 60})})
    (problem,) = app.run("up", "--yes", "--output", "json", code=2).error()["problems"]
    assert problem["path"] == "workloads.web.scale.min"
    assert "no event-driven scaler is part of portable" in problem["message"] + problem["hint"], problem
    app.write({"web": subject(f"{app.name}.localhost")})
