"""Volumes and databases: data outlives everything."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from portable.compile.objects import Objects, logical_name
from portable.errors import SpecError
from portable.provider import StorageProfile
from portable.spec.model import Container, Database, Mount, Resource, Scale, Volume
from tests.unit.compile.apps import PROFILE, app, compiled, main_container, manifests, pod, workload

pytestmark = pytest.mark.unit
DB, CACHE = Database("db", "postgres", size="10Gi"), Database("cache", "redis")


def holding(name: str, kind: str = "stateful", volume: str = "data", **rest: Any) -> Any:
    container = Container(name, f"{name}:1", volumes={"/data": Mount("/data", volume)})
    return workload(name, kind, container=container, **rest)


def claims(objects: Objects) -> dict[str, Any]:
    return {
        n.partition("/")[2]: each for n, each in manifests(objects).items() if n.startswith("PersistentVolumeClaim/")
    }


def problems(*workloads: Any, profile: Any = PROFILE, resources: tuple[Resource, ...]) -> list[tuple[str, str]]:
    with pytest.raises(SpecError) as caught:
        compiled(*workloads, profile=profile, resources=resources)
    return [(problem.path, problem.message) for problem in caught.value.problems]


def test_one_pod_has_a_claim_of_its_own_that_a_larger_size_only_has_to_be_applied_to() -> None:
    objects = compiled(holding("queue"), resources=(Volume("data", "5Gi"),))
    ((name, claim),) = claims(objects).items()
    assert name == "data-queue-0"
    assert claim["spec"] == {
        "accessModes": ["ReadWriteOnce"],
        "resources": {"requests": {"storage": "5Gi"}},
        "storageClassName": "block",
    }
    assert pod(objects, "StatefulSet/queue")["volumes"] == [
        {"name": "data", "persistentVolumeClaim": {"claimName": name}}
    ]
    assert "volumeClaimTemplates" not in manifests(objects)["StatefulSet/queue"]["spec"]


def test_several_pods_have_one_each_and_the_first_keeps_its_own() -> None:
    objects = compiled(holding("queue", scale=Scale(3, 3)), resources=(Volume("data", "5Gi"),))
    assert list(claims(objects)) == ["data-queue-0", "data-queue-1", "data-queue-2"]
    spec = manifests(objects)["StatefulSet/queue"]["spec"]
    (template,) = spec["volumeClaimTemplates"]
    assert template["metadata"]["name"] == "data"
    assert template["spec"] == claims(objects)["data-queue-0"]["spec"]
    assert spec["persistentVolumeClaimRetentionPolicy"] == {"whenDeleted": "Retain", "whenScaled": "Retain"}
    assert "volumes" not in pod(objects, "StatefulSet/queue")


def test_claims_are_kept_and_nothing_else_of_a_workload_is() -> None:
    objects = compiled(holding("queue"), workload(), resources=(Volume("data", "5Gi"), DB))
    kept = {logical_name(item.manifest): item.workload for item in objects.items if item.kept}
    assert kept == {"PersistentVolumeClaim/data-queue-0": "queue", "PersistentVolumeClaim/data-db-0": "db"}


def test_a_shared_volume_is_one_claim_for_all() -> None:
    objects = compiled(
        holding("a", "service"),
        holding("b", "service", scale=Scale(3, 3)),
        resources=(Volume("data", "1Gi", "shared"),),
    )
    ((name, claim),) = claims(objects).items()
    assert (name, claim["spec"]["accessModes"], claim["spec"]["storageClassName"]) == (
        "data",
        ["ReadWriteMany"],
        "files",
    )
    assert manifests(objects)["Deployment/b"]["spec"]["strategy"]["type"] == "RollingUpdate"


def test_a_shared_volume_is_an_error_where_nothing_can_share() -> None:
    profile = replace(PROFILE, storage=StorageProfile(single="block", shared=None, expandable=True))
    found = problems(holding("a", "service"), profile=profile, resources=(Volume("data", "1Gi", "shared"),))
    assert found == [("resources.data.access", "Testland has no storage that several nodes can write to")]


def test_storage_classes_that_the_app_brings_are_kept_and_come_first() -> None:
    brought = {"apiVersion": "storage.k8s.io/v1", "kind": "StorageClass", "metadata": {"name": "block"}}
    profile = replace(PROFILE, storage=StorageProfile("block", None, True, objects=(brought,)))
    objects = compiled(holding("queue"), profile=profile, resources=(Volume("data", "1Gi"),))
    names = [logical_name(item.manifest) for item in objects.items]
    claim = next(item for item in objects.items if item.manifest["kind"] == "PersistentVolumeClaim")
    assert objects.items[names.index("StorageClass/block")].kept
    assert "StorageClass/block" in claim.depends_on
    assert "StorageClass" not in {item.manifest["kind"] for item in compiled(workload(), profile=profile).items}


def test_what_sharing_costs_is_told_to_who_shares() -> None:
    profile = replace(PROFILE, storage=replace(PROFILE.storage, shared_note="it is dear"))
    shared, single = (Volume("data", "1Gi", access) for access in ("shared", "single"))
    assert "data: it is dear" in compiled(holding("a", "service"), profile=profile, resources=(shared,)).notes
    assert "data: it is dear" not in compiled(holding("a"), profile=profile, resources=(single,)).notes


# Databases


def test_postgres_runs_as_its_own_user_on_a_read_only_root() -> None:
    objects = compiled(workload(), resources=(DB,))
    spec, container = pod(objects, "StatefulSet/db"), main_container(objects, "StatefulSet/db")
    assert container["image"] == "postgres:17.0"
    assert {key: spec["securityContext"][key] for key in ("runAsUser", "runAsGroup", "fsGroup")} == {
        "runAsUser": 999, "runAsGroup": 999, "fsGroup": 999,
    }  # fmt: skip
    assert container["securityContext"]["readOnlyRootFilesystem"] is True
    writable = {mount["mountPath"] for mount in container["volumeMounts"]}
    assert {"/tmp", "/var/run/postgresql", "/dev/shm"} < writable
    variables = {each["name"]: each for each in container["env"]}
    data = next(mount["mountPath"] for mount in container["volumeMounts"] if mount["name"] == "data")
    assert variables["PGDATA"]["value"].startswith(f"{data}/")
    assert variables["POSTGRES_PASSWORD"]["valueFrom"]["secretKeyRef"] == {"name": "db", "key": "password"}
    assert "127.0.0.1" in container["readinessProbe"]["exec"]["command"]
    assert claims(objects)["data-db-0"]["spec"]["resources"]["requests"]["storage"] == "10Gi"


def test_credentials_are_generated_and_addresses_composed_from_them() -> None:
    postgres, redis = compiled(workload(), resources=(DB, CACHE)).generated[::-1]
    assert (postgres.name, postgres.generate) == ("db", ("password",))
    assert postgres.fixed == {"host": "db", "name": "db", "port": "5432", "username": "db"}
    assert postgres.templates == {"url": "postgresql://db:${password}@db:5432/db"}
    assert redis.templates["url"] == "redis://default:${password}@cache:6379/0"
    assert "requirepass ${password}\n" in redis.templates["redis.conf"]


def test_the_password_of_redis_is_in_no_argument() -> None:
    objects = compiled(workload(), resources=(CACHE,))
    container = main_container(objects, "StatefulSet/cache")
    assert container["command"] == ["redis-server", "/etc/portable/redis.conf"]
    assert container["env"][0]["valueFrom"]["secretKeyRef"] == {"name": "cache", "key": "password"}
    source = next(each["secret"] for each in pod(objects, "StatefulSet/cache")["volumes"] if "secret" in each)
    assert source["items"] == [{"key": "redis.conf", "path": "redis.conf"}]


def test_outputs_hold_no_secret() -> None:
    assert compiled(workload(), resources=(Database("my-db", "postgres"),)).outputs == {
        "resources.my-db.database": "my_db",
        "resources.my-db.host": "my-db",
        "resources.my-db.name": "my_db",
        "resources.my-db.port": "5432",
        "resources.my-db.username": "my_db",
    }


def test_versions_are_the_profile_s() -> None:
    objects = compiled(workload(), resources=(Database("db", "postgres", "16"),))
    assert main_container(objects, "StatefulSet/db")["image"] == "postgres:16.0"
    found = problems(workload(), resources=(Database("db", "postgres", "9"),))
    assert found == [("resources.db.version", "Testland offers no postgres 9")]


def test_who_uses_a_database_comes_after_it() -> None:
    container = Container("web", "web:1", variables={"URL": "${resources.db.url}"})
    objects = compiled(
        workload(container=container, after={"job": "complete"}),
        workload("job", "job", container=Container("job", "j:1", variables={"H": "${resources.db.host}"})),
        resources=(DB, CACHE),
    )
    assert objects.workloads["web"].after == {"db": "ready", "job": "complete"}
    assert list(objects.workloads) == ["cache", "db", "job", "web"]
    order = [item.workload for item in objects.items if item.manifest["kind"] in ("StatefulSet", "Job", "Deployment")]
    assert order == ["cache", "db", "job", "web"]


def test_derived_names_that_meet_are_an_error() -> None:
    with pytest.raises(SpecError) as caught:
        compiled(workload("queue", "stateful"), workload("queue-pods"))
    assert "both have a Service called queue-pods" in caught.value.problems[0].message


def test_an_app_without_workloads_is_only_what_it_stores() -> None:
    from portable.compile import compile_app

    assert claims(compile_app(app(resources=(Volume("data", "1Gi"),)), PROFILE)).keys() == {"data"}
