"""What each kind of resource gives to placeholders. The names for databases are those that Score users know."""

from __future__ import annotations

from portable.spec.model import Config, Database, Resource, Secret

POSTGRES = ("host", "port", "name", "database", "username", "password", "url")
REDIS = ("host", "port", "username", "password", "url")
_CONFIDENTIAL = frozenset({"password", "url"})


def outputs(resource: Resource) -> tuple[str, ...]:
    """The outputs of `resource`. `database` is the same as `name`; `url` holds the password."""
    match resource:
        case Database(type="postgres"):
            return POSTGRES
        case Database(type="redis"):
            return REDIS
        case Secret(keys=keys):
            return keys
        case Config(data=data):
            return tuple(data)
        case _:
            return ()


def is_confidential(resource: Resource, output: str) -> bool:
    """Whether an output must reach a container by reference only, never as text in an object."""
    return isinstance(resource, Secret) or (isinstance(resource, Database) and output in _CONFIDENTIAL)
