"""Day two's commands: what they refuse before anything is changed, and what they say where something is missing."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from typing import Any

import pytest

import portable.history
import portable.top
from portable.cli import main
from portable.errors import ClusterError
from portable.exec import Container, Executed, command_for, execute, exit_code
from portable.health import last_restart
from portable.kube import Kube
from portable.rotate import scram_verifier
from portable.spec.model import App, Database
from portable.top import usage
from tests.control_plane import ControlPlane
from tests.unit.cli.node import Node, serving
from tests.unit.cli.test_status import deploy
from tests.unit.rollout import kubelet

pytestmark = pytest.mark.unit

CLOUD = ["--cloud", "gcp"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["rollback", "two"], "two"),
        (["rollback", "0", "--yes"], "0 is not in the range"),
        (["rollback", "1"], "--yes"),
        (["restart"], "WORKLOAD"),
        (["scale", "web"], "REPLICAS"),
        (["scale", "web", "-1"], "-1"),
        (["scale", "web", "many"], "many"),
        (["exec"], "WORKLOAD"),
        (["secret", "rotate"], "NAME"),
        (["secret", "rotate", "no-such"], "no secret called 'no-such'"),
        (["logs", "web", "--grep", "("], "no regular expression"),
        (["logs", "no-such"], "no workload called 'no-such'"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_wrong_usage_is_2_and_says_what(
    spec: str, words: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*words[:1], *CLOUD, *words[1:]] if words[0] != "secret" else [*words, *CLOUD]) == 2
    assert said in capsys.readouterr().err


@pytest.fixture
def app(app: str, control_plane: ControlPlane, monkeypatch: pytest.MonkeyPatch) -> str:
    """On the control plane too for what was imported before the fixture came."""
    for module in (portable.history, portable.top):
        monkeypatch.setattr(module, "connect", lambda _target: Kube.connect(control_plane.kubeconfig))
    return app


def test_without_a_revision_there_is_no_history(app: str, kube: Kube, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["history", *CLOUD]) == 0
    assert capsys.readouterr().out == "nothing was deployed yet\n"
    assert main(["history", "--output", "json", *CLOUD]) == 0
    assert json.loads(capsys.readouterr().out) == {"revisions": []}


def test_where_nothing_measures_pods_top_says_so(app: str, kube: Kube, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["top", *CLOUD]) == 1
    said = capsys.readouterr().err
    assert "nothing in this cluster measures pods" in said
    assert "metrics-server" in said


def test_top_adds_up_what_is_measured(app: str, kube: Kube, monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = deploy(kube, app)
    for pod in (first, second):
        kubelet.run(kube, pod)
    measured = {"cpu": "1500000n", "memory": "20Mi"}
    names = [first["metadata"]["name"], second["metadata"]["name"]]
    answer = {
        "items": [
            {"metadata": {"name": name}, "timestamp": "t", "window": "15s", "containers": [{"usage": measured}]}
            for name in names
        ]
    }
    monkeypatch.setattr(kube, "raw", lambda _method, _path: answer)
    (web,) = usage(kube, app)
    assert {pod.pod for pod in web.pods} == set(names)
    assert web.cpu.used == pytest.approx(0.003)
    assert web.cpu.requested == pytest.approx(0.1), "50m for each by default"
    assert web.memory.used == 40 * 2**20
    assert web.memory.limit is None


def test_status_has_the_last_restart_and_its_exit_code(
    app: str, kube: Kube, capsys: pytest.CaptureFixture[str]
) -> None:
    pod, other = deploy(kube, app)
    kubelet.run(kube, other)
    kubelet.wait_in(kube, pod, "CrashLoopBackOff", "back-off 10s restarting failed container", restarts=3, code=3)
    live = kube.get("v1", "Pod", pod["metadata"]["name"], app)
    assert live is not None
    restart = last_restart([live])
    assert restart is not None
    assert restart.exit_code == 3
    assert main(["status", *CLOUD]) == 0
    assert "was restarted" in capsys.readouterr().out


def failure(**more: Any) -> dict[str, Any]:
    return {"status": "Failure", **more}


def test_how_a_command_ended() -> None:
    assert exit_code({"status": "Success"}) == 0
    causes = {"causes": [{"reason": "ExitCode", "message": "7"}]}
    assert exit_code(failure(reason="NonZeroExitCode", details=causes)) == 7
    with pytest.raises(ClusterError, match="exec: no such file or directory") as missing:
        exit_code(failure(reason="InternalError", message="exec: no such file or directory", details=causes))
    assert missing.value.fix == "name a command that the image has"
    # as containerd and runc say it
    told = (
        "Internal error occurred: error executing command in container: failed to exec in container: failed to start exec "
        '"6bc7": OCI runtime exec failed: exec failed: unable to start container process: exec: "sh": executable file not found in $PATH'
    )
    with pytest.raises(ClusterError) as missing:
        exit_code(failure(reason="InternalError", message=told))
    assert missing.value.message == 'exec: "sh": executable file not found in $PATH'
    assert missing.value.fix == "name a command that the image has"


def test_what_a_command_says_and_how_it_ends() -> None:
    node = Node()
    ended = json.dumps(failure(reason="NonZeroExitCode", details={"causes": [{"reason": "ExitCode", "message": "3"}]}))
    node.answers = [b"\x01out", b"\x02err", b"\x01put", b"\x03" + ended.encode()]
    at = Container("ns", "web-1", "main")
    with serving(node) as kube:
        assert execute(kube, at, ["echo", "a b"]) == Executed(3, "output", "err")
    (query,) = node.executed
    assert query["command"] == ["echo", "a b"]
    assert (query["container"], query["stdin"], "tty" in query) == (["main"], ["true"], False)


def test_a_connection_that_closes_without_an_outcome_is_no_success() -> None:
    node = Node()
    node.answers = [b"\x01half"]
    with serving(node) as kube, pytest.raises(ClusterError, match="connection broke"):
        execute(kube, Container("ns", "web-1", "main"), ["dump"])


def test_what_a_database_is_given_to_run() -> None:
    resources = {"db": Database("db", "postgres"), "cache": Database("cache", "redis")}
    app = App("shop", None, None, {}, resources)
    assert command_for(app, "db", ()) == ["env", "PGUSER=db", "PGDATABASE=db", "psql"]
    assert command_for(app, "db", ("psql", "-c", "select 1"))[-3:] == ["psql", "-c", "select 1"]
    assert command_for(app, "cache", ()) == ["redis-cli"]
    assert command_for(app, "web", ()) == ["sh"]


def test_the_verifier_of_a_password_is_postgresqls() -> None:
    """By the exchange in RFC 7677, section 3: its proof and its signature follow from what we would store."""
    nonce = "rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0"
    message = f"n=user,r=rOprNGfwEbeRWgbNEkqO,r={nonce},s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096,c=biws,r={nonce}".encode()
    found = scram_verifier("pencil", base64.b64decode("W22ZaJ0SNY7soEsUEjb6gQ=="))
    method, salt, keys = found.split("$")
    assert (method, salt) == ("SCRAM-SHA-256", "4096:W22ZaJ0SNY7soEsUEjb6gQ==")
    stored, server = (base64.b64decode(key) for key in keys.split(":"))
    signature = base64.b64encode(hmac.digest(server, message, "sha256"))
    assert signature == b"6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="
    proof = base64.b64decode("dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=")
    client = bytes(a ^ b for a, b in zip(proof, hmac.digest(stored, message, "sha256"), strict=True))
    assert hashlib.sha256(client).digest() == stored
    assert scram_verifier("pencil") != scram_verifier("pencil"), "a salt of its own each time"
