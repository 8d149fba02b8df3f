"""The database images that are built where no registry answers: run in Docker as the cluster runs them."""

from __future__ import annotations

import secrets
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from portable.errors import ProviderError
from portable_kind import docker
from portable_kind.database_images import POSTGRES, REDIS

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]

PGDATA = "/var/lib/postgresql/data/pgdata"


@pytest.fixture
def name() -> Iterator[str]:
    """A name for a container and its volume, both gone afterwards."""
    chosen = f"portable-test-{secrets.token_hex(4)}"
    yield chosen
    docker.run("rm", "--force", "--volumes", chosen)
    docker.run("volume", "rm", "--force", chosen)


def start_postgres(name: str, *options: str, mount: str = "/var/lib/postgresql/data") -> None:
    """As in a pod: no root, nothing writable but the volume, the socket's folder and /tmp."""
    writable = ("--tmpfs=/tmp", "--tmpfs=/run/postgresql:uid=999", f"--volume={name}:{mount}")
    docker.run(
        "run", "--detach", f"--name={name}", "--read-only", "--cap-drop=ALL", *writable, *options, POSTGRES.reference
    )


def query(name: str, sql: str, *, user: str, database: str, password: str) -> str:
    command = ("psql", "--host=127.0.0.1", f"--username={user}", f"--dbname={database}", "-At", f"--command={sql}")
    return docker.run("exec", "--env", f"PGPASSWORD={password}", name, *command).strip()


def eventually(ask: Callable[[], str], seconds: float = 120) -> str:
    deadline = time.monotonic() + seconds
    while True:
        try:
            return ask()
        except ProviderError as error:
            if time.monotonic() > deadline:
                pytest.fail(f"{error.message}: {error.detail}")
            time.sleep(0.3)


def test_the_official_images_variables_make_the_database(name: str) -> None:
    start_postgres(
        name,
        f"--env=PGDATA={PGDATA}",
        "--env=POSTGRES_USER=app",
        "--env=POSTGRES_PASSWORD=pass word",
        "--env=POSTGRES_DB=sh-op",
    )
    ask = "select current_user || ' ' || current_database() || ' ' || pg_encoding_to_char(encoding) from pg_database limit 1"
    assert eventually(lambda: query(name, ask, user="app", database="sh-op", password="pass word")) == "app sh-op UTF8"
    with pytest.raises(ProviderError) as caught:
        query(name, "select 1", user="app", database="sh-op", password="wrong")
    assert "password authentication failed" in caught.value.detail


def test_postgres_is_process_1_and_the_password_is_in_no_environment(name: str) -> None:
    start_postgres(name, f"--env=PGDATA={PGDATA}", "--env=POSTGRES_PASSWORD=hidden")
    eventually(lambda: query(name, "select 1", user="postgres", database="postgres", password="hidden"))
    assert docker.run("exec", name, "cat", "/proc/1/comm").strip() == "postgres"
    assert "hidden" not in docker.run("exec", name, "cat", "/proc/1/environ")
    assert docker.run("exec", name, "id", "-u").strip() == "999"
    began = time.monotonic()
    docker.run("stop", "--time=60", name, timeout=90)
    assert time.monotonic() - began < 45, "it waits for nobody: the stop signal is SIGINT"


def test_a_password_from_a_file_and_a_data_folder_that_is_the_mount(name: str, tmp_path: Path) -> None:
    file = tmp_path / "password"
    file.write_text("from-a-file")
    file.chmod(0o644)
    tmp_path.chmod(0o755)
    start_postgres(name, f"--volume={file}:/secret/password:ro", "--env=POSTGRES_PASSWORD_FILE=/secret/password")
    assert (
        eventually(lambda: query(name, "select 1", user="postgres", database="postgres", password="from-a-file")) == "1"
    )


def test_no_password_is_refused_in_words(name: str) -> None:
    start_postgres(name)
    assert docker.run("wait", name).strip() == "1"
    logs = subprocess.run([docker.client(), "logs", name], capture_output=True, text=True, check=True).stderr
    assert "POSTGRES_PASSWORD" in logs


def test_a_first_start_that_is_killed_is_done_again(name: str) -> None:
    variables = (f"--env=PGDATA={PGDATA}", "--env=POSTGRES_PASSWORD=x")
    start_postgres(name, *variables)
    eventually(lambda: docker.run("exec", name, "test", "-d", f"{PGDATA}.new/base"), seconds=60)
    docker.run("kill", name)
    docker.run("start", name)
    assert eventually(lambda: query(name, "select 1", user="postgres", database="postgres", password="x")) == "1"


def test_data_outlives_the_container(name: str) -> None:
    variables = (f"--env=PGDATA={PGDATA}", "--env=POSTGRES_PASSWORD=x")
    start_postgres(name, *variables)
    eventually(
        lambda: query(name, "create table t as select 42 as n", user="postgres", database="postgres", password="x")
    )
    docker.run("kill", name)
    docker.run("rm", name)
    start_postgres(name, *variables)
    assert (
        eventually(lambda: query(name, "select n from t", user="postgres", database="postgres", password="x")) == "42"
    )


def test_redis_takes_options_and_keeps_its_data(name: str) -> None:
    def start(*arguments: str) -> None:
        options = ("--read-only", "--cap-drop=ALL", f"--volume={name}:/data")
        docker.run("run", "--detach", f"--name={name}", *options, REDIS.reference, *arguments)

    start("--appendonly", "yes")
    assert eventually(lambda: docker.run("exec", name, "redis-cli", "set", "word", "kept")).strip() == "OK"
    assert docker.run("exec", name, "cat", "/proc/1/comm").strip() == "redis-server"
    docker.run("stop", name)
    docker.run("rm", name)
    start("redis-server", "--appendonly", "yes")
    assert eventually(lambda: docker.run("exec", name, "redis-cli", "get", "word")).strip() == "kept"


def test_redis_asks_for_the_password_of_its_configuration(name: str, tmp_path: Path) -> None:
    configuration = tmp_path / "redis.conf"
    configuration.write_text("requirepass let-me-in\n")
    configuration.chmod(0o644)
    tmp_path.chmod(0o755)
    mount = f"--volume={configuration}:/etc/redis/redis.conf:ro"
    docker.run("run", "--detach", f"--name={name}", mount, REDIS.reference, "redis-server", "/etc/redis/redis.conf")
    assert "NOAUTH" in eventually(lambda: docker.run("exec", name, "redis-cli", "ping"))
    asked = docker.run("exec", "--env=REDISCLI_AUTH=let-me-in", name, "redis-cli", "ping")
    assert asked.strip() == "PONG"
