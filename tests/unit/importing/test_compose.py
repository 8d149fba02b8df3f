"""A compose file becomes a valid spec; what a spec cannot say is listed with its place, and values of secrets nowhere."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from portable.errors import SpecError, UsageError
from portable.importing.compose import from_compose
from portable.importing.compose_running import quantity, seconds
from portable.importing.dotenv import parse
from portable.importing.interpolation import expand
from portable.importing.write import Imported, check, imported

pytestmark = pytest.mark.unit

# In the manner of well-known compose files: short and long syntax side by side.
STACK = """\
name: My_Stack
x-common: &common
  restart: unless-stopped
  environment: &env {LOG_LEVEL: "${LEVEL:-info}", SHARED_TOKEN: "${TOKEN}"}
services:
  api:
    <<: *common
    build: {context: api, target: run, args: [VERSION=3]}
    env_file: [api.env, {path: none.env, required: false}]
    environment:
      <<: *env
      DATABASE_URL: postgres://app:pa$$w0rd@db:5432/app
      PRICE: 5$$
    depends_on:
      db: {condition: service_healthy}
      migrate: {condition: service_completed_successfully}
    ports: ["127.0.0.1:8000:8080", "9000-9001:9000-9001", {target: 53, published: 53, protocol: udp}]
    deploy: {replicas: 2, resources: {limits: {cpus: "0.50", memory: 512M}, reservations: {memory: 128m}}}
    healthcheck: {test: curl -f localhost:8080, interval: 1m30s, timeout: 500ms, retries: 3, start_period: 10s}
    configs: [{source: settings, target: /etc/settings.toml}]
    privileged: true
    logging: {driver: json-file}
  migrate:
    build: ./api
    command: migrate --to "last one"
    restart: "no"
    depends_on: [db]
  db:
    image: postgres:16
    user: "999:999"
    environment: [POSTGRES_USER=app, POSTGRES_PASSWORD=pa$$w0rd, POSTGRES_PASSWORD_FILE=/run/secrets/root]
    volumes: ["data:/var/lib/postgresql/data", "./init:/docker-entrypoint-initdb.d:ro", "/etc/localtime:/etc/localtime:ro"]
    secrets: [root]
    healthcheck: {test: [CMD, pg_isready]}
  cache: {image: "redis:7", command: [redis-server, --save, ""], volumes: [{type: tmpfs, target: /data}]}
  worker: {image: "worker:1", environment: {CACHE: "cache:6379"}, volumes: ["data:/in:ro"], profiles: [full]}
volumes: {data: {driver_opts: {type: nfs}}}
secrets: {root: {file: ./root.txt}}
configs: {settings: {content: "a = ${LEVEL}"}}
networks: {back: {}}
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for path, text in (
        ("compose.yaml", STACK), ("api.env", "# comment\nexport GREETING='hello # there'\nSTRIPE_API_KEY=sk_live_1\n"),
        (".env", "LEVEL=debug\nTOKEN=t0ken\n"), ("init/a.sql", "select 1;\n"), ("root.txt", "r00t"), ("api/Dockerfile", "FROM x\n"),
    ):  # fmt: skip
        (tmp_path / path).parent.mkdir(exist_ok=True)
        (tmp_path / path).write_text(text)
    return tmp_path


def read(folder: Path, **options: Any) -> tuple[Imported, dict[str, Any]]:
    result = imported(from_compose(folder / "compose.yaml", **options), "compose.yaml")
    check(result, folder / "portable.yaml")
    return result, yaml.safe_load(result.text)


def test_a_stack_keeps_its_meaning(folder: Path) -> None:
    _, spec = read(folder)
    assert spec["metadata"]["name"] == "my-stack"
    api = spec["workloads"]["api"]
    container = api["containers"]["api"]
    assert container["build"] == {"context": "./api", "target": "run", "args": {"VERSION": "3"}}
    variables = container["variables"]
    assert variables["LOG_LEVEL"] == "debug"
    assert variables["GREETING"] == "hello # there"
    assert variables["PRICE"] == "5$$"
    assert variables["DATABASE_URL"] == "postgres://app:${resources.postgres-password.value}@db:5432/app" or (
        variables["DATABASE_URL"].startswith("postgres://app:${resources.api-database-url-password.value}@db")
    )
    assert api["after"] == {"db": "ready", "migrate": "complete"}
    assert {each["port"] for each in api["service"]["ports"].values()} == {8080, 9000, 9001, 53}
    assert [route["port"] for route in api["routes"].values()] == [8080, 9000, 9001]
    assert container["resources"] == {"limits": {"cpu": "500m", "memory": "512Mi"}, "requests": {"memory": "128Mi"}}
    assert container["readinessProbe"] == {
        "exec": {"command": ["sh", "-c", "curl -f localhost:8080"]}, "periodSeconds": 90, "timeoutSeconds": 1, "failureThreshold": 3,
    }  # fmt: skip
    assert container["files"]["/etc/settings.toml"] == {"content": "a = debug"}
    assert api["scale"] == {"min": 2}
    assert spec["workloads"]["migrate"]["kind"] == "job"
    assert spec["workloads"]["migrate"]["containers"]["migrate"]["args"] == ["migrate", "--to", "last one"]
    db = spec["workloads"]["db"]
    assert db["kind"] == "stateful"
    assert db["security"]["user"] == 999
    assert db["containers"]["db"]["files"]["/docker-entrypoint-initdb.d/a.sql"]["source"] == "./init/a.sql"
    assert db["service"]["ports"] == {"postgres": {"port": 5432}}
    assert spec["workloads"]["cache"]["service"]["ports"] == {"redis": {"port": 6379}}
    assert "worker" not in spec["workloads"]


def test_one_password_is_one_secret_and_no_value_is_written(folder: Path) -> None:
    result, spec = read(folder)
    for value in ("pa$w0rd", "pa$$w0rd", "t0ken", "sk_live_1", "r00t"):
        assert value not in result.text + str(result.findings)
    url = spec["workloads"]["api"]["containers"]["api"]["variables"]["DATABASE_URL"]
    password = spec["workloads"]["db"]["containers"]["db"]["variables"]["POSTGRES_PASSWORD"]
    assert password in url
    assert spec["workloads"]["db"]["containers"]["db"]["variables"]["POSTGRES_PASSWORD_FILE"] == "/run/secrets/root"


def test_what_is_not_taken_over_is_listed_with_its_place(folder: Path) -> None:
    result, _ = read(folder)
    lines = STACK.splitlines()
    for words, on in (
        ("privileged is not taken over", "privileged: true"), ("logging is not taken over", "logging:"),
        ("/etc/localtime of the host", "/etc/localtime"), ("worker is not taken over: it is in the profile full", "worker:"),
        ("the port 53 of the host", "target: 53"), ("driver_opts is not taken over", "driver_opts"),
        ("there is no file none.env", "none.env"), ("networks is not taken over", "networks:"),
        ("the value of the secret root is not written", "root: {file"),
    ):  # fmt: skip
        problem = next(each for each in result.findings if words in each.message)
        assert on in lines[problem.line - 1], words
        assert f"# compose.yaml:{problem.line} {problem.message}" in result.text


def test_a_profile_brings_its_services_and_a_shared_volume_is_said(folder: Path) -> None:
    result, spec = read(folder, profiles=["full"])
    assert spec["workloads"]["worker"]["containers"]["worker"]["variables"] == {"CACHE": "cache:6379"}
    assert spec["resources"]["data"]["access"] == "shared"
    assert any("several services use the volume data" in each.message for each in result.findings)


def test_what_nothing_calls_is_said(folder: Path) -> None:
    result = imported(from_compose(folder / "compose.yaml"), "compose.yaml")
    said = [each.message for each in check(result, folder / "portable.yaml")]
    assert [each for each in said if "nothing in the spec calls cache" in each]
    assert not [each for each in said if "calls db" in each], "api's address names it"


def test_nothing_is_overwritten_and_nonsense_is_an_error(folder: Path) -> None:
    result, _ = read(folder)
    with pytest.raises(UsageError, match="exists already"):
        check(result, folder / "portable.yaml")
    (folder / "compose.yaml").write_text("services: [")
    with pytest.raises(SpecError):
        from_compose(folder / "compose.yaml")
    (folder / "compose.yaml").write_text("services: {}\nname: x\n")
    with pytest.raises(UsageError, match="nothing that portable could run"):
        read(folder)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("$A-${A}", "1-1"), ("${B:-x}", "x"), ("${EMPTY:-x}", "x"), ("${EMPTY-x}", ""), ("${A:+y}", "y"), ("${B:+y}", ""),
        ("${B:-${A}}", "1"), ("$$A", "$A"), ("${B}", ""), ("a$", "a$"), ("${B:?must}", ""),
    ],
)  # fmt: skip
def test_interpolation(text: str, value: str) -> None:
    assert expand(text, {"A": "1", "EMPTY": ""}, lambda _name: None) == value


def test_units() -> None:
    assert [quantity(text) for text in ("512m", "1gb", "1.5g", "300", "64KiB")] == [
        "512Mi",
        "1Gi",
        "1536Mi",
        "300",
        "64Ki",
    ]
    assert [seconds(text) for text in ("1m30s", "500ms", "2h", "10s", "x")] == [90, 0.5, 7200, 10, 0]
    assert parse('A=1 # one\n#B=2\nexport C="x # y"\nD\n') == {"A": "1", "C": "x # y"}
