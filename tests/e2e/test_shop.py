"""The example of six workloads on a real cluster: the work order's second "done when", from the first `up` to kept data.

The tests stand in the order in which a user would do these things; each goes on from the one before.
"""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
import shutil
import ssl
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from threading import Event, Thread
from typing import Any

import pytest

from tests.e2e import leaks
from tests.e2e.conftest import ROOT, Cluster, Portable, Run
from tests.e2e.web import Answer, fetch

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(900)]
Say = Callable[[str], None]
PATIENCE = 60.0  # seconds for the worker to take up a job


@dataclass(frozen=True)
class Shop:
    """A copy of the example, in a folder of its own and on the tests' cluster."""

    folder: Path
    name: str
    token: str
    portable: Portable
    cluster: Cluster

    @property
    def namespace(self) -> str:
        return f"{self.name}-dev"

    def run(self, *command: str | Path) -> Run:
        return self.portable(*command, "-e", "dev", cwd=self.folder)

    def up(self, *arguments: str | Path) -> dict[str, Any]:
        return self.run("up", "--yes", "--output", "json", *arguments).events()[-1]

    def edit(self, before: str, after: str) -> None:
        edit(self.folder / "portable.yaml", before, after)

    @cached_property
    def url(self) -> str:
        """Of the route, without the last slash."""
        return self.run("outputs", "--output", "json").json()["workloads.web.routes.shop.url"].rstrip("/")

    def ask(self, path: str, method: str = "GET", body: bytes | dict[str, Any] | None = None) -> Answer:
        return fetch(self.url + path, method=method, body=body)

    def pods(self) -> dict[str, list[dict[str, Any]]]:
        """workload -> its pods, without those of the cron job, which come and go by the clock."""
        found: dict[str, list[dict[str, Any]]] = {}
        for pod in self.cluster.kube.list("v1", "Pod", self.namespace):
            name = pod["metadata"]["labels"]["app.kubernetes.io/name"]
            if name != "report" and "deletionTimestamp" not in pod["metadata"]:
                found.setdefault(name, []).append(pod)
        return found

    def lives(self) -> dict[str, set[tuple[str, int]]]:
        """workload -> (UID, restarts) of its pods: the same as long as nothing was replaced or restarted."""
        return {
            name: {(pod["metadata"]["uid"], restarts(pod)) for pod in pods}
            for name, pods in sorted(self.pods().items())
        }


def edit(file: Path, before: str, after: str) -> None:
    text = file.read_text()
    assert text.count(before) == 1, f"{before!r} stands {text.count(before)} times in {file}"
    file.write_text(text.replace(before, after))


def restarts(pod: dict[str, Any]) -> int:
    return sum(status["restartCount"] for status in pod["status"].get("containerStatuses", ()))


def state_files(shop: Shop) -> dict[str, tuple[int, int]]:
    """Every file of the shop's and the cluster's state but locks: (modified, size). An engine that ran changes some of them."""
    names = (f"{shop.name}.dev.kind.{shop.cluster.name}", f"kind.{shop.cluster.name}")
    state = Path(shop.portable.env["PORTABLE_STATE"])
    files = (path for path in state.rglob("*") if path.is_file() and path.name.startswith(names))
    return {str(path): (path.stat().st_mtime_ns, path.stat().st_size) for path in files}


@pytest.fixture(scope="module")
def shop(
    portable: Portable, cluster: Cluster, leave: Callable[..., None], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Shop]:
    folder = tmp_path_factory.mktemp("shop")
    shutil.copytree(ROOT / "examples" / "shop", folder, dirs_exist_ok=True)
    made = Shop(folder, f"shop-{secrets.token_hex(2)}", secrets.token_hex(16), portable, cluster)
    made.edit("metadata:\n  name: shop\n", f"metadata:\n  name: {made.name}\n")
    made.edit("cluster:\n  name: portable\n", f"cluster:\n  name: {cluster.name}\n")
    yield made
    leave("-e", "dev", cwd=folder)


def test_first_up_makes_every_pod_ready(shop: Shop, say: Say) -> None:
    token = shop.folder / "token.txt"
    token.write_text(shop.token)
    result = shop.up("--secret", f"api-token={token}")
    token.unlink()
    say(f"shop: first up {result['seconds']:.1f} s")
    assert result["changed"] is True
    pods = shop.pods()
    assert pods.keys() == {"api", "cache", "db", "migrate", "uploads", "web", "worker"}
    for name, found in pods.items():
        expected = "Succeeded" if name == "migrate" else "Running"
        assert [pod["status"]["phase"] for pod in found] == [expected], name
        ready = {each["type"]: each["status"] for each in found[0]["status"]["conditions"]}["Ready"]
        assert ready == ("False" if name == "migrate" else "True"), name
    states = {each["name"]: each["state"] for each in shop.run("status", "--output", "json").json()["workloads"]}
    assert states == dict.fromkeys([*pods, "report"], "ready")


def test_web_answers_through_its_route_with_verified_tls(shop: Shop) -> None:
    page = shop.ask("/")
    assert page.status == 200
    assert b"<html" in page.body.lower()
    assert shop.url.startswith("https://shop.localhost")
    with pytest.raises(ssl.SSLCertVerificationError):
        fetch(shop.url, trust=ssl.create_default_context())  # nobody trusts the authority by accident


def test_api_reads_and_writes_postgres_and_the_worker_answers_through_redis(shop: Shop) -> None:
    assert add(shop, "tea") == hashlib.sha256(b"tea").hexdigest()
    before = shop.ask("/api/items").json()["visits"]
    assert shop.ask("/api/items").json()["visits"] == before + 1


def add(shop: Shop, name: str) -> str:
    """Posts an item; returns the result that the worker wrote."""
    made = shop.ask("/api/items", "POST", {"name": name})
    assert made.status == 201, made
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        items = shop.ask("/api/items").json()["items"]
        found = next(item for item in items if item["id"] == made.json()["id"])
        if found["result"]:
            return found["result"]
        time.sleep(0.2)
    raise AssertionError(f"the worker wrote no result for {name} within {PATIENCE:.0f} s")


def test_the_secret_and_the_config_file_arrived(shop: Shop) -> None:
    info = shop.ask("/api/info").json()
    assert info["tokenSha256"] == hashlib.sha256(shop.token.encode()).hexdigest()
    assert info["greeting"] == "Welcome to the shop."
    assert json.loads(info["settings"]) == {"shop": shop.name, "currency": "EUR", "database": "db"}


def test_a_second_up_changes_nothing(shop: Shop, say: Say) -> None:
    before, files = shop.lives(), state_files(shop)
    assert any(path.endswith(f"{shop.name}.dev.kind.{shop.cluster.name}.json") for path in files)
    run = shop.run("up", "--yes", "--output", "json")
    say(f"shop: up without changes {run.seconds:.1f} s")
    assert run.events()[-1]["changed"] is False
    assert shop.lives() == before
    assert state_files(shop) == files, "the engine was started"


def test_one_changed_variable_rolls_one_workload_and_loses_no_request(shop: Shop, say: Say) -> None:
    shop.edit("greeting: Welcome to the shop.", "greeting: Good morning.")
    before = shop.lives()
    stop, answers = Event(), list[str]()
    client = Thread(target=_keep_asking, args=(f"{shop.url}/api/info", stop, answers))
    client.start()
    try:
        result = shop.up()
        end = time.monotonic() + PATIENCE
        while "Good morning." not in answers and time.monotonic() < end:
            time.sleep(0.1)
    finally:
        stop.set()
        client.join()
    say(f"shop: up with one variable {result['seconds']:.1f} s, {len(answers)} requests meanwhile")
    after = shop.lives()
    assert result["changed"] is True
    assert {name for name in before if after[name] != before[name]} == {"api"}
    assert len(after["api"]) == len(before["api"])
    assert set(answers) == {"Welcome to the shop.", "Good morning."}


def _keep_asking(url: str, stop: Event, answers: list[str]) -> None:
    """Notes each answer's greeting, or what went wrong instead."""
    while not stop.is_set():
        try:
            answer = fetch(url)
            answers.append(answer.json()["greeting"] if answer.status == 200 else repr(answer))
        except OSError as error:
            answers.append(repr(error))
        time.sleep(0.05)


def test_what_comes_after_starts_after(shop: Shop) -> None:
    pods = shop.pods()
    migrated = condition(pods["migrate"][0], "Ready")["lastTransitionTime"]  # RFC 3339 in UTC sorts as text
    database = pods["db"][0]["status"]["containerStatuses"][0]["state"]["running"]["startedAt"]
    assert database <= pods["migrate"][0]["metadata"]["creationTimestamp"]
    assert migrated <= pods["worker"][0]["metadata"]["creationTimestamp"]
    status = pods["api"][0]["status"]
    waited = {each["name"]: each["state"] for each in status["initContainerStatuses"]}["wait"]["terminated"]
    assert waited["exitCode"] == 0
    assert waited["finishedAt"] <= status["containerStatuses"][0]["state"]["running"]["startedAt"]


def condition(pod: dict[str, Any], name: str) -> dict[str, Any]:
    return next(each for each in pod["status"]["conditions"] if each["type"] == name)


def test_a_changed_job_runs_again_and_an_unchanged_one_does_not(shop: Shop) -> None:
    before = shop.lives()
    shop.edit(
        "        args: [migrate]\n        variables:\n",
        "        args: [migrate]\n        variables:\n          ROUND: '2'\n",
    )
    shop.up()
    after = shop.lives()
    assert {name for name in before if after[name] != before[name]} == {"migrate"}
    jobs = shop.cluster.kube.list("batch/v1", "Job", shop.namespace, label_selector="portable.dev/workload=migrate")
    assert [job["status"].get("succeeded") for job in jobs] == [1], "the old job is gone, the new one has run"


def test_questions_about_a_running_app(shop: Shop) -> None:
    outputs = shop.run("outputs", "--output", "json").json()
    url = f"{shop.url}/"
    assert outputs["workloads.web.routes.shop.url"] == url
    assert (outputs["resources.db.host"], outputs["resources.db.port"]) == ("db", "5432")
    assert not any("password" in name for name in outputs)
    opened = shop.run("open", "web", "--no-browser", "--output", "json").json()
    assert [address["url"] for address in opened["addresses"]] == [url]
    lines = [json.loads(line) for line in shop.run("logs", "worker", "--output", "json").out.splitlines()]
    assert any("job done" in line["text"] and line["pod"].startswith("worker-") for line in lines)
    listed = shop.run("secret", "list", "--output", "json").json()["secrets"]
    assert [(secret["name"], secret["keys"]) for secret in listed if secret["name"] == "api-token"] == [
        ("api-token", {"value": True})
    ]


def test_what_render_writes_is_what_runs(shop: Shop) -> None:
    """Applying what `render` prints, as a user with kubectl would, changes nothing but digests of what `render` cannot know."""
    found = shop.run("render", "--output", "json").json()
    kinds = set[str]()
    for manifest in found["objects"]:
        kind, name = manifest["kind"], manifest["metadata"]["name"]
        kinds.add(kind)
        if kind == "Job":  # its name is such a digest
            continue
        live = shop.cluster.kube.get(manifest["apiVersion"], kind, name, manifest["metadata"].get("namespace"))
        assert live is not None, f"{kind}/{name}"
        would_be = shop.cluster.kube.apply(manifest, dry_run=True)
        assert comparable(would_be) == comparable(live), f"{kind}/{name}"
    assert kinds >= {"Namespace", "Deployment", "StatefulSet", "CronJob", "ConfigMap", "Ingress", "NetworkPolicy"}


def comparable(value: Any) -> Any:
    """An object without what the server counts and without the digests of images and secrets in pod templates."""
    if isinstance(value, list):
        return [comparable(each) for each in value]
    if not isinstance(value, dict):
        return value
    hidden = ("managedFields", "resourceVersion", "generation", "status")
    digests = ("portable.dev/digest", "image.portable.dev/", "secret.portable.dev/", "pulumi.com/")
    return {key: comparable(each) for key, each in value.items() if key not in hidden and not key.startswith(digests)}


def test_no_secret_is_in_state_logs_or_other_objects(shop: Shop) -> None:
    generated = [
        base64.b64decode(secret["data"]["password"]).decode()
        for name in ("db", "cache")
        if (secret := shop.cluster.kube.get("v1", "Secret", name, shop.namespace))
    ]
    assert len(generated) == 2
    values = (shop.token, *generated)
    state = Path(shop.portable.env["PORTABLE_STATE"])
    assert leaks.in_files(["kubernetes:apps/v1:Deployment"], [state]), "the search finds what is there"
    assert leaks.in_files(values, [state, leaks.log_folder(), shop.folder]) == []
    assert leaks.in_cluster(values, shop.cluster.kube, shop.namespace) == []


def test_destroy_keeps_the_data_and_up_finds_it_again(shop: Shop, say: Say) -> None:
    assert shop.ask("/uploads/note.txt", "PUT", b"kept").status == 201
    add(shop, "coffee")
    run = shop.run("destroy", "--yes", "--keep-cluster", "--output", "json")
    assert {f"{shop.namespace}/data-db-0", "Credential/db"} <= set(run.events()[-1]["kept"]), run
    assert shop.pods() == {}
    result = shop.up()  # the secret's value stayed with the data
    say(f"shop: destroy {run.seconds:.1f} s, up again {result['seconds']:.1f} s")
    assert [item["name"] for item in shop.ask("/api/items").json()["items"]] == ["coffee", "tea"]
    assert shop.ask("/uploads/note.txt").body == b"kept"
    assert add(shop, "water") == hashlib.sha256(b"water").hexdigest()
