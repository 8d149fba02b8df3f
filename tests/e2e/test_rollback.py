"""A version that cannot become ready: what served goes on serving, the cause is named, and the last good version is back."""

from __future__ import annotations

import http.client
import time
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import pytest

from portable_kind.database_images import REDIS
from tests.e2e.conftest import AppUnderTest, Run
from tests.meanwhile import repeating

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]

SMALL = {"requests": {"cpu": "10m", "memory": "16Mi"}}


def greeter(greeting: str, host: str, on_failure: str = "rollback", **container: Any) -> dict[str, Any]:
    main = {"image": "hello:1.0", "variables": {"GREETING": greeting}, "resources": SMALL, **container}
    return {
        "containers": {"main": main},
        "service": {"ports": {"http": {"port": 80, "targetPort": 8080}}},
        "routes": {"main": {"host": host}},
        "rollout": {"onFailure": on_failure},
    }


def worker(note: str) -> dict[str, Any]:
    return {"containers": {"main": {"image": "hello:1.0", "variables": {"NOTE": note}, "resources": SMALL}}}


def migration(script: str) -> dict[str, Any]:
    main = {"image": REDIS.reference, "command": ["sh", "-c", script], "resources": SMALL}
    return {"kind": "job", "containers": {"main": main}}


# A failed job is tried again after 10, 20, 40 and 80 s: its word, but too long a wait for a test.
ONE_TRY: Mapping[str, Any] = {"once": {"target": "Job/migrate", "merge": {"spec": {"backoffLimit": 0}}}}


def up(app: AppUnderTest, workloads: Mapping[str, Any], *, code: int = 0, **more: Any) -> Run:
    app.write(workloads, **more)
    return app.run("up", "--yes", "--output", "json", code=code)


def cause(run: Run) -> dict[str, Any]:
    (found,) = run.error()["causes"]
    return found


@dataclass
class Load:
    """Every answer through a route, in order: the body's first line, or what went wrong."""

    address: str
    host: str
    answers: list[str] = field(default_factory=list)

    def ask(self) -> str:
        """One request on a connection of its own, without a retry."""
        connection = http.client.HTTPConnection(self.address, timeout=20)
        try:
            connection.request("GET", "/", headers={"Host": self.host})
            response = connection.getresponse()
            words = response.read().decode().strip()
            return words if response.status == 200 else f"status {response.status}: {words}"
        except (OSError, http.client.HTTPException) as error:
            return f"{type(error).__name__}: {error}"
        finally:
            connection.close()

    def greetings(self) -> Counter[str]:
        return Counter(answer.partition(" from ")[0] for answer in self.answers)

    def await_answer(self, greeting: str, seconds: float = 60) -> None:
        """The ingress learns of a new route, and of pods that are ready, a moment after they are."""
        deadline = time.monotonic() + seconds
        while not (answer := self.ask()).startswith(f"{greeting} from "):
            assert time.monotonic() < deadline, answer
            time.sleep(0.2)


def asking(load: Load) -> AbstractContextManager[None]:
    """A request every 50 ms for as long as the block runs."""
    return repeating(lambda: load.answers.append(load.ask()), every=0.05)


def through_the_route(run: Run) -> Load:
    (address,) = run.events()[-1]["addresses"]
    url = urlsplit(address["url"])
    assert url.hostname is not None
    return Load(f"127.0.0.1:{url.port or 80}", url.hostname)


def greeting_of(app: AppUnderTest) -> str:
    (main,) = app.get("apps/v1", "Deployment", "web")["spec"]["template"]["spec"]["containers"]
    return next(variable["value"] for variable in main["env"] if variable["name"] == "GREETING")


def test_a_bad_version_goes_back_and_no_request_fails(
    make_app: Callable[[str], AppUnderTest], say: Callable[[str], None]
) -> None:
    app = make_app("back")
    host = f"{app.name}.localhost"

    def web(greeting: str, **more: Any) -> dict[str, Any]:
        return {**greeter(greeting, host, **more), "after": {"other": "ready"}}

    load = through_the_route(up(app, {"web": web("good"), "other": worker("one")}))
    load.await_answer("good")
    served, other = app.pod_uids("web"), app.pod_uids("other")

    bad = {"web": web("bad", command=["/bin/missing"]), "other": worker("two")}
    with asking(load):
        up(app, bad, code=1)
        # once more: what was rolled back is not taken for what is there
        failed = up(app, bad, code=1)
    assert set(load.greetings()) == {"good"}, load.greetings()
    assert len(load.answers) > 20
    assert app.pod_uids("web") == served, "the good pods never stopped"
    assert app.pod_uids("other") != other, "what did not fail stays at its new version"
    assert cause(failed)["workload"] == "web"
    assert cause(failed)["sign"] == "CannotStart"
    assert "/bin/missing" in cause(failed)["summary"]
    assert failed.error()["fix"] == "rolled back: web back at revision 1"
    assert greeting_of(app) == "good"

    with asking(load):
        up(app, {"web": web("repaired"), "other": worker("two")})
        load.await_answer("repaired")
    assert set(load.greetings()) == {"good", "repaired"}, load.greetings()
    unchanged = app.run("up", "--yes", "--output", "json").events()[-1]
    assert unchanged["changed"] is False
    say(f"roll back: {len(load.answers)} requests through the route, none failed: {dict(load.greetings())}")


def test_with_stop_the_bad_version_is_left_and_the_good_pods_serve_on(
    make_app: Callable[[str], AppUnderTest],
) -> None:
    app = make_app("stop")
    host = f"{app.name}.localhost"
    load = through_the_route(up(app, {"web": greeter("good", host, "stop")}))
    load.await_answer("good")
    with asking(load):
        failed = up(app, {"web": greeter("bad", host, "stop", command=["/bin/missing"])}, code=1)
    assert set(load.greetings()) == {"good"}, load.greetings()
    assert cause(failed)["sign"] == "CannotStart"
    assert "onFailure" in failed.error()["fix"]
    assert greeting_of(app) == "bad", "left as it is, to be looked at"
    up(app, {"web": greeter("repaired", host, "stop")})
    load.await_answer("repaired")


def test_a_failed_job_holds_back_what_waits_for_it(make_app: Callable[[str], AppUnderTest]) -> None:
    app = make_app("gate")
    host = f"{app.name}.localhost"
    web = {**greeter("first", host), "after": {"migrate": "complete"}}
    failed = up(app, {"migrate": migration("echo table orders is locked; exit 4"), "web": web}, code=1, patches=ONE_TRY)
    assert cause(failed)["workload"] == "migrate"
    assert cause(failed)["sign"] == "JobFailed"
    assert cause(failed)["exit_code"] == 4
    assert "table orders is locked" in cause(failed)["log_tail"]
    assert failed.error()["fix"] == "no earlier version of migrate was ever ready: left as it is, to be looked at"
    assert app.cluster.kube.get("apps/v1", "Deployment", "web", app.namespace) is None, "web waits for the migration"

    up(app, {"migrate": migration("echo done"), "web": web}, patches=ONE_TRY)
    assert greeting_of(app) == "first"

    second = {**greeter("second", host), "after": {"migrate": "complete"}}
    pods = app.pod_uids("web")
    failed = up(app, {"migrate": migration("echo column exists; exit 5"), "web": second}, code=1, patches=ONE_TRY)
    assert cause(failed)["exit_code"] == 5
    assert "migrate" in failed.error()["fix"]
    assert failed.error()["fix"].startswith("rolled back")
    assert app.pod_uids("web") == pods, "the web of the last good version serves on"
    assert greeting_of(app) == "first"
