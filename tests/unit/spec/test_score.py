"""Score files: accepted unedited, or as the body of a workload."""

from __future__ import annotations

from pathlib import Path

import pytest

from portable.errors import Problem, SpecError
from portable.spec import load_app
from portable.spec.model import Config, Database, Route, Secret, Volume
from tests.unit.spec.specs import HEAD

pytestmark = pytest.mark.unit

SCORE = """\
apiVersion: score.dev/v1b1
metadata:
  name: my-app
  team: shop
service:
  ports:
    web: {port: 80, targetPort: 8080}
containers:
  main:
    image: ghcr.io/acme/app:1.0
    variables:
      TEAM: ${metadata.team}
      DB: ${resources.db.host}/${resources.db.database}
      KEY: ${resources.env.API_KEY}
      HOST: ${resources.dns.host}
    files:
      /etc/x: {content: "I am ${metadata.name}"}
    volumes:
      /data: {source: "${resources.data}"}
    resources: {limits: {memory: 128K, cpu: ".5"}}
    livenessProbe:
      httpGet: {port: 8080, path: /livez}
      exec: {command: [/bin/true]}
  init:
    image: ghcr.io/acme/app:1.0
    before: {main: {ready: complete}}
resources:
  db: {type: postgres}
  env: {type: environment}
  data: {type: volume, params: {size: 3Gi}}
  dns: {type: dns}
  route: {type: route, params: {host: "${resources.dns.host}", path: /a, port: 80}}
"""


def _write(folder: Path, **files: str) -> Path:
    for name, text in files.items():
        (folder / f"{name}.yaml").write_text(text)
    return folder / f"{next(iter(files))}.yaml"


def _errors(folder: Path, **files: str) -> tuple[Problem, ...]:
    with pytest.raises(SpecError) as caught:
        load_app(_write(folder, **files))
    return caught.value.problems


def test_a_plain_score_file(tmp_path: Path) -> None:
    loaded = load_app(_write(tmp_path, score=SCORE))
    workload = loaded.app.workloads["my-app"]
    main = workload.containers["main"]
    assert (loaded.app.name, workload.kind) == ("my-app", "stateful")
    assert main.variables["TEAM"] == "shop"
    assert main.files["/etc/x"].content == "I am my-app"
    assert main.volumes["/data"].source == "data"
    assert main.resources.limits == {"memory": "128k", "cpu": "0.5"}
    assert main.liveness is not None
    assert (main.liveness.exec, main.liveness.http) == (("/bin/true",), None)
    assert workload.containers["init"].before == {"main": "complete"}
    assert workload.routes == {"route": Route("route", "my-app.localhost", "/a", 80)}
    assert loaded.app.resources == {
        "db": Database("db", "postgres"),
        "env": Secret("env", ("API_KEY",)),
        "data": Volume("data", "3Gi"),
        "dns": Config("dns", {"host": "my-app.localhost"}),
    }
    assert loaded.warnings == ()


def test_a_host_that_a_route_takes_is_used_and_one_that_nobody_takes_is_not(tmp_path: Path) -> None:
    text = SCORE.replace("      HOST: ${resources.dns.host}\n", "")
    assert text != SCORE
    assert load_app(_write(tmp_path, score=text)).warnings == ()
    wrapped = HEAD + "workloads: {api: {score: ./score.yaml}}\n"
    assert load_app(_write(tmp_path, portable=wrapped, score=text)).warnings == ()
    lonely = text.replace('host: "${resources.dns.host}"', "host: my.example.com")
    (warning,) = load_app(_write(tmp_path, score=lonely)).warnings
    assert warning.message == 'nothing uses "dns"'


def test_the_older_list_forms(tmp_path: Path) -> None:
    text = SCORE.replace('      /etc/x: {content: "I am', '      - {target: /etc/x, content: "I am').replace(
        '      /data: {source: "${resources.data}"}', "      - source: ${resources.data}\n        target: /data"
    )
    assert "- source" in text
    main = load_app(_write(tmp_path, score=text)).app.workloads["my-app"].containers["main"]
    assert (main.files["/etc/x"].content, main.volumes["/data"].source) == ("I am my-app", "data")


def test_what_has_no_effect_is_said(tmp_path: Path) -> None:
    text = SCORE.replace("{type: postgres}", "{type: postgres, class: big, params: {color: red}}")
    text = text.replace("  team: shop", "  team: shop\n  annotations: {k8s.score.dev/kind: StatefulSet}")
    text = text.replace("{size: 3Gi}", "{}")
    warnings = [warning.message for warning in load_app(_write(tmp_path, score=text)).warnings]
    assert "k8s.score.dev/kind has no effect here" in warnings
    assert 'the class "big" has no effect here' in warnings
    assert 'the parameter "color" has no effect here' in warnings
    assert 'the volume "data" gets 1Gi: the file names no size' in warnings


@pytest.mark.parametrize(
    ("old", "new", "place", "message"),
    [
        ("{type: environment}", "{type: enviroment}", "29:9", 'resources of type "enviroment" are not known here'),
        ("image: ghcr", "imag: ghcr", "10:5", 'unknown key "imag"'),
        ("name: my-app", "name: My-App", "3:9", '"My-App" is not a valid value'),
        ('host: "${resources.dns.host}", ', "", "32:3", 'the route "route" has no "host"'),
        ("image: ghcr.io/acme/app:1.0\n    variables", "image: .\n    variables", "10:12", '"." is not an image'),
        ("${resources.db.host}", "${resources.bd.host}", "13:11", 'there is no resource called "bd"'),
    ],
)
def test_faults_have_their_place_in_the_score_file(
    tmp_path: Path, old: str, new: str, place: str, message: str
) -> None:
    assert old in SCORE
    found = [problem for problem in _errors(tmp_path, score=SCORE.replace(old, new, 1)) if message in problem.message]
    assert [f"{problem.line}:{problem.column}" for problem in found] == [place]
    assert not found[0].path.startswith("workloads.")


@pytest.mark.parametrize(
    ("old", "new"), [("ghcr.io/acme/app:1.0", "."), ("image: ghcr", "build: .\n    image: ghcr")], ids=["dot", "key"]
)
def test_a_build_leads_to_a_spec_beside_the_file(tmp_path: Path, old: str, new: str) -> None:
    (fault,) = _errors(tmp_path, score=SCORE.replace(old, new, 1))
    assert "score: FILE, containers: {CONTAINER: {build: .}}" in fault.hint


APP = (
    HEAD
    + """\
workloads:
  api:
    score: ./score.yaml
    kind: service
    containers: {main: {variables: {EXTRA: a, KEY: null}}}
resources: {data: {type: volume, size: 5Gi, access: shared}}
environments: {prod: {workloads: {api: {containers: {main: {image: "x:2", variables: {EXTRA: b}}}}}}}
"""
)


def test_a_wrapped_score_file_is_overlaid(tmp_path: Path) -> None:
    path = _write(tmp_path, portable=APP, score=SCORE)
    app = load_app(path, environment="prod").app
    main = app.workloads["api"].containers["main"]
    assert (main.image, main.variables["EXTRA"], main.variables["TEAM"]) == ("x:2", "b", "shop")
    assert "KEY" not in main.variables
    assert main.files["/etc/x"].content == "I am my-app"
    assert app.resources["data"] == Volume("data", "5Gi", "shared")
    assert app.workloads["api"].routes["route"].host == "api.localhost"
    assert app.positions[
        "workloads.api.containers.main.args" if main.args else "workloads.api.containers.init"
    ].file.endswith("score.yaml")


def test_the_metadata_of_a_wrapped_file_counts_for_the_digest(tmp_path: Path) -> None:
    first = load_app(_write(tmp_path, portable=APP, score=SCORE)).digest
    assert load_app(_write(tmp_path, portable=APP, score=SCORE.replace("team: shop", "team: x"))).digest != first


def test_faults_of_a_wrapped_file(tmp_path: Path) -> None:
    found = _errors(tmp_path, portable=APP, score=SCORE.replace("image: ghcr", "imag: ghcr", 1))
    assert {Path(problem.file).name for problem in found} == {"score.yaml"}
    assert {problem.message for problem in found} == {'unknown key "imag"', '"image" is missing in main'}


@pytest.mark.parametrize(
    ("reference", "message"),
    [
        ("./none.yaml", 'there is no file "./none.yaml"'),
        ("../score.yaml", "outside"),
        ("portable.yaml", "not a Score file"),
    ],
)
def test_a_reference_that_leads_nowhere(tmp_path: Path, reference: str, message: str) -> None:
    (found,) = _errors(tmp_path, portable=APP.replace("./score.yaml", reference))
    assert message in found.message
    assert (found.line, Path(found.file).name) == (6, "portable.yaml")


def test_two_files_with_a_resource_of_the_same_name(tmp_path: Path) -> None:
    app = HEAD + "workloads:\n  a: {score: one.yaml}\n  b: {score: two.yaml}\n"
    score = "apiVersion: score.dev/v1b1\nmetadata: {name: xx}\ncontainers: {main: {image: 'a:1', variables: {H: '${resources.db.host}'}}}\n"
    apart, shared = "resources: {db: {type: redis}}\n", "resources: {db: {type: redis, id: one}}\n"
    (found,) = _errors(tmp_path, portable=app, one=score + apart, two=score + apart)
    assert '"db" is a resource of another Score file, too' in found.message
    loaded = load_app(_write(tmp_path, portable=app, one=score + shared, two=score + shared))
    assert loaded.app.resources == {"db": Database("db", "redis")}


def test_an_environment_cannot_bring_a_score_file(tmp_path: Path) -> None:
    text = (
        HEAD
        + "workloads: {a: {containers: {m: {image: 'a:1'}}}}\nenvironments: {x: {workloads: {a: {score: b.yaml}}}}\n"
    )
    path = _write(tmp_path, portable=text)
    with pytest.raises(SpecError) as caught:
        load_app(path, environment="x")
    assert caught.value.problems[0].message == "an environment cannot bring a Score file"
