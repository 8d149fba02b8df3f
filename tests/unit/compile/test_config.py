"""Variables and files: text stays what it is, secrets are only ever referred to."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portable.compile.config import literal
from portable.compile.objects import Objects
from portable.spec.model import Config, Container, Database, File, Mount, Port, Resource, Secret
from tests.unit.compile.apps import compiled, main_container, manifests, pod, workload

pytestmark = pytest.mark.unit
DB = Database("db", "postgres")


def kubernetes_expands(text: str, variables: dict[str, str]) -> str:
    """Kubernetes' rule for variables, commands and arguments (k8s.io/kubernetes/third_party/forked/golang/expansion)."""
    found, position = "", 0
    while position < len(text):
        if text[position] != "$" or position + 1 == len(text):
            found, position = found + text[position], position + 1
        elif text[position + 1] == "$":
            found, position = found + "$", position + 2
        elif text[position + 1] == "(" and (end := text.find(")", position)) >= 0:
            name = text[position + 2 : end]
            found, position = found + variables.get(name, f"$({name})"), end + 1
        else:
            found, position = found + text[position : position + 2], position + 2
    return found


@given(st.text(alphabet="$()ab ", max_size=12))
def test_kubernetes_gives_the_process_the_text_of_the_spec(text: str) -> None:
    assert kubernetes_expands(literal(text), {"a": "replaced", "b": "replaced", "": "replaced"}) == text


def variables(objects: Objects) -> list[dict[str, Any]]:
    return main_container(objects, "Deployment/web")["env"]


def with_variables(*resources: Resource, **texts: str) -> Objects:
    return compiled(workload(container=Container("web", "web:1", variables=texts)), resources=resources)


def test_a_secret_alone_is_a_reference() -> None:
    found = variables(with_variables(Secret("token"), TOKEN="${resources.token.value}"))
    assert found == [{"name": "TOKEN", "valueFrom": {"secretKeyRef": {"name": "token", "key": "value"}}}]


@given(st.text(alphabet="$()x", max_size=4), st.text(alphabet="$()x", min_size=1, max_size=4))
def test_a_secret_inside_a_text_is_composed_by_kubernetes(before: str, after: str) -> None:
    text = before.replace("$", "$$") + "${resources.db.password}" + after.replace("$", "$$")
    helper, composed = variables(with_variables(DB, URL=text))
    assert helper["valueFrom"] == {"secretKeyRef": {"name": "db", "key": "password"}}
    assert kubernetes_expands(composed["value"], {helper["name"]: "s3cret"}) == f"{before}s3cret{after}"


def test_helpers_stand_before_what_uses_them_and_the_rest_is_sorted() -> None:
    url = "${resources.cache.password}@${resources.db.password}"
    found = variables(with_variables(DB, Database("cache", "redis"), B=url, A="a"))
    assert [each["name"] for each in found] == ["PORTABLE_CACHE__PASSWORD", "PORTABLE_DB__PASSWORD", "A", "B"]


def test_what_is_no_secret_is_written_out() -> None:
    text = "${resources.db.host}:${resources.db.port}/${resources.db.name}?${resources.texts.a}"
    assert variables(with_variables(DB, Config("texts", {"a": "b"}), X=text)) == [
        {"name": "X", "value": "db:5432/db?b"}
    ]


def test_arguments_are_literal() -> None:
    objects = compiled(workload(container=Container("web", "web:1", command=("sh", "-c"), args=("echo $(HOME) $$",))))
    assert main_container(objects, "Deployment/web")["args"] == ["echo $$(HOME) $$$"]


def files_app(content: str, **rest: Any) -> Objects:
    container = Container("web", "web:1", files={"/etc/a.conf": File("/etc/a.conf", content=content, **rest)})
    return compiled(workload(container=container), workload("api"), resources=(DB, Secret("token")))


def config_maps(objects: Objects) -> dict[str, Any]:
    return {name: each for name, each in manifests(objects).items() if name.startswith("ConfigMap/")}


def test_files_are_immutable_and_named_by_their_content() -> None:
    ((name, first),) = config_maps(files_app("one")).items()
    assert re.fullmatch(r"ConfigMap/web-files-[0-9a-f]{8}", name)
    assert first["immutable"] is True
    assert list(config_maps(files_app("one"))) == [name]
    assert list(config_maps(files_app("two"))) != [name]


def test_a_file_is_mounted_alone() -> None:
    objects = files_app("${workloads.api.host}:${workloads.api.port.http} $$")
    (config_map,) = config_maps(objects).values()
    assert config_map["data"] == {"etc-a.conf": "api:80 $"}
    mount = {"name": "portable-files", "mountPath": "/etc/a.conf", "subPath": "etc-a.conf", "readOnly": True}
    assert main_container(objects, "Deployment/web")["volumeMounts"] == [mount]


def test_placeholders_in_a_file_that_is_not_expanded_are_text() -> None:
    (config_map,) = config_maps(files_app("${resources.db.password}", expand=False)).values()
    assert config_map["data"] == {"etc-a.conf": "${resources.db.password}"}


def test_modes_and_bytes() -> None:
    run = File("/run.sh", content="x", mode="0750")
    container = Container("web", "web:1", files={"/run.sh": run, "/logo": File("/logo", binary=b"\x00\xff")})
    objects = compiled(workload(container=container))
    (config_map,) = config_maps(objects).values()
    assert (config_map["data"], config_map["binaryData"]) == ({"run.sh": "x"}, {"logo": "AP8="})
    items = pod(objects, "Deployment/web")["volumes"][0]["configMap"]["items"]
    assert items == [{"key": "logo", "path": "logo"}, {"key": "run.sh", "path": "run.sh", "mode": 0o750}]


def test_containers_with_different_files_at_one_path_keep_their_own() -> None:
    first = Container("a", "a:1", files={"/c": File("/c", content="1")})
    second = Container("b", "b:1", files={"/c": File("/c", content="2")})
    (config_map,) = config_maps(compiled(workload(containers={"a": first, "b": second}))).values()
    assert sorted(config_map["data"].values()) == ["1", "2"]


def test_a_generated_secret_in_a_file_is_composed_by_the_engine_and_stands_in_no_object() -> None:
    objects = files_app("pw=${resources.db.password} host=${resources.db.host} $$1")
    assert config_maps(objects) == {}
    secret = next(each for each in objects.generated if each.workload == "web")
    assert secret.templates == {"etc-a.conf": "pw=${db/password} host=db $$1"}
    volume = {"secretName": secret.name, "defaultMode": 0o440}
    assert pod(objects, "Deployment/web")["volumes"] == [{"name": "portable-secret-files", "secret": volume}]
    assert [each.name for each in objects.generated] == ["db", secret.name]


def test_an_address_with_a_password_in_a_file_needs_only_the_password_of_the_engine() -> None:
    secret = next(each for each in files_app("url=${resources.db.url}").generated if each.workload == "web")
    assert secret.templates == {"etc-a.conf": "url=postgresql://db:${db/password}@db:5432/db"}


def test_no_object_is_a_secret() -> None:
    objects = files_app("${resources.db.password}")
    assert "Secret" not in {item.manifest["kind"] for item in objects.items}
    assert "stringData" not in json.dumps([item.manifest for item in objects.items])


def test_a_mounted_config_is_one_object_for_all_who_mount_it() -> None:
    mounts = {"/c": Mount("/c", "texts")}
    objects = compiled(
        workload(container=Container("web", "web:1", volumes=mounts)),
        workload("api", container=Container("api", "api:1", volumes=mounts)),
        resources=(Config("texts", {"a": "b"}),),
    )
    (name,) = config_maps(objects)
    assert pod(objects, "Deployment/web")["volumes"][0]["configMap"]["name"] == name.removeprefix("ConfigMap/")


def test_user_secrets_are_expected_with_their_keys_and_not_made() -> None:
    objects = with_variables(Secret("token", ("a", "b")), T="${resources.token.a}")
    (expected,) = objects.expected
    assert (expected.name, expected.keys, expected.type, objects.generated) == ("token", ("a", "b"), "Opaque", ())


def test_ports_of_other_workloads_can_be_named() -> None:
    other = workload("api", ports={"grpc": Port("grpc", 9000, 19000)})
    text = "${workloads.api.host}:${workloads.api.port.grpc}"
    objects = compiled(workload(container=Container("web", "web:1", variables={"API": text})), other)
    assert variables(objects) == [{"name": "API", "value": "api:9000"}]
