"""What is wrong, and where, in the spec's words."""

from __future__ import annotations

import textwrap
from pathlib import Path

import pytest

from portable.errors import SpecError
from tests.unit.spec.specs import HEAD, load, problems, with_workload

pytestmark = pytest.mark.unit

MAIN = "containers: {main: {image: 'a:1'}}"

# id: (spec, place, message, what else is said)
SCHEMA = {
    "unknown key": (
        with_workload("containers: {main: {image: 'a:1', imge: b}}"),
        "6:39",
        'unknown key "imge"',
        'did you mean "image"?',
    ),
    "another tool's word": (
        with_workload(f"{MAIN}\nreplicas: 3"),
        "7:5",
        'unknown key "replicas"',
        "`scale: {min: N}`",
    ),
    "extension key": (with_workload(MAIN, "x-foo: 1\n"), "7:1", 'unknown key "x-foo"', "extension keys are not read"),
    "build": (
        with_workload(f"{MAIN}\nbuild: ."),
        "7:5",
        'unknown key "build"',
        "`build` stands in a container",
    ),
    "missing key": (with_workload("containers:\n  main: {}"), "7:7", '"image" is missing in main', "image: ghcr.io"),
    "empty value": (with_workload("containers:"), "6:16", "containers has no value", "a map"),
    "not a map": (with_workload("containers: [a]"), "6:5", "containers must be a map, not a list", "keyed by name"),
    "number for text": (
        with_workload("containers: {main: {image: 'a:1', variables: {V: 1.10}}}"),
        "6:54",
        "V must be text, not 1.1",
        'put it in quotes: "1.10"',
    ),
    "octal mode": (
        with_workload("containers: {main: {image: 'a:1', files: {/a: {content: b, mode: 0600}}}}"),
        "6:70",
        "mode must be text, not 600",
        'put it in quotes: "0600"',
    ),
    "version as number": (
        HEAD + "workloads: {}\ncluster: {version: 1.30}",
        "5:20",
        "version must be text, not 1.3",
        '"1.30"',
    ),
    "text for number": (
        with_workload(f"{MAIN}\nscale: {{min: '2'}}"),
        "7:18",
        'min must be a whole number, not "2"',
        "quotes: 2",
    ),
    "enum": (with_workload(f"{MAIN}\nkind: servce"), "7:11", 'kind cannot be "servce"', 'did you mean "service"?'),
    "resource type": (
        with_workload(MAIN, "resources: {db: {type: postgress}}\n"),
        "7:24",
        'type cannot be "postgress"',
        'did you mean "postgres"?',
    ),
    "key of another type": (
        with_workload(MAIN, "resources: {db: {type: redis, keys: [a]}}\n"),
        "7:31",
        'unknown key "keys"',
        "type, version, size",
    ),
    "name": (HEAD + "workloads: {Web: {}}", "4:13", '"Web" is not a valid name', "lower-case letters"),
    "long name": (
        HEAD + f"workloads: {{{'a' * 64}: {{}}}}",
        "4:13",
        "too long: 64 characters",
        "63 characters at most",
    ),
    "scale to zero": (
        with_workload(f"{MAIN}\nscale: {{min: 0}}"),
        "7:18",
        "min is too small: 0",
        "no event-driven scaler is part of portable",
    ),
    "duration": (with_workload(f"{MAIN}\nrollout: {{timeout: 10 min}}"), "7:24", '"10 min" is not a valid', "10m"),
    "duration number": (
        with_workload(f"{MAIN}\nrollout: {{timeout: 10}}"),
        "7:24",
        "timeout must be text, not 10",
        "90s",
    ),
    "quantity": (
        with_workload("containers: {main: {image: 'a:1', resources: {limits: {memory: 1 GB}}}}"),
        "6:68",
        '"1 GB" is not a valid memory',
        "256Mi",
    ),
    "host": (
        with_workload(f"{MAIN}\nroutes: {{a: {{host: 'https://x.y'}}}}"),
        "7:24",
        "not a valid host",
        "without scheme",
    ),
    "empty list": (
        with_workload(MAIN, "resources: {a: {type: secret, keys: []}}"),
        "7:31",
        "keys must not be empty",
        "",
    ),
    "not a spec": ("- a\n- b\n", "1:1", "the spec must be a map, not a list", ""),
    "a manifest": (
        "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: a}\n",
        "1:1",
        "this is a Kubernetes manifest and no spec",
        "`portable import manifests ",
    ),
    "manifests": (
        "apiVersion: v1\nkind: Service\nmetadata: {name: a}\n---\napiVersion: apps/v1\n",
        "4:1",
        "a second document begins here",
        "`portable import manifests ",
    ),
    "a compose file": (
        "services: {web: {image: 'a:1'}}\n",
        "1:1",
        "this is a compose file and no spec",
        "`portable import compose ",
    ),
    "a version of something else": (
        "apiVersion: v1\nkind: App\nmetadata: {name: a}\nworkloads: {}\n",
        "1:13",
        'apiVersion cannot be "v1"',
        "portable/v1",
    ),
    "ports of a container": (
        with_workload("containers: {main: {image: 'a:1', ports: [80]}}"),
        "6:39",
        'unknown key "ports"',
        "ports are the workload's",
    ),
    "a number for a map of one key": (
        with_workload(f"{MAIN}\nservice: {{ports: {{http: 80}}}}"),
        "7:29",
        "http must be a map, not 80",
        "write it out: {port: 80}",
    ),
    "in an overlay that is not chosen": (
        with_workload(MAIN, "environments: {prod: {workloads: {web: {scale: {mn: 3}}}}}\n"),
        "7:49",
        'unknown key "mn"',
        'did you mean "min"?',
    ),
}

PLACEHOLDER = "containers: {main: {image: 'a:1', variables: {V: '%s'}}}"
DB = "resources: {db: {type: postgres}, disk: {type: volume, size: 1Gi}, key: {type: secret}}\n"
PORTS = "service: {ports: {http: {port: 80}, stats: {port: 81, protocol: UDP}}}"

MEANING = {
    "no such resource": (
        with_workload(PLACEHOLDER % "${resources.dbb.host}", DB),
        "6:54",
        'called "dbb"',
        'did you mean "db"?',
    ),
    "no such output": (
        with_workload(PLACEHOLDER % "${resources.db.hots}", DB),
        "6:54",
        'has no output "hots"',
        '"host"?',
    ),
    "no output": (with_workload(PLACEHOLDER % "${resources.db}", DB), "6:54", "not one of its outputs", "host, port"),
    "volume's output": (with_workload(PLACEHOLDER % "${resources.disk.x}", DB), "6:54", "has no outputs", "`volumes`"),
    "unknown root": (with_workload(PLACEHOLDER % "${HOME}"), "6:54", "${HOME} is not a placeholder", "write $${HOME}"),
    "no such workload": (
        with_workload(PLACEHOLDER % "${workloads.api.host}"),
        "6:54",
        'no workload called "api"',
        "web",
    ),
    "unreachable workload": (with_workload(PLACEHOLDER % "${workloads.web.host}"), "6:54", "has no ports", ""),
    "no such metadata": (with_workload(PLACEHOLDER % "${metadata.nme}"), "6:54", "no text at ${metadata.nme}", ""),
    "secret in a file": (
        with_workload("containers: {main: {image: 'a:1', files: {/a: {content: 'x ${resources.key.value}'}}}}", DB),
        "6:61",
        'the secret "key" cannot be put into a file',
        "mount it: volumes:",
    ),
    "no such mount": (
        with_workload("containers: {main: {image: 'a:1', volumes: {/a: {source: dsk}}}}", DB),
        "6:62",
        'no resource called "dsk"',
        'did you mean "disk"?',
    ),
    "mounted database": (
        with_workload("containers: {main: {image: 'a:1', volumes: {/a: {source: db}}}}", DB),
        "6:62",
        '"db" cannot be mounted',
        "",
    ),
    "file and mount": (
        with_workload(
            "containers: {main: {image: 'a:1', files: {/a: {content: b}}, volumes: {/a: {source: disk}}}}", DB
        ),
        "6:47",
        "a volume is mounted at /a, too",
        "",
    ),
    "route's port": (
        with_workload(f"{MAIN}\n{PORTS}\nroutes: {{a: {{host: x.y, port: htp}}}}"),
        "8:35",
        'no port called "htp"',
        'did you mean "http"?',
    ),
    "route without port": (
        with_workload(f"{MAIN}\n{PORTS}\nroutes: {{a: {{host: x.y}}}}"),
        "8:14",
        "web has 2 ports",
        "http",
    ),
    "route to UDP": (
        with_workload(f"{MAIN}\n{PORTS}\nroutes: {{a: {{host: x.y, port: 81}}}}"),
        "8:35",
        'the port "stats" is UDP',
        "",
    ),
    "same route": (
        with_workload(f"{MAIN}\n{PORTS}\nroutes: {{a: {{host: x.y, port: 80}}, b: {{host: x.y, path: /, port: 80}}}}"),
        "8:50",
        'x.y/ is already the route "a" of web',
        "",
    ),
    "tls name": (
        with_workload(f"{MAIN}\n{PORTS}\nroutes: {{a: {{host: x.y, port: 80, tls: atuo}}}}"),
        "8:44",
        'no resource called "atuo"',
        'did you mean "auto"?',
    ),
    "tls keys": (
        with_workload(f"{MAIN}\n{PORTS}\nroutes: {{a: {{host: x.y, port: 80, tls: key}}}}", DB),
        "8:44",
        '"key" lacks the keys of a certificate',
        "tls.crt",
    ),
    "probe's port": (
        with_workload("containers: {main: {image: 'a:1', livenessProbe: {tcpSocket: {port: http}}}}"),
        "6:73",
        'no port called "http"',
        "service.ports",
    ),
    "probe without question": (
        with_workload("containers: {main: {image: 'a:1', livenessProbe: {periodSeconds: 1}}}"),
        "6:39",
        "livenessProbe asks nothing",
        "exactly one of",
    ),
    "liveness successes": (
        with_workload("containers: {main: {image: 'a:1', livenessProbe: {tcpSocket: {port: 1}, successThreshold: 2}}}"),
        "6:95",
        "can only be 1",
        "",
    ),
    "before cycle": (
        with_workload(
            "containers: {a: {image: 'a:1', before: {b: {ready: started}}}, b: {image: 'a:1', before: {a: {ready: started}}}}"
        ),
        "6:45",
        "containers wait for each other: a before b before a",
        "",
    ),
    "before itself": (
        with_workload("containers: {a: {image: 'a:1', before: {a: {ready: started}}}}"),
        "6:45",
        "containers wait for each other: a before a",
        "",
    ),
    "before nothing": (
        with_workload("containers: {a: {image: 'a:1', before: {mian: {ready: started}}}, main: {image: 'a:1'}}"),
        "6:45",
        'no container called "mian"',
        'did you mean "main"?',
    ),
    "healthy without probe": (
        with_workload("containers: {a: {image: 'a:1', before: {b: {ready: healthy}}}, b: {image: 'a:1'}}"),
        "6:56",
        "nothing says when a is healthy",
        "readinessProbe",
    ),
    "after cycle": (
        with_workload(
            f"{MAIN}\nafter: {{api: ready}}", "  api: {containers: {main: {image: 'a:1'}}, after: {web: ready}}\n"
        ),
        "7:13",
        "workloads wait for each other: web after api after web",
        "",
    ),
    "after nothing": (
        with_workload(f"{MAIN}\nafter: {{db: ready}}", DB),
        "7:13",
        'no workload called "db"',
        "always come first",
    ),
    "after a service": (
        with_workload(f"{MAIN}\nafter: {{api: complete}}", "  api: {containers: {main: {image: 'a:1'}}}\n"),
        "7:18",
        "api is a worker, which is never complete",
        "ready",
    ),
    "after a cron": (
        with_workload(
            f"{MAIN}\nafter: {{c: ready}}", "  c: {containers: {main: {image: 'a:1'}}, schedule: '@daily'}\n"
        ),
        "7:13",
        "nothing can wait for it",
        "",
    ),
    "min over max": (
        with_workload(f"{MAIN}\nscale: {{min: 5, max: 2, cpu: 70}}"),
        "7:18",
        "min is 5, more than max",
        "",
    ),
    "nodes min over max": (
        with_workload(MAIN, "cluster: {nodes: {min: 3, max: 2}}"),
        "7:24",
        "min is 3, more than max",
        "",
    ),
    "scaling without max": (with_workload(f"{MAIN}\nscale: {{cpu: 70}}"), "7:5", "needs a max", ""),
    "max without target": (
        with_workload(f"{MAIN}\nscale: {{max: 3}}"),
        "7:18",
        "nothing that the number of copies",
        "cpu: 70",
    ),
    "cron without schedule": (
        with_workload(f"{MAIN}\nkind: cron"),
        "7:11",
        "a cron workload needs a schedule",
        "@daily",
    ),
    "cron syntax": (
        with_workload(f"{MAIN}\nschedule: '61 * * * *'"),
        "7:15",
        'the minute field: "61" is outside 0-59',
        "",
    ),
    "service with schedule": (
        with_workload(f"{MAIN}\nkind: job\nschedule: '@daily'"),
        "8:5",
        "a job has no schedule",
        "",
    ),
    "job with scale": (with_workload(f"{MAIN}\nkind: job\nscale: {{min: 2}}"), "8:5", "a job has no scale", ""),
    "job with routes": (
        with_workload(f"{MAIN}\nkind: job\n{PORTS}\nroutes: {{a: {{host: x.y, port: 80}}}}"),
        "9:5",
        "a job has no routes",
        "",
    ),
    "service without ports": (with_workload(f"{MAIN}\nkind: service"), "7:5", "a service needs ports", "service:"),
    "worker with ports": (
        with_workload(f"{MAIN}\nkind: worker\n{PORTS}"),
        "8:5",
        "a worker has no service",
        "kind: service",
    ),
    "no containers": (HEAD + "workloads: {web: {}}", "4:13", "web has no containers", ""),
    "image": (with_workload("containers: {main: {image: 'http://a/b'}}"), "6:32", "it begins with a scheme", ""),
    "upper-case image": (with_workload("containers: {main: {image: 'ghcr.io/A/b:1'}}"), "6:32", "in lower case", ""),
    "request over limit": (
        with_workload("containers: {main: {image: 'a:1', resources: {requests: {cpu: 2}, limits: {cpu: 500m}}}}"),
        "6:67",
        "the request for cpu, 2, is more than its limit, 500m",
        "",
    ),
    "variable name": (
        with_workload("containers: {main: {image: 'a:1', variables: {1A: x}}}"),
        "6:51",
        '"1A" is not a name for a variable',
        "",
    ),
    "same port": (
        with_workload(f"{MAIN}\nservice: {{ports: {{a: {{port: 80}}, b: {{port: 80}}}}}}"),
        "7:48",
        'the port 80 is already called "a"',
        "",
    ),
    "egress": (
        with_workload(f"{MAIN}\nsecurity: {{egress: [10.0.0.1/8]}}"),
        "7:25",
        "is no workload, database or network",
        "",
    ),
    "shared by two": (
        with_workload(
            "containers: {main: {image: 'a:1', volumes: {/a: {source: disk}}}}",
            "  api: {containers: {main: {image: 'a:1', volumes: {/a: {source: disk}}}}}\n" + DB,
        ),
        "8:35",
        "web and api mount this volume",
        "access: shared",
    ),
    "copies of one volume": (
        with_workload(
            f"containers: {{main: {{image: 'a:1', volumes: {{/a: {{source: disk}}}}}}}}\n{PORTS}\nkind: service\nscale: {{min: 2}}",
            DB,
        ),
        "9:5",
        "2 copies of a service cannot share the volume",
        "kind: stateful",
    ),
    "same name": (with_workload(MAIN, "resources: {web: {type: redis}}"), "7:13", "a workload is called", ""),
    "long stateful name": (
        HEAD + f"workloads: {{{'a' * 53}: {{kind: stateful, containers: {{main: {{image: 'a:1'}}}}}}}}",
        "4:13",
        "the name of a stateful may have 52 characters, this one has 53",
        "",
    ),
    "reserved namespace": (
        "apiVersion: portable/v1\nkind: App\nmetadata: {name: kube-system}\nworkloads: {a: {containers: {b: {image: 'a:1'}}}}",
        "3:18",
        "the namespace kube-system belongs to Kubernetes",
        "",
    ),
    "open placeholder": (
        with_workload("containers: {main: {image: 'a:1', variables: {A: 'x ${metadata.name} ${resources.db.host'}}}"),
        "6:54",
        "${resources.db.host is not closed",
        "$${resources.db.host",
    ),
    "open placeholder in a file": (
        with_workload("containers: {main: {image: 'a:1', files: {/a: {content: 'x ${workloads.web.host '}}}}"),
        "6:61",
        "${workloads.web.host is not closed",
        "a closing brace",
    ),
    "file twice": (
        with_workload("containers: {main: {image: 'a:1', files: {/a: {content: b, binaryContent: YQ==}}}}"),
        "6:47",
        "a file has content and binaryContent",
        "exactly one of",
    ),
    "base64": (
        with_workload("containers: {main: {image: 'a:1', files: {/a: {binaryContent: '*'}}}}"),
        "6:67",
        "binaryContent is not base64",
        "",
    ),
    "missing source": (
        with_workload("containers: {main: {image: 'a:1', files: {/a: {source: ./nope}}}}"),
        "6:60",
        'there is no file "./nope"',
        "",
    ),
    "source outside": (
        with_workload("containers: {main: {image: 'a:1', files: {/a: {source: ../../etc/passwd}}}}"),
        "6:60",
        "is outside the spec's folder",
        "",
    ),
    "absolute source": (
        with_workload("containers: {main: {image: 'a:1', files: {/a: {source: /etc/passwd}}}}"),
        "6:60",
        "source is an absolute path",
        "",
    ),
    "empty patch": (
        with_workload(MAIN, "patches: {p: {target: Deployment/web}}"),
        "7:11",
        "a patch that changes nothing",
        "",
    ),
    "json patch": (
        with_workload(MAIN, "patches: {p: {target: Deployment/web, json: [{op: add, path: /a}]}}"),
        "7:46",
        '"value" is missing for add',
        "",
    ),
}

WARNINGS = {
    "no tag": (
        with_workload("containers: {main: {image: nginx}}"),
        "6:32",
        "nginx may be another image tomorrow",
        "a tag",
    ),
    "latest": (with_workload("containers: {main: {image: 'a:latest'}}"), "6:32", "a:latest may be another image", ""),
    "unused": (with_workload(MAIN, "resources: {key: {type: secret}}"), "7:13", 'nothing uses "key"', ""),
    "placeholder in args": (
        with_workload("containers: {main: {image: 'a:1', args: ['${metadata.name}']}}"),
        "6:46",
        "${metadata.name} stays as it is",
        "$(VARIABLE)",
    ),
}


@pytest.mark.parametrize(
    ("spec", "place", "message", "more"), [*SCHEMA.values(), *MEANING.values()], ids=[*SCHEMA, *MEANING]
)
def test_error(tmp_path: Path, spec: str, place: str, message: str, more: str) -> None:
    with pytest.raises(SpecError) as caught:
        load(tmp_path, spec)
    _one_says(caught.value.problems, "error", place, message, more)


@pytest.mark.parametrize(("spec", "place", "message", "more"), WARNINGS.values(), ids=WARNINGS.keys())
def test_warning(tmp_path: Path, spec: str, place: str, message: str, more: str) -> None:
    _one_says(load(tmp_path, spec).warnings, "warning", place, message, more)


def _one_says(found: tuple, severity: str, place: str, message: str, more: str) -> None:
    matching = [problem for problem in found if message in problem.message and problem.severity == severity]
    assert len(matching) == 1, [f"{problem.line}:{problem.column} {problem.message}" for problem in found]
    problem = matching[0]
    assert f"{problem.line}:{problem.column}" == place
    assert more in f"{problem.expected} {problem.hint}"
    assert problem.source_line


def _as_compiler(found: tuple) -> str:
    lines = []
    for problem in found:
        lines.append(
            f"{Path(problem.file).name}:{problem.line}:{problem.column}: {problem.severity}: {problem.message}"
        )
        lines.append(f"  {problem.source_line}")
        lines.append("  " + " " * (problem.column - 1) + "^")
        lines += [f"  expected: {problem.expected}"] if problem.expected else []
        lines += [f"  hint: {problem.hint}"] if problem.hint else []
    return "\n".join(lines)


def test_all_problems_in_one_run_as_a_compiler_shows_them(tmp_path: Path) -> None:
    spec = with_workload(
        "kind: servce\ncontainers:\n  main: {imge: nginx}", "  api: {}\nresources:\n  db: {type: redis}\n"
    )
    assert _as_compiler(problems(tmp_path, spec)) == textwrap.dedent(
        """\
        portable.yaml:6:11: error: kind cannot be "servce"
              kind: servce
                    ^
          expected: one of service, worker, stateful, job, cron
          hint: did you mean "service"?
        portable.yaml:8:7: error: "image" is missing in main
                main: {imge: nginx}
                ^
          expected: image, such as `image: ghcr.io/acme/api:1.4.2`
        portable.yaml:8:14: error: unknown key "imge"
                main: {imge: nginx}
                       ^
          expected: image, build, command, args, variables, files, volumes, before, resources, livenessProbe, readinessProbe, startupProbe
          hint: did you mean "image"?
        portable.yaml:9:3: error: api has no containers
            api: {}
            ^
          expected: containers, or a score file"""
    )


def test_what_is_broken_is_not_reported_twice(tmp_path: Path) -> None:
    """A reference to something that exists but does not fit the schema is no dangling reference."""
    spec = with_workload(
        "containers: {main: {image: 'a:1', variables: {A: '${resources.db.host}', B: '${workloads.api.host}'}}}\nafter: {api: ready}",
        "  api: {kind: nope}\nresources: {db: {type: nope}}\n",
    )
    assert [problem.message for problem in problems(tmp_path, spec)] == [
        'kind cannot be "nope"',
        'type cannot be "nope"',
    ]


def test_problems_are_limited(tmp_path: Path) -> None:
    spec = with_workload("containers: {main: {image: 'a:1'}}\n" + "\n".join(f"key{n}: 1" for n in range(5000)))
    assert 100 <= len(problems(tmp_path, spec)) <= 201


def test_a_cycle_of_a_thousand_is_found_without_recursion(tmp_path: Path) -> None:
    lines = [
        f"  w{n}: {{containers: {{m: {{image: 'a:1'}}}}, after: {{w{(n + 1) % 1500}: ready}}}}" for n in range(1500)
    ]
    found = problems(tmp_path, HEAD + "workloads:\n" + "\n".join(lines) + "\n")
    assert [problem.message.startswith("workloads wait for each other: w0 after w1") for problem in found] == [True]


def test_files_that_no_configmap_can_hold(tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name).write_text("x" * 600_000)
    files = "{/a: {source: one}, /b: {source: two}}"
    spec = with_workload(f"containers: {{main: {{image: 'a:1', files: {files}}}}}")
    assert [problem.message for problem in problems(tmp_path, spec)] == [
        "the files of web have 1,200,000 bytes; Kubernetes takes 1,048,576"
    ]
    data = with_workload(MAIN, f"resources: {{big: {{type: config, data: {{a: {'x' * 1_100_000}}}}}}}\n")
    assert 'the data of "big" is larger than 1 MiB' in {problem.message for problem in problems(tmp_path, data)}


def test_no_escape_sequence_reaches_a_message(tmp_path: Path) -> None:
    spec = with_workload(MAIN, '"\\e[31mred\\n": 1\n')
    (problem,) = problems(tmp_path, spec)
    assert problem.message == 'unknown key "\\u001b[31mred\\n"'
    assert problem.path == "\ufffd[31mred\ufffd"


def test_an_unknown_amount_is_a_fault_like_any_other_unknown_key(tmp_path: Path) -> None:
    compute = "{main: {image: a:1, resources: {requests: {gpu: [1], cpu: 2}, limits: {disk: -1, cpu: 1}}}}"
    said = [problem.message for problem in problems(tmp_path, with_workload(f"containers: {compute}"))]
    assert sorted(said) == [
        "the request for cpu, 2, is more than its limit, 1",
        'unknown key "disk"',
        'unknown key "gpu"',
    ]


def test_thousands_of_dangling_names_end_soon(tmp_path: Path) -> None:
    """Each is compared with the names that exist; without a limit this takes hours."""
    container = "{m: {image: 'a:1', variables: {A: '${resources.r%sx.host}'}}}"
    workloads = "".join(f"  w{n}: {{containers: {container % n}}}\n" for n in range(3000))
    resources = "".join(f"  r{n}: {{type: redis}}\n" for n in range(3000))
    found = problems(tmp_path, f"{HEAD}workloads:\n{workloads}resources:\n{resources}")
    assert len(found) == 200
