"""Day two on one app: its history and the ways back, restarts and scaling under load, a look inside, and rotated secrets."""

from __future__ import annotations

import base64
import fcntl
import os
import pty
import re
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.conftest import PORTABLE, AppUnderTest, Run
from tests.load import Record, Stream, load

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]

SMALL = {"requests": {"cpu": "10m", "memory": "16Mi"}}
RESOURCES = {
    "db": {"type": "postgres"},
    "cache": {"type": "redis"},
    "greeting": {"type": "secret"},
}


def web(app: AppUnderTest, note: str, **more: Any) -> dict[str, Any]:
    variables = {
        "GREETING": "${resources.greeting.value}",
        "NOTE": note,
        "DATABASE_URL": "${resources.db.url}",
        "CACHE_URL": "${resources.cache.url}",
    }
    return {
        "containers": {"main": {"image": "hello:1.0", "variables": variables, "resources": SMALL}},
        "service": {"ports": {"http": {"port": 80, "targetPort": 8080}}},
        "routes": {"main": {"host": f"{app.name}.localhost"}},
        "scale": {"min": 2, "max": 2},
        **more,
    }


AUTO = {
    "containers": {"main": {"image": "hello:1.0", "resources": SMALL}},
    "scale": {"min": 1, "max": 2, "cpu": 80},
}


def write(app: AppUnderTest, note: str) -> None:
    app.write({"web": web(app, note), "auto": AUTO}, resources=RESOURCES)


def do(app: AppUnderTest, *words: str, code: int | None = 0, stdin: str | None = None) -> Run:
    """A command of day two, whose workload stands where others have the spec."""
    at = words.index("--") if "--" in words else len(words)
    return app.portable(*words[:at], "--cloud", "kind", "--file", app.file, *words[at:], code=code, stdin=stdin)


def as_json(app: AppUnderTest, *words: str, code: int = 0) -> dict[str, Any]:
    return do(app, *words, "--output", "json", code=code).events()[-1]


def revisions(app: AppUnderTest) -> list[dict[str, Any]]:
    return app.run("history", "--output", "json").json()["revisions"]


@pytest.fixture(scope="module")
def app(module_app: AppUnderTest, tmp_path_factory: pytest.TempPathFactory) -> AppUnderTest:
    """Deployed twice: revisions 1 (note "one") and 2 (note "two")."""
    value = tmp_path_factory.mktemp("values") / "greeting.txt"
    value.write_text("Good morning")
    write(module_app, "one")
    module_app.up("--secret", f"greeting={value}")
    write(module_app, "two")
    module_app.up()
    return module_app


_routes: dict[str, str] = {}


def route_of(app: AppUnderTest) -> str:
    if app.name not in _routes:
        (route,) = app.run("status", "--output", "json").json()["routes"]
        _routes[app.name] = route["url"]
    return _routes[app.name]


@contextmanager
def requests(app: AppUnderTest) -> Iterator[Record]:
    """Through the route, kept alive and not, for as long as the block runs."""
    with load(route_of(app), Stream("kept", 15), Stream("new", 10, keep_alive=False)) as record:
        yield record


def note_of(app: AppUnderTest) -> str:
    (main,) = app.get("apps/v1", "Deployment", "web")["spec"]["template"]["spec"]["containers"]
    return next(variable["value"] for variable in main["env"] if variable["name"] == "NOTE")


def test_back_without_a_failed_request_and_told(app: AppUnderTest, say: Callable[[str], None]) -> None:
    with requests(app) as record:
        result = as_json(app, "rollback", "--yes")
    assert record.failed() == [], record.summary()
    say(f"rollback: {result['seconds']:.0f} s, {record.summary()}")
    assert (result["to"], result["revision"], result["changed"]) == (1, 3, True)
    assert note_of(app) == "one"
    assert any("data is never rolled back" in note for note in result["notes"])

    first, second, third = revisions(app)
    assert second["changes"] == ["web: variable NOTE"]
    assert third["changes"] == ["web: variable NOTE"]
    assert (third["action"], third["status"], third["running"]) == ("rollback to 1", "good", True)
    assert third["digest"] == first["digest"], "the very same objects"
    shown = app.run("plan").out
    assert '"one"  => "two"' in shown, "the next up says what it would change back"
    assert app.run("drift", "--output", "json").json()["changes"] is False, "what was gone back to is as it was left"


def test_a_kill_on_the_way_back_and_the_same_command_again(app: AppUnderTest) -> None:
    """Revision 2 is the last good one before the present, which is the rollback to 1."""
    going = app.portable.start("rollback", "--yes", "--cloud", "kind", "--file", app.file)
    deadline = time.monotonic() + 120
    while note_of(app) != "two" and going.poll() is None:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    os.killpg(going.pid, signal.SIGKILL)
    going.communicate(timeout=60)
    assert note_of(app) == "two"
    assert as_json(app, "rollback", "--yes")["to"] == 2, "where it was going to"
    assert app.up()["changed"] is False, "the spec is revision 2's and has nothing to change"


def test_what_cannot_be_gone_back_to_is_refused(app: AppUnderTest) -> None:
    kube, secret = app.cluster.kube, app.get("v1", "Secret", "greeting")
    kube.delete("v1", "Secret", "greeting", app.namespace)
    try:
        gone = do(app, "rollback", "1", "--yes", code=2)
    finally:
        kube.create(
            {
                "apiVersion": "v1",
                "kind": "Secret",
                "metadata": {"name": "greeting", "namespace": app.namespace, "labels": secret["metadata"]["labels"]},
                "data": secret["data"],
            }
        )
    assert "Secret greeting, key value" in gone.err


def test_restart_and_scale_under_load(app: AppUnderTest, say: Callable[[str], None]) -> None:
    before = app.pod_uids("web")
    with requests(app) as record:
        restarted = as_json(app, "restart", "web")
        scaled = as_json(app, "scale", "web", "3")
    assert record.failed() == [], record.summary()
    say(f"restart {restarted['seconds']:.0f} s, scale to 3 {scaled['seconds']:.0f} s: {record.summary()}")
    assert not set(before["web"]) & set(app.pod_uids("web")["web"]), "every pod is a new one"
    assert (scaled["before"], scaled["replicas"], scaled["spec"]) == (2, 3, 2)
    assert len(app.pod_uids("web")["web"]) == 3
    assert [done["words"] for done in revisions(app)[-1]["operations"]] == ["restarted web", "scaled web from 2 to 3"]

    refused = do(app, "scale", "auto", "2", code=2)
    assert "an autoscaler decides how many pods auto has: between 1 and 2" in refused.err
    assert "workloads.auto.scale" in refused.err
    drifted = app.run("drift", "--fix", "--yes")
    assert "spec.replicas  3  => 2" in drifted.out + drifted.err
    assert app.get("apps/v1", "Deployment", "web")["spec"]["replicas"] == 2, "the spec counts"


def test_exec(app: AppUnderTest) -> None:
    assert do(app, "exec", "db", "--", "psql", "-At", "-c", "select 6 * 7").out == "42\n"
    assert do(app, "exec", "db", "--", "sh", "-c", "echo no >&2; exit 7", code=7).err == "no\n"
    many = "x" * 300_000
    assert do(app, "exec", "db", "--", "sh", "-c", "wc -c", stdin=many).out.strip() == "300000"
    found = do(app, "exec", "cache", "--output", "json", "--", "redis-cli", "ping").json()
    assert (found["stdout"], found["exit_code"], found["container"]) == ("PONG\n", 0, "redis")


def test_exec_on_a_terminal(app: AppUnderTest) -> None:
    """What is typed arrives as typed, the terminal's size too when it changes, and the exit code comes back."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 31, 97, 0, 0))
    takes_the_terminal = "import os, sys; os.login_tty(0); os.execv(sys.argv[1], sys.argv[1:])"
    words = [PORTABLE, "exec", "db", "--cloud", "kind", "--file", app.file, "--", "sh"]
    process = subprocess.Popen(
        [sys.executable, "-c", takes_the_terminal, *words],
        env=dict(app.portable.env),
        stdin=theirs,
        cwd=app.file.parent,
    )
    os.close(theirs)
    try:
        said = _until(ours, r"[$#] $")
        os.write(ours, b"stty size\r")
        said = _until(ours, r"31 97")
        fcntl.ioctl(ours, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 120, 0, 0))
        said = ""
        for _ in range(50):
            os.write(ours, b"stty size\r")
            said = _until(ours, r"\d+ \d+\r\n.*[$#] $")
            if "40 120" in said:
                break
        assert "40 120" in said, said
        os.write(ours, b"exit 9\r")
        assert process.wait(60) == 9
    finally:
        process.kill()
        os.close(ours)


def _until(terminal: int, pattern: str) -> str:
    """What the terminal shows until it ends in `pattern`."""
    said, deadline = "", time.monotonic() + 60
    while not re.search(pattern, said, re.DOTALL):
        assert time.monotonic() < deadline, said
        said += os.read(terminal, 4096).decode(errors="replace")
    return said


def test_logs_of_the_whole_app_by_what_is_looked_for(app: AppUnderTest) -> None:
    do(app, "exec", "db", "--", "psql", "-c", "do $$ begin raise log 'marker one'; raise log 'marker two'; end $$")
    found = do(app, "logs", "--grep", "LOG: +marker (one|three)").out.splitlines()
    assert [line.split()[0] for line in found] == ["db-0"], found


def test_status_tells_of_restarts_revision_and_autoscaler(app: AppUnderTest) -> None:
    do(app, "exec", "cache", "--", "sh", "-c", "redis-cli shutdown || true", code=None)
    deadline = time.monotonic() + 120
    while True:
        found = app.run("status", "--output", "json").json()
        workloads = {each["name"]: each for each in found["workloads"]}
        if workloads["cache"]["restarts"] and workloads["cache"]["state"] == "ready":
            break
        assert time.monotonic() < deadline, workloads["cache"]
        time.sleep(0.5)
    restart = workloads["cache"]["last_restart"]
    assert (restart["container"], restart["exit_code"]) == ("redis", 0)
    assert restart["at"]
    scaler = workloads["auto"]["autoscaler"]
    assert (scaler["low"], scaler["high"]) == (1, 2)
    assert found["revision"]["number"] == revisions(app)[-1]["number"]

    watching = app.portable.start("status", "--watch", "--output", "json", "--cloud", "kind", app.file)
    assert watching.stdout is not None
    assert '"workloads"' in watching.stdout.readline()
    watching.send_signal(signal.SIGINT)
    watching.communicate(timeout=60)
    assert watching.returncode == 130


def test_top_has_what_is_used_beside_what_is_asked_for(app: AppUnderTest) -> None:
    deadline = time.monotonic() + 180
    while True:
        found = {each["workload"]: each for each in app.run("top", "--output", "json").json()["workloads"]}
        if {"web", "db", "cache"} <= found.keys() and found["db"]["memory"]["used"] > 1_000_000:
            break
        assert time.monotonic() < deadline, found
        time.sleep(2)
    assert found["web"]["cpu"]["requested"] == pytest.approx(0.02), "10m for each of two pods"
    assert found["web"]["memory"]["limit"] is None
    assert len(found["web"]["pods"]) == 2


def test_a_rotated_secret_of_the_users(app: AppUnderTest, tmp_path: Path, say: Callable[[str], None]) -> None:
    with requests(app) as record:
        do(app, "secret", "rotate", "greeting", stdin="Good evening\n")
    assert record.failed() == [], record.summary()
    say(f"secret rotate of a user's secret: {record.summary()}")
    greetings = [each.body.partition(b" from ")[0] for each in sorted(record.responses, key=lambda each: each.ended)]
    assert greetings[0] == b"Good morning"
    assert {b"Good morning", b"Good evening"} >= set(greetings)
    assert revisions(app)[-1]["changes"] == ["web: new value of greeting"]

    write(app, "three")
    refused = do(app, "secret", "rotate", "greeting", code=2, stdin="Good night\n")
    assert "more than this secret has changed" in refused.err
    write(app, "two")


def password_of(app: AppUnderTest, name: str) -> str:
    return base64.b64decode(app.get("v1", "Secret", name)["data"]["password"]).decode()


def let_in(app: AppUnderTest, name: str, password: str) -> bool:
    """Whether the database takes the password, by its pod's address: the socket asks for none."""
    (pod,) = app.pods(name)
    asking = {
        "db": f'read -r PGPASSWORD; export PGPASSWORD; psql -At -h {pod["status"]["podIP"]} -c "select 1"',
        "cache": "read -r REDISCLI_AUTH; export REDISCLI_AUTH; redis-cli -e ping",
    }
    done = do(app, "exec", name, "--", "sh", "-c", asking[name], stdin=f"{password}\n", code=None)
    return done.code == 0 and done.out.strip() in ("1", "PONG")


def test_rotated_passwords_of_databases(app: AppUnderTest, say: Callable[[str], None]) -> None:
    for name in ("db", "cache"):
        before, pods = password_of(app, name), app.pod_uids("web", name)
        with requests(app) as record:
            result = as_json(app, "secret", "rotate", name)
        after, new_pods = password_of(app, name), app.pod_uids("web", name)
        assert after != before
        assert let_in(app, name, after)
        assert not let_in(app, name, before), f"the old password of {name} is worth nothing"
        assert result["restarted"] == ["web"]
        assert not set(pods["web"]) & set(new_pods["web"]), "what connects has the new one"
        assert (pods["db"] == new_pods["db"]) if name == "db" else (pods["cache"] != new_pods["cache"])
        assert record.failed() == [], record.summary()
        say(f"secret rotate {name}: {result['seconds']:.0f} s; {result['lost']}; {record.summary()}")
        for secret in (before, after):
            assert secret not in app.file.read_text()
    app.run("plan", "--detailed-exitcode")  # 0: the state has the passwords that the cluster has
