"""The promise of updates: no request fails while versions change, and a bad version never takes the good one down.

Two kinds of change, a new image and a new setting, one after another under constant load on three workloads at once: a
Deployment of two, one of one, and a StatefulSet of two. Then three versions that cannot work.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import Any

import pytest

from tests import soak
from tests.e2e.conftest import AppUnderTest
from tests.e2e.promises import CLIENTS, IMAGE, NEXT_IMAGE, Table, build_images, subject, under_load
from tests.load import Record, Summary, failures

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(900)]

whole = pytest.mark.skipif(not soak.SOAK, reason="a sample has the service: make soak")
UPDATES = soak.size(4, 20)
REPORTED_WITHIN = 10.0  # seconds from the first sign to its cause in the output
HEAD = ("what is updated", "requests", "failed", "longest gap", "p50", "p99", "seconds in all")
BAD_HEAD = ("a version that", "requests", "failed", "longest gap", "p99", "named after", "good one alone after")


@pytest.fixture(scope="module")
def table(say: Callable[[str], None]) -> Iterator[Table]:
    made = Table("tests/e2e/test_reliability_updates.py", HEAD, [])
    yield made
    made.tell(say)


@pytest.fixture(scope="module")
def bad_versions(say: Callable[[str], None]) -> Iterator[Table]:
    made = Table("tests/e2e/test_reliability_updates.py bad versions", BAD_HEAD, [])
    yield made
    made.tell(say)


@pytest.fixture(scope="module")
def app(module_app: AppUnderTest) -> AppUnderTest:
    build_images()
    return module_app


def row(case: str, seen: Summary, seconds: str) -> tuple[str, ...]:
    return (
        case,
        str(seen.requests),
        str(seen.failed),
        f"{seen.longest_gap:.2f} s",
        f"{seen.p50 * 1000:.0f} ms",
        f"{seen.p99 * 1000:.0f} ms",
        seconds,
    )


def three(name: str, number: int) -> dict[str, Any]:
    """Odd versions bring another image than even ones, every second pair another setting."""
    image, variables = (IMAGE, NEXT_IMAGE)[number % 2], {"GREETING": f"Hello {number // 2}"}
    return {
        workload: subject(f"{workload}.{name}.localhost", image=image, variables=variables, **more)
        for workload, more in {
            "two": {"replicas": 2},
            "one": {"replicas": 1},
            "set": {"replicas": 2, "kind": "stateful"},
        }.items()
    }


def test_updates_under_load_drop_no_request(app: AppUnderTest, table: Table) -> None:
    app.write(three(app.name, 0))
    addresses = {str(entry["url"]).split("//")[1].split(".")[0]: entry["url"] for entry in app.up()["addresses"]}
    clients = [replace(client, rate=client.rate / 2) for client in CLIENTS]
    records: dict[str, Record] = {}
    seconds: list[float] = []
    with ExitStack() as loads:
        for workload, url in addresses.items():
            records[workload] = loads.enter_context(under_load(url.rstrip("/"), *clients))
        for number in range(1, UPDATES + 1):
            app.write(three(app.name, number))
            began = time.monotonic()
            assert app.up()["changed"] is True
            seconds.append(time.monotonic() - began)
    for workload, record in records.items():
        words = {"two": "Deployment of 2", "one": "Deployment of 1", "set": "StatefulSet of 2"}[workload]
        table.rows.append(
            row(f"{UPDATES} updates, {words}", record.summary("keep-alive", "fresh"), f"{sum(seconds):.0f}")
        )
        table.rows.append(row(f"{UPDATES} updates, {words}, requests of 5 s", record.summary("slow"), ""))
    for workload, record in records.items():
        assert not record.failed(), f"{workload}: {failures(record.responses)}"
        answered = {response.body.partition(b" from ")[0] for response in record.responses}
        assert f"Hello {UPDATES // 2}".encode() in answered, "the last version has answered"


@dataclass(frozen=True)
class Bad:
    """A version that cannot work: what is changed, and what the output has to say of it."""

    change: Mapping[str, Any]
    sign: str
    cause: str


BAD: Mapping[str, Bad] = {
    "crashes": Bad({"variables": {"CRASH": "1"}}, "CrashLoop", "exit code 1"),
    "is never ready": Bad({"variables": {"NEVER_READY": "1"}}, "ProbeFailing", "statuscode: 503"),
    "listens on another port": Bad(
        {"readinessProbe": {"httpGet": {"path": "/healthz", "port": 9090}}}, "ProbeFailing", ":9090: connect"
    ),
}


@dataclass(frozen=True)
class Told:
    """When what was said: seconds of `time.monotonic()`; `first_sign` as the cluster showed it to whoever asked five times a
    second."""

    lines: list[tuple[float, str]]
    first_sign: float
    code: int

    def after(self, words: str) -> float:
        """Seconds from the first sign to the first line with these words."""
        return next(when for when, line in self.lines if words in line) - self.first_sign


def up_and_watch(app: AppUnderTest) -> Told:
    """`portable up` on a version that fails, with the moment of every line that it writes."""
    from threading import Thread

    process = app.portable.start("up", "--cloud", "kind", "--yes", "--output", "json", app.file)
    assert process.stdout is not None
    known = {event["metadata"]["uid"] for event in warnings(app)}
    lines: list[tuple[float, str]] = []
    stdout = process.stdout
    reader = Thread(target=lambda: lines.extend((time.monotonic(), line) for line in stdout))
    reader.start()
    first = float("inf")
    while process.poll() is None:
        if first == float("inf") and (died(app) or any(e["metadata"]["uid"] not in known for e in warnings(app))):
            first = time.monotonic()
        time.sleep(0.2)
    reader.join()
    return Told(lines, first, process.returncode)


def warnings(app: AppUnderTest) -> list[dict[str, Any]]:
    found = app.cluster.kube.list("v1", "Event", app.namespace)
    return [e for e in found if e["type"] == "Warning" and e["reason"] in ("Unhealthy", "BackOff")]


def died(app: AppUnderTest) -> bool:
    return any(
        "terminated" in status.get("state", {}) or "terminated" in status.get("lastState", {})
        for pod in app.pods("web")
        if "deletionTimestamp" not in pod["metadata"]
        for status in pod["status"].get("containerStatuses", ())
    )


@pytest.mark.parametrize("kind", ["service", pytest.param("stateful", marks=whole)])
def test_a_bad_version_never_takes_the_good_one_down(
    make_app: Callable[[str], AppUnderTest], bad_versions: Table, kind: str
) -> None:
    build_images()
    app = make_app("bad")
    host = f"{app.name}.localhost"
    good = subject(host, kind=kind)
    app.write({"web": good})
    url = app.up()["addresses"][0]["url"].rstrip("/")
    for case in list(BAD)[: soak.size(1, 3)]:
        bad = BAD[case]
        main = good["containers"]["main"]
        change = {
            **bad.change,
            "variables": {**main["variables"], "GREETING": "bad", **bad.change.get("variables", {})},
        }
        app.write({"web": {**good, "containers": {"main": {**main, **change}}}})
        served = set(app.pod_uids("web")["web"])
        with under_load(url) as record:
            told = up_and_watch(app)
        last = json.loads(told.lines[-1][1])
        seen, quick = record.summary(), record.summary("keep-alive", "fresh")
        named, back = max(0.0, told.after(bad.cause)), told.lines[-1][0] - told.first_sign
        figures = (f"{quick.longest_gap:.2f} s", f"{quick.p99 * 1000:.0f} ms", f"{named:.1f} s", f"{back:.0f} s")
        bad_versions.rows.append((f"{case} ({kind})", str(seen.requests), str(seen.failed), *figures))
        assert told.code == 1
        assert told.first_sign < told.lines[-1][0], "the cluster showed a sign while it was watched"
        (cause,) = last["error"]["causes"]
        assert (cause["sign"], bad.cause in json.dumps(cause)) == (bad.sign, True), cause
        assert last["error"]["fix"].startswith("rolled back"), last
        assert seen.failed == 0, failures(record.responses)
        assert all(response.body.startswith(b"Hello") for response in record.responses), "no bad pod ever answered"
        assert named <= REPORTED_WITHIN, told.lines
        stayed = served & set(app.pod_uids("web")["web"])
        assert len(stayed) == (2 if kind == "service" else 1), "the good pods that a rollout keeps never stopped"
