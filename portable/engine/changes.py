"""What an operation would change or has changed, as data: object by object, field by field. Secret values never appear."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from portable.events import Operation

SECRET = "[secret]"


@dataclass(frozen=True)
class FieldChange:
    """`path` as a person writes it: "spec.template.spec.containers[api].image". None: the field is not there."""

    path: str
    before: Any
    after: Any


@dataclass(frozen=True)
class Change:
    """One resource of a stack; `type` is its Pulumi type token, `name` its logical name ("Deployment/api")."""

    stack: Literal["cluster", "app"]
    operation: Operation
    type: str
    name: str
    fields: tuple[FieldChange, ...] = ()


def field_changes(before: Any, after: Any, *, secret_keys: Sequence[str] = ()) -> tuple[FieldChange, ...]:
    """The fields that differ, in the order of `after`. Values below the top-level keys `secret_keys` are hidden."""
    found: list[FieldChange] = []
    for change in _differences("", before, after):
        hidden = change.path.partition(".")[0] in secret_keys
        found.append(FieldChange(change.path, _hide(change.before), _hide(change.after)) if hidden else change)
    return tuple(found)


def _hide(value: Any) -> Any:
    return None if value is None else SECRET


def _differences(path: str, before: Any, after: Any) -> Iterator[FieldChange]:
    if before == after:
        return
    if isinstance(before, Mapping) and isinstance(after, Mapping):
        for key in dict.fromkeys((*after, *before)):
            yield from _differences(_below(path, str(key)), before.get(key), after.get(key))
    elif isinstance(before, list) and isinstance(after, list):
        old, new = _keyed(before), _keyed(after)
        for key in dict.fromkeys((*new, *old)):
            yield from _differences(f"{path}[{key}]", old.get(key), new.get(key))
    else:
        yield FieldChange(path, before, after)


def _below(path: str, key: str) -> str:
    part = f"[{key}]" if "." in key or "/" in key else key
    return part if not path else path + part if part.startswith("[") else f"{path}.{part}"


def _keyed(entries: list[Any]) -> dict[str, Any]:
    """Entries of a list by the key that Kubernetes merges most of its lists by, or by position."""
    for key in ("name", "mountPath", "containerPort", "port"):
        names = [str(entry[key]) for entry in entries if isinstance(entry, Mapping) and key in entry]
        if entries and len(names) == len(entries) and len(set(names)) == len(names):
            return dict(zip(names, entries, strict=True))
    return {str(position): entry for position, entry in enumerate(entries)}
