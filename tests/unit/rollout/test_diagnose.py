"""Each sign, from objects recorded on a real cluster (Kubernetes 1.36, containerd 2.4) at the moment of the verdict.

A recording holds the namespace's objects, trimmed; its file is named after the workload.
"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from portable.rollout.diagnose import diagnose, timed_out
from portable.rollout.finding import NEVER, SIGNS, Finding
from portable.rollout.hints import exit_words, for_log, with_log, writable_path
from portable.rollout.images import pull_failure
from portable.rollout.progress import progress
from portable.rollout.view import Snapshot, View
from tests.unit.rollout.kubelet import workload

pytestmark = pytest.mark.unit

RECORDED = Path(__file__).parent / "recorded"


def recorded(name: str, **changes: Any) -> View:
    objects = json.loads((RECORDED / f"{name}.json").read_text())
    snapshot = Snapshot()
    for kind, items in objects.items():
        snapshot.replace(kind, items)
    kind = next(kind for kind in ("Deployment", "StatefulSet", "Job") if objects.get(kind))
    return snapshot.views({name: replace(workload(name, kind=kind), **changes)})[name]


def surest(name: str, **options: Any) -> Finding:
    found = diagnose(recorded(name), **options)
    assert found, "no sign found"
    return found[0]


# (recording, sign, words of the summary, words of the hint, most seconds of patience)
CASES = [
    ("image-nohost", "ImagePull", "cannot be reached from the nodes", "containers.main.image", 12),
    ("image-refused", "ImagePull", "cannot be reached", "containers.main.image", 12),
    ("image-missing", "ImagePull", "does not exist in its registry", "check name and tag", 2),
    ("image-denied", "ImagePull", "or its registry wants credentials", "resource of type registry", 12),
    ("image-never", "ImagePull", "may not be pulled", "load the image", 0),
    ("image-name", "ImagePull", '"Not A Name:1" is no valid image name', "containers.main.image", 0),
    ("crash", "CrashLoop", "container main crashes: exit code 3 (2 times)", "last lines of the log", 0),
    ("crash-zero", "CrashLoop", "ends instead of running on: exit code 0", "kind: job", 0),
    ("oom", "OutOfMemory", "limit of 32Mi", "containers.main.resources.limits.memory", 0),
    ("nocommand", "CannotStart", 'exec: "/no/such/thing"', "no such command", 3),
    ("secret-missing", "ConfigMissing", 'secret "token" does not exist', "portable secret set token", 5),
    ("secret-key", "ConfigMissing", 'secret "have" has no key "nokey"', "portable secret set have --key nokey", 5),
    ("secret-volume", "ConfigMissing", 'secret "app-cert" does not exist', "portable secret set app-cert", 6),
    ("root", "RootImage", "wants to run as root", "security: {user: 1000}", 0),
    ("unschedulable", "Unschedulable", "1 Insufficient cpu", "resources.requests.cpu", 10),
    ("selector", "Unschedulable", "didn't match Pod's node affinity/selector", "cluster's nodes", 10),
    ("readiness-refused", "ProbeFailing", "connection refused", "nothing listens on that port", 45),
    ("readiness-404", "ProbeFailing", "statuscode: 404", "check the path in workloads.readiness-404", 15),
    ("readiness-exec", "ProbeFailing", "the readiness probe of container main fails: not yet", "startupProbe", 45),
    ("startup", "ProbeFailing", "and the container was restarted for it", "startupProbe", 0),
    ("liveness", "ProbeFailing", "executable file not found", "livenessProbe.exec.command", 45),
    ("quota", "Quota", "requested: requests.cpu=10m, used: requests.cpu=0", "workloads.quota.scale", 5),
    ("quota-sts", "Quota", "requested: requests.cpu=10m, used: requests.cpu=0", "workloads.quota-sts.scale", 5),
    ("podsecurity", "Admission", 'level refuses the pods: "restricted:latest"', "security: {level: baseline}", 2),
    ("podsecurity-job", "Admission", 'level refuses the pods: "restricted:latest"', "security: {level: baseline}", 2),
    ("serviceaccount", "Admission", 'serviceaccount "nobody" not found', "", 15),
    ("pvc-class", "VolumeBind", 'volume "data" cannot be made', 'no storage class "no-such-class"', 10),
    ("pvc-none", "VolumeBind", 'claim "nodata" does not exist', "portable up", 15),
    ("hostpath", "VolumeBind", "/no/such is not a directory", "storage", 15),
    ("job", "JobFailed", "used up its tries: container main ended with exit code 2", "runs anew", 0),
    ("job-deadline", "JobFailed", "did not end in the time it has", "", 0),
]


@pytest.mark.parametrize(("name", "sign", "summary", "hint", "patience"), CASES)
def test_sign(name: str, sign: str, summary: str, hint: str, patience: float) -> None:
    finding = surest(name, resources={"app-token": "token"})
    cause = finding.cause
    assert cause.sign == sign
    assert cause.sign in SIGNS
    assert summary in cause.summary
    assert hint in cause.hint
    assert finding.patience <= patience
    assert "\n" not in cause.summary
    assert cause.workload == name
    assert cause.event or cause.exit_code is not None, "the cluster's own words, or an exit code"


def test_every_recording_is_used() -> None:
    others = {"ok", "segv", "readonly", "denied", "crash-slow", "job-onfailure"}
    assert {path.stem for path in RECORDED.glob("*.json")} - others == {case[0] for case in CASES}


def test_a_workload_that_runs_has_no_sign() -> None:
    view = recorded("ok")
    assert diagnose(view) == ()
    assert progress(view).done


def test_another_version_is_not_looked_at() -> None:
    """What an older version died of says nothing of this one."""
    view = recorded("crash", digest="v2")
    assert diagnose(view) == ()
    assert progress(view).detail == "waiting to be applied"


def test_a_first_crash_is_only_remembered() -> None:
    view = recorded("crash")
    for pod in view.pods:
        status = pod["status"]["containerStatuses"][0]
        status["restartCount"], status["state"] = 0, {"terminated": {"exitCode": 3, "reason": "Error"}}
        status.pop("lastState", None)
    (finding,) = diagnose(view)
    assert (finding.patience, finding.cause.exit_code) == (NEVER, 3)


def test_a_log_is_asked_for_from_the_run_that_ended() -> None:
    view = recorded("crash")
    status = view.pods[0]["status"]["containerStatuses"][0]
    status["state"] = {"waiting": {"reason": "CrashLoopBackOff"}}
    status["lastState"] = {"terminated": {"exitCode": 3}}
    (finding,) = diagnose(view)
    assert finding.log is not None
    assert finding.log.previous


@pytest.mark.parametrize(
    ("autoscaling", "event", "patience"),
    [
        (False, None, 10.0),
        (True, None, NEVER),
        (False, "TriggeredScaleUp", NEVER),
        (True, "NotTriggerScaleUp", 10.0),
    ],
)
def test_room_may_still_come_where_nodes_are_added(autoscaling: bool, event: str | None, patience: float) -> None:
    view = recorded("unschedulable")
    uid = view.pods[0]["metadata"]["uid"]
    if event:
        said = {"reason": event, "message": "", "involvedObject": {"uid": uid}}
        view = replace(view, events={**view.events, uid: (*view.events.get(uid, ()), said)})
    assert diagnose(view, node_autoscaling=autoscaling)[0].patience == patience


def test_an_old_refusal_of_a_stateful_set_is_forgotten_when_its_spec_has_changed() -> None:
    view = recorded("quota-sts")
    assert view.maker is not None
    assert diagnose(view)
    for entry in view.maker["metadata"]["managedFields"]:
        entry["time"] = "2099-01-01T00:00:00Z"
    assert diagnose(view) == ()


def test_a_timeout_keeps_the_cause_that_is_known() -> None:
    view = recorded("unschedulable")
    finding = diagnose(view)[0]
    cause = timed_out(view, finding, progress(view), 300.2)
    assert cause.sign == "Unschedulable"
    assert cause.summary.endswith("(not ready after 300 s)")
    unknown = timed_out(view, None, progress(view), 300.2)
    assert (unknown.sign, unknown.summary) == ("Timeout", "not ready after 300 s: waiting for a node")


@pytest.mark.parametrize("name", sorted(file.stem for file in RECORDED.glob("*.json")))
def test_hints_about_a_database_name_no_keys_that_it_does_not_have(name: str) -> None:
    view = recorded(name, section="resources")
    causes = [finding.cause for finding in diagnose(view)]
    causes += [with_log(cause, ("touch: /x/y: Read-only file system",), view.workload) for cause in causes]
    late = timed_out(view, None, progress(view), 300.0)
    assert "rollout.timeout" in late.hint
    causes.append(with_log(late, (), view.workload))
    for cause in causes:
        assert "workloads." not in cause.hint
        assert "portable secret set" not in cause.hint
        assert "resource of type registry" not in cause.hint
    assert causes[-1].hint.startswith("if it only needs more time")


def test_a_hint_about_a_database_says_where_it_stands() -> None:
    (crash, *_) = diagnose(recorded("crash", section="resources"))
    assert "resources.crash " in crash.cause.hint
    assert "patch of Deployment/crash" in crash.cause.hint


@pytest.mark.parametrize(
    ("message", "patience"),
    [
        ('exec: "/bin/ledger": stat /bin/ledger: no such file or directory', 3.0),
        ("failed to create containerd task: context deadline exceeded", NEVER),
    ],
)
def test_a_job_without_its_command_is_not_tried_again_in_vain(message: str, patience: float) -> None:
    view = tried_again("job")
    ended = {"exitCode": 128, "reason": "StartError", "message": message}
    view.pods[0]["status"]["containerStatuses"][0]["state"] = {"terminated": ended}
    (finding,) = diagnose(view)
    assert (finding.cause.sign, finding.patience) == ("CannotStart", patience)


def tried_again(name: str) -> View:
    """A recorded job as it was after its first failure of three."""
    view = recorded(name)
    assert view.controller is not None
    running = {**view.controller, "status": {"failed": 1}, "spec": {**view.controller["spec"], "backoffLimit": 2}}
    return replace(view, controller=running, maker=running)


def test_a_job_that_is_tried_again_says_so() -> None:
    assert progress(tried_again("job")).detail == "try 2 of 3, container main ended with exit code 2"


def test_pods_that_are_ready_are_no_longer_being_created() -> None:
    view = recorded("ok")
    assert view.controller is not None
    status = {**view.controller["status"], "availableReplicas": 0}
    late = replace(view, controller={**view.controller, "status": status})
    assert progress(late).detail == "ready, not yet counted as available"
    assert progress(replace(late, pods=())).detail == "creating pods"


def test_evictions_are_fatal_only_when_they_go_on() -> None:
    view = recorded("ok")
    pod = view.pods[0] | {"status": {"phase": "Failed", "reason": "Evicted", "message": "The node was low on memory."}}
    assert diagnose(replace(view, pods=(pod,)))[0].patience == NEVER
    finding = diagnose(replace(view, pods=(pod, pod, pod)))[0]
    assert (finding.cause.sign, finding.patience) == ("Evicted", 0.0)


@pytest.mark.parametrize(
    ("message", "words", "hint"),
    [
        (
            "container has runAsNonRoot and image has non-numeric user (app), cannot verify user is non-root",
            'names its user "app"',
            "the number of that user",
        ),
        ("container's runAsUser breaks non-root policy", "wants to run as root", "security: {user: 1000}"),
    ],
)
def test_other_ways_to_be_refused_as_root(message: str, words: str, hint: str) -> None:
    view = recorded("root")
    view.pods[0]["status"]["containerStatuses"][0]["state"]["waiting"]["message"] = message
    cause = diagnose(view)[0].cause
    assert cause.sign == "RootImage"
    assert words in cause.summary
    assert hint in cause.hint


@pytest.mark.parametrize(
    ("message", "sign", "words", "patience"),
    [
        (
            'admission webhook "policy.example.org" denied the request: images must be signed',
            "Admission",
            'webhook "policy.example.org" refuses the pods: images must be signed',
            2,
        ),
        (
            'Internal error occurred: failed calling webhook "x.example.org": no endpoints available for service "x"',
            "Admission",
            '"x.example.org" does not answer',
            20,
        ),
        (
            "pods \"web-1\" is forbidden: ValidatingAdmissionPolicy 'frozen' with binding 'all' denied request: not now",
            "Admission",
            'admission policy "frozen" refuses the pods: not now',
            2,
        ),
        ('Pod "web" is invalid: spec.containers[0].image: Required value', "Admission", "Required value", 5),
    ],
)
def test_other_refusals(message: str, sign: str, words: str, patience: float) -> None:
    view = recorded("quota")
    assert view.maker is not None
    failure = next(c for c in view.maker["status"]["conditions"] if c["type"] == "ReplicaFailure")
    failure["message"] = message
    finding = diagnose(view)[0]
    assert (finding.cause.sign, finding.patience) == (sign, patience)
    assert words in finding.cause.summary


@pytest.mark.parametrize(
    ("reason", "message", "sign", "words"),
    [
        (
            "FailedAttachVolume",
            'Multi-Attach error for volume "pvc-1" Volume is already used',
            "VolumeBind",
            "Multi-Attach",
        ),
        (
            "FailedMount",
            'MountVolume.SetUp failed for volume "s" : references non-existent secret key: tls.key',
            "ConfigMissing",
            'a secret has no key "tls.key"',
        ),
        (
            "FailedMount",
            'MountVolume.SetUp failed for volume "c" : configmap "web-1" not found',
            "ConfigMissing",
            '"web-1"',
        ),
        (
            "FailedCreatePodSandBox",
            "failed to setup network for sandbox",
            "CannotStart",
            "the node cannot set the pod up",
        ),
    ],
)
def test_other_ways_not_to_start(reason: str, message: str, sign: str, words: str) -> None:
    view = recorded("hostpath")
    uid = view.pods[0]["metadata"]["uid"]
    said = {"reason": reason, "message": message, "lastTimestamp": "2099-01-01T00:00:00Z"}
    view = replace(view, events={uid: (said,)})
    cause = diagnose(view)[0].cause
    assert cause.sign == sign
    assert words in cause.summary


@pytest.mark.parametrize(
    ("message", "words", "patience"),
    [
        (
            'failed to resolve reference "docker.io/shop/api:2": docker.io/shop/api:2: not found',
            "does not exist in its registry",
            2,
        ),
        ("manifest unknown: manifest unknown", "does not exist in its registry", 2),
        (
            (
                "pull access denied, repository does not exist or may require authorization: server message: "
                "insufficient_scope: authorization failed"
            ),
            "does not exist, or its registry wants credentials",
            12,
        ),
        ("unexpected status from HEAD request to https://r.example/v2/: 401 Unauthorized", "refuses to give out", 12),
        ("unexpected status from HEAD request to https://r.example/v2/: 403 Forbidden", "refuses to give out", 12),
        ("toomanyrequests: You have reached your unauthenticated pull rate limit", "refuses more pulls", 60),
        ("no match for platform in manifest: not found", "not built for the nodes' CPU", 0),
        ("dial tcp: lookup r.example on 10.96.0.10:53: no such host", "cannot be reached", 12),
        ("dial tcp 203.0.113.7:443: i/o timeout", "cannot be reached", 30),
        ("x509: certificate signed by unknown authority", "cannot be reached", 30),
    ],
)
def test_why_an_image_cannot_be_pulled(message: str, words: str, patience: float) -> None:
    summary, hint, held = pull_failure("shop/api:2", "ErrImagePull", message, "workloads.api.containers.main")
    assert words in summary
    assert hint
    assert held == patience


@pytest.mark.parametrize(
    ("code", "words"),
    [(1, "exit code 1"), (137, "exit code 137 (SIGKILL)"), (139, "exit code 139 (SIGSEGV)"), (255, "exit code 255")],
)
def test_exit_codes_in_words(code: int, words: str) -> None:
    assert exit_words(code) == words


@pytest.mark.parametrize(
    ("line", "hint"),
    [
        ("mkdir: can't create directory '/var/cache/app/': Read-only file system", "writable: [/var/cache]"),
        (
            'nginx: [emerg] mkdir() "/var/cache/nginx/client_temp" failed (30: Read-only file system)',
            "writable: [/var/cache/nginx]",
        ),
        ("OSError: [Errno 30] Read-only file system: '/app/data.db'", "writable: [/app]"),
        ("nginx: [emerg] bind() to 0.0.0.0:80 failed (13: Permission denied)", "targetPort"),
        ("PermissionError: [Errno 13] Permission denied: '/srv/files/x'", "user: 1000"),
        ("chown: /var/lib/data: Operation not permitted", "user: 1000"),
        ("ready to serve", ""),
    ],
)
def test_hints_from_the_log(line: str, hint: str) -> None:
    found = for_log(["some line", line, "exiting"], "web")
    assert hint in found if hint else found == ""


def test_a_url_on_the_line_is_no_path() -> None:
    assert writable_path("could not fetch https://example.org/x") == ""


def test_what_refuses_connections_while_it_is_restarted_is_killed_for_its_answer_before() -> None:
    objects = json.loads((RECORDED / "startup.json").read_text())
    (refused,) = (event for event in objects["Event"] if event["reason"] == "Unhealthy")
    assert "refused" in refused["message"]
    said = "Startup probe failed: HTTP probe failed with statuscode: 404"
    before = {**refused, "message": said, "metadata": {**refused["metadata"], "name": "before", "uid": "before"}}
    snapshot = Snapshot()
    for kind, items in {**objects, "Event": [before, *objects["Event"]]}.items():
        snapshot.replace(kind, items)
    (found, *_) = diagnose(snapshot.views({"startup": workload("startup", kind="Deployment")})["startup"])
    assert "statuscode: 404, and the container was restarted for it" in found.cause.summary
