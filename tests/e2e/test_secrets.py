"""A user's secret from the command that asks for it to the pod that reads it, and nowhere else. In order, on one app."""

from __future__ import annotations

import hashlib
import secrets
import shlex
from pathlib import Path
from typing import Any

import pytest

from tests.e2e import leaks
from tests.e2e.conftest import HELLO, AppUnderTest, Run
from tests.e2e.web import fetch

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]
FIRST, SECOND, THIRD = (secrets.token_urlsafe(24) for _ in range(3))


@pytest.fixture(scope="module")
def said() -> list[Run]:
    """Every command that these tests ran: what they printed is searched in the end."""
    return []


def write(under: AppUnderTest) -> None:
    def container(**more: Any) -> dict[str, Any]:
        return {**HELLO, "containers": {"main": {**HELLO["containers"]["main"], **more}}}

    workloads = {
        "reads": container(variables={"GREETING": "${resources.token.value}"})
        | {"routes": {"main": {"host": f"{under.name}.localhost"}}},
        "composes": container(variables={"URL": "http://user:${resources.token.value}@host/"}),
        "mounts": container(volumes={"/etc/token": {"source": "${resources.token}"}}),
        "other": container(),
    }
    under.write(workloads, resources={"token": {"type": "secret"}})


def test_up_without_the_value_stops_with_the_command_to_run(module_app: AppUnderTest, said: list[Run]) -> None:
    write(module_app)
    run = module_app.run("up", "--yes", code=1)
    said.append(run)
    assert "no value is set for: token" in run.err
    command = next(line for line in run.err.splitlines() if "portable secret set" in line)
    words = shlex.split(command[command.index("portable secret set") :])[1:]
    assert module_app.cluster.kube.list("apps/v1", "Deployment", module_app.namespace) == []
    assert keys(module_app) == {"token": {"value": False}}
    said.append(module_app.portable(*words, "--file", module_app.file, stdin=f"{FIRST}\n"))
    assert keys(module_app) == {"token": {"value": True}}


def keys(under: AppUnderTest) -> dict[str, dict[str, bool]]:
    listed = under.run("secret list", "--output", "json").json()["secrets"]
    return {secret["name"]: secret["keys"] for secret in listed}


def test_then_up_goes_on_and_the_value_arrives(module_app: AppUnderTest, said: list[Run]) -> None:
    said.append(module_app.run("up", "--yes", "--verbose"))
    assert greeting(module_app) == FIRST
    assert module_app.up()["changed"] is False


def greeting(under: AppUnderTest) -> str:
    """What the pod that reads the secret answers with: "GREETING from POD, version 1.0"."""
    url = under.run("outputs", "--output", "json").json()["workloads.reads.routes.main.url"]
    return fetch(url).body.decode().partition(" from ")[0]


def test_a_changed_value_rolls_exactly_what_uses_it(module_app: AppUnderTest, said: list[Run]) -> None:
    before = module_app.pod_uids()
    said.append(module_app.run("secret set", "token", stdin=SECOND))
    assert module_app.pod_uids() == before, "nothing rolls until the next up"
    said.append(module_app.run("up", "--yes", "--output", "json"))
    after = module_app.pod_uids()
    assert {name for name in before if after[name] != before[name]} == {"reads", "composes", "mounts"}
    assert greeting(module_app) == SECOND


def test_up_sets_a_secret_from_a_file_and_shows_it_to_no_other_process(
    module_app: AppUnderTest, said: list[Run], tmp_path: Path
) -> None:
    file = tmp_path / "token"
    file.write_bytes(THIRD.encode())
    with leaks.watching_processes([THIRD, SECOND]) as seen:
        said.append(module_app.run("up", "--yes", "--output", "json", "--secret", f"token={file}"))
        said.append(module_app.run("secret set", "token", stdin=THIRD))
    assert seen() == []
    assert greeting(module_app) == THIRD


def test_the_values_are_in_no_state_log_output_or_other_object(module_app: AppUnderTest, said: list[Run]) -> None:
    said += [module_app.run(command) for command in ("plan", "render", "status", "secret list", "outputs")]
    said += [module_app.run("logs", name) for name in ("reads", "composes", "mounts")]
    values = (FIRST, SECOND, THIRD)
    printed = "\n".join(run.out + run.err for run in said).encode()
    assert len(printed) > 1000
    assert not [form for value in values for form in leaks.forms(value) if form in printed]
    state = Path(module_app.portable.env["PORTABLE_STATE"])
    assert leaks.in_files(["Deployment/composes"], [state]), "the search finds what is there"
    assert leaks.in_files(values, [state, leaks.log_folder(), module_app.file.parent]) == []
    assert leaks.in_cluster(values, module_app.cluster.kube, module_app.namespace) == []


def test_the_digest_that_rolls_pods_is_no_plain_hash(module_app: AppUnderTest) -> None:
    """Whoever may read pods must not be able to test guesses of a short secret."""
    annotations = module_app.get("apps/v1", "Deployment", "reads")["spec"]["template"]["metadata"]["annotations"]
    digest = annotations["secret.portable.dev/token"]
    assert not hashlib.sha256(THIRD.encode()).hexdigest().startswith(digest[:16])
