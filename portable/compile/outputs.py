"""The values of placeholders: text that is known now, or a key of a Secret that only the cluster holds.

Which outputs there are, and which of them are confidential, is said by `portable.spec.outputs`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from portable.spec.model import App, Config, Database, Resource, Workload
from portable.spec.outputs import is_confidential, outputs
from portable.spec.placeholders import Placeholder

PORTS = {"postgres": 5432, "redis": 6379}


@dataclass(frozen=True)
class SecretKey:
    """A key of a Secret. Only those that portable makes come into files: `portable.spec` refuses the user's there."""

    secret: str
    key: str


Value: TypeAlias = str | SecretKey


def database_name(database: Database) -> str:
    """The name of the database and of its owner: the resource's, as SQL wants it."""
    return database.name.replace("-", "_")


def username(database: Database) -> str:
    """redis has one built-in user, and its password is what `requirepass` sets."""
    return database_name(database) if database.type == "postgres" else "default"


def url(database: Database, password: str) -> str:
    """The address that clients take; `password` may be a placeholder of the engine's."""
    address = f"{username(database)}:{password}@{database.name}:{PORTS[database.type]}"
    return (
        f"postgresql://{address}/{database_name(database)}" if database.type == "postgres" else f"redis://{address}/0"
    )


def public_outputs(resource: Resource) -> dict[str, str]:
    """The outputs of a resource that are no secret."""
    if isinstance(resource, Config):
        return dict(resource.data)
    if not isinstance(resource, Database):
        return {}
    found = {"host": resource.name, "port": str(PORTS[resource.type]), "username": username(resource)}
    if resource.type == "postgres":
        found |= {"name": database_name(resource), "database": database_name(resource)}
    return found


def lookup(app: App, placeholder: Placeholder) -> Value | None:
    """What a placeholder stands for; None: nothing is called that."""
    name, output = placeholder.name, placeholder.output
    if placeholder.root == "workloads" and name in app.workloads:
        return _workload_output(app.workloads[name], output)
    resource = app.resources.get(name) if placeholder.root == "resources" else None
    if resource is None or output not in outputs(resource):
        return None
    if is_confidential(resource, output):
        return SecretKey(name, output)
    return public_outputs(resource).get(output)


def _workload_output(workload: Workload, output: str) -> str | None:
    if output == "host":
        return workload.name
    port = workload.ports.get(output.removeprefix("port."))
    return str(port.port) if port is not None and output.startswith("port.") else None
