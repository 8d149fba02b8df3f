"""postgres and redis in the cluster: one pod, a volume that is kept, credentials made once.

The images are the profile's. They are the official ones or behave like them: user 999, POSTGRES_USER, POSTGRES_PASSWORD,
POSTGRES_DB and PGDATA, `redis-server` taking a configuration file; STOPSIGNAL of postgres is SIGINT (fast shutdown).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from portable.compile import names
from portable.compile.config import SECRET_MODE, secret_manifest
from portable.compile.identity import service_account
from portable.compile.network import service
from portable.compile.objects import GeneratedSecret
from portable.compile.outputs import PORTS, database_name, url, username
from portable.compile.scope import Scope
from portable.compile.storage import claim
from portable.provider import KubeObject
from portable.spec.model import Database, Port

TIMEOUT = 300
_USER = 999
_DATA, _CONF = "/data", "/etc/portable"
# A database that is killed while it writes has to recover; give it time to end by itself.
_GRACE = 120
_REQUESTS = {"postgres": {"cpu": "100m", "memory": "256Mi"}, "redis": {"cpu": "50m", "memory": "64Mi"}}
_REDIS_CONF = """\
requirepass ${password}
dir /data
appendonly yes
appendfsync everysec
"""


@dataclass(frozen=True)
class CompiledDatabase:
    objects: tuple[KubeObject, ...]
    claim: KubeObject
    controller: KubeObject
    credentials: GeneratedSecret


def check(scope: Scope, database: Database) -> None:
    if image(scope, database) is None:
        offered = sorted(name for name in scope.profile.images if name.partition(":")[0] == database.type)
        scope.problem(
            ("resources", database.name, "version"),
            f"{scope.profile.title} offers no {database.type} {database.version or ''}".rstrip(),
            expected="one of: " + ", ".join(name.partition(":")[2] or "(none: the default)" for name in offered),
        )


def image(scope: Scope, database: Database) -> str | None:
    name = database.type if database.version is None else f"{database.type}:{database.version}"
    return scope.profile.images.get(name)


def compile_database(scope: Scope, database: Database) -> CompiledDatabase:
    port = Port(database.type, PORTS[database.type], PORTS[database.type])
    volume = claim(scope, f"data-{database.name}-0", database.size, "single", database.name)
    return CompiledDatabase(
        objects=(service_account(scope.app, database.name), service(scope.app, database.name, {port: port.target})),
        claim=volume,
        controller=_stateful_set(scope, database, volume["metadata"]["name"]),
        credentials=_credentials(scope, database),
    )


def _credentials(scope: Scope, database: Database) -> GeneratedSecret:
    """The Secret of the resource's name: its outputs, and for redis the configuration that holds the password."""
    fixed = {"host": database.name, "port": str(PORTS[database.type]), "username": username(database)}
    templates = {"url": url(database, "${password}")}
    if database.type == "postgres":
        fixed["name"] = database_name(database)
    else:
        templates["redis.conf"] = _REDIS_CONF
    return GeneratedSecret(
        name=database.name,
        manifest=secret_manifest(scope, database.name, database.name),
        generate=("password",),
        fixed=dict(sorted(fixed.items())),
        templates=dict(sorted(templates.items())),
        workload=database.name,
    )


def _stateful_set(scope: Scope, database: Database, claim_name: str) -> KubeObject:
    pod = _pod(scope, database, claim_name)
    return {
        "apiVersion": "apps/v1",
        "kind": "StatefulSet",
        "metadata": names.metadata(scope.app, database.name, database.name),
        "spec": {
            "persistentVolumeClaimRetentionPolicy": {"whenDeleted": "Retain", "whenScaled": "Retain"},
            "podManagementPolicy": "Parallel",
            "replicas": 1,
            "revisionHistoryLimit": 3,
            "selector": {"matchLabels": names.selector(database.name)},
            # One pod needs no name of its own, so the Service that clients use serves as the governing one.
            "serviceName": database.name,
            "template": {"metadata": {"labels": names.labels(scope.app, database.name)}, "spec": pod},
            "updateStrategy": {"type": "RollingUpdate"},
        },
    }


def _pod(scope: Scope, database: Database, claim_name: str) -> dict[str, Any]:
    container, volumes = _postgres(database) if database.type == "postgres" else _redis(database)
    container |= {
        "image": image(scope, database) or "",
        "imagePullPolicy": "IfNotPresent",
        "name": database.type,
        "ports": [{"containerPort": PORTS[database.type], "protocol": "TCP"}],
        "resources": {"requests": dict(_REQUESTS[database.type])},
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
            "readOnlyRootFilesystem": True,
        },
    }
    return {
        "automountServiceAccountToken": False,
        "containers": [dict(sorted(container.items()))],
        "enableServiceLinks": False,
        "securityContext": {
            "fsGroup": _USER,
            "fsGroupChangePolicy": "OnRootMismatch",
            "runAsGroup": _USER,
            "runAsNonRoot": True,
            "runAsUser": _USER,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "serviceAccountName": database.name,
        "terminationGracePeriodSeconds": _GRACE,
        "volumes": [{"name": "data", "persistentVolumeClaim": {"claimName": claim_name}}, *volumes],
    }


def _postgres(database: Database) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    user, name = username(database), database_name(database)
    environment = [
        # A folder below the mount: the volume's root may hold lost+found, which initdb refuses.
        {"name": "PGDATA", "value": f"{_DATA}/pgdata"},
        {"name": "POSTGRES_DB", "value": name},
        {"name": "POSTGRES_PASSWORD", "valueFrom": {"secretKeyRef": {"name": database.name, "key": "password"}}},
        {"name": "POSTGRES_USER", "value": user},
    ]
    # By TCP: while the image sets the database up, its temporary server listens on the socket only.
    ready = ["pg_isready", "-q", "-h", "127.0.0.1", "-U", user, "-d", name]
    container: dict[str, Any] = {
        "env": environment,
        "readinessProbe": {"exec": {"command": ready}, "periodSeconds": 3, "timeoutSeconds": 5, "failureThreshold": 3},
        "volumeMounts": [
            {"name": "data", "mountPath": _DATA},
            {"name": "shared-memory", "mountPath": "/dev/shm"},
            {"name": "tmp", "mountPath": "/tmp"},
            {"name": "run", "mountPath": "/var/run/postgresql"},
        ],
    }
    volumes: list[dict[str, Any]] = [
        # The runtime's own /dev/shm has 64 MiB, on which parallel queries fail.
        {"name": "shared-memory", "emptyDir": {"medium": "Memory", "sizeLimit": "256Mi"}},
        {"name": "tmp", "emptyDir": {}},
        {"name": "run", "emptyDir": {}},
    ]
    return container, volumes


def _redis(database: Database) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    # The password comes by a file: an argument would be readable in the pod and in the node's process list.
    password = {"secretKeyRef": {"name": database.name, "key": "password"}}
    ready = ["redis-cli", "-e", "-h", "127.0.0.1", "ping"]
    container: dict[str, Any] = {
        "command": ["redis-server", f"{_CONF}/redis.conf"],
        "env": [{"name": "REDISCLI_AUTH", "valueFrom": password}],
        "readinessProbe": {"exec": {"command": ready}, "periodSeconds": 3, "timeoutSeconds": 5, "failureThreshold": 3},
        "volumeMounts": [
            {"name": "data", "mountPath": _DATA},
            {"name": "configuration", "mountPath": _CONF, "readOnly": True},
        ],
    }
    items = [{"key": "redis.conf", "path": "redis.conf"}]
    source = {"secretName": database.name, "defaultMode": SECRET_MODE, "items": items}
    return container, [{"name": "configuration", "secret": source}]
