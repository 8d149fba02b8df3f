"""Where an app is at home after it has moved, and the fence that keeps the other side still.

    ConfigMap portable-home   in the app's namespace on both sides: this side's part in a migration
    moved.json                beside the state here: homes that apps have left, for when the old cluster is gone

`up`, `rollback`, `restart`, `scale` and `drift --fix` ask `require_home` before they change anything.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from portable.errors import ClusterError, PortableError
from portable.home import Home
from portable.migrate.journal import End, now
from portable.migrate.sides import FIELD_MANAGER

if TYPE_CHECKING:
    from portable.kube import Kube
    from portable.target import Request, Target

NAME = "portable-home"
_FILE = "moved.json"

# arriving: the target before the commit. frozen: the source from the freeze to the commit. left: the source after it.
# home: the target after it.
Part: TypeAlias = Literal["arriving", "frozen", "left", "home"]


@dataclass(frozen=True)
class HomeRecord:
    """`home`: where the app is to be found, at present."""

    part: Part
    migration: str
    home: End
    since: str


def read(kube: Kube, namespace: str) -> HomeRecord | None:
    """This side's part; None where the app was never moved. Raises ClusterError."""
    found = kube.get("v1", "ConfigMap", NAME, namespace)
    if found is None:
        return None
    try:
        record = json.loads(found["data"]["record"])
        return HomeRecord(**{**record, "home": End(**record["home"])})
    except (KeyError, TypeError, ValueError) as error:
        raise ClusterError(f"ConfigMap {NAME} cannot be read: {error}", fix="use the version that wrote it") from error


def write(kube: Kube, namespace: str, part: Part, migration: str, home: End) -> None:
    """May be repeated: `since` stays while the part is the same."""
    before = read(kube, namespace)
    same = before is not None and (before.part, before.migration) == (part, migration)
    record = HomeRecord(part, migration, home, before.since if same and before else now())
    kube.apply(
        {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {
                "name": NAME,
                "namespace": namespace,
                "labels": {"app.kubernetes.io/managed-by": "portable"},
            },
            "data": {"record": json.dumps(asdict(record), sort_keys=True)},
        },
        field_manager=FIELD_MANAGER,
    )


def clear(kube: Kube, namespace: str) -> None:
    kube.delete("v1", "ConfigMap", NAME, namespace, propagation="Background")


def require_home(request: Request, target: Target, kube: Kube | None, namespace: str) -> None:
    """That the app may be changed on this side. `kube` None: there is no cluster, so only the state here can tell.

    Raises PortableError with what to do, or with the line of the spec to change.
    """
    left = moved(request.state).get(target.home.app_stack)
    found = read(kube, namespace) if kube is not None else None
    if found is None and left is not None:
        found = HomeRecord("left", left["migration"], End(**left["home"]), left["since"])
    if found is None or found.part == "home" or found.migration == request.migration:
        return
    if found.part == "left":
        raise PortableError(
            f"{target.home.app} has moved to {found.home} ({found.since[:19].replace('T', ' ')} UTC), and is no longer at home on"
            f" {target.home.cloud}/{target.home.cluster}",
            fix=_line_to_change(request, target, found.home),
        )
    raise _under_way(target, found)


def require_unmoved(request: Request, target: Target, kube: Kube, namespace: str) -> None:
    """That the app may be taken apart on this side: while a migration is under way, either side may hold the only copy of its
    data, and after it the side that was left is `portable migrate finalize`'s. Raises PortableError."""
    found = read(kube, namespace)
    if found is None or found.part == "home" or found.migration == request.migration:
        return
    if found.part == "left":
        raise PortableError(
            f"{target.home.app} has moved to {found.home}: what is left of it here is its way back",
            fix="`portable migrate finalize` destroys it; `portable migrate rollback` goes back",
        )
    raise _under_way(target, found)


def _under_way(target: Target, found: HomeRecord) -> PortableError:
    words = f"{target.home.app} is being moved: its source here is stopped and fenced until that has ended"
    if found.part == "arriving":
        words = f"{target.home.app} is being moved to this cluster, and still at home on {found.home}"
    return PortableError(
        words,
        detail=f"migration {found.migration}, since {found.since[:19].replace('T', ' ')} UTC",
        fix="end it first: `portable migrate resume`, `portable migrate abort` or `portable migrate rollback`",
    )


def _line_to_change(request: Request, target: Target, home: End) -> str:
    """Where the old cloud or cluster stands: on the command line, or in the spec."""
    if request.cloud is not None:
        again = f"--cloud {home.cloud}" + _cluster_words(target, home)
        return f"say `{again}` instead of `--cloud {request.cloud}`"
    return "\n".join(_spec_lines(target, home)) or f"name {home} in the spec"


def lines_to_change(request: Request, home: End) -> tuple[str, ...]:
    """What the spec says otherwise than `home`; empty where it names the new home already, or none."""
    from portable.errors import UsageError
    from portable.target import open_target

    try:
        return tuple(_spec_lines(open_target(request), home))
    except UsageError:  # no cloud is named
        return ()


def _cluster_words(target: Target, home: End) -> str:
    return "" if home.cluster == target.home.cluster else f" (with `cluster: {{name: {home.cluster}}}` in the spec)"


def _spec_lines(target: Target, home: End) -> list[str]:
    from portable.spec.load import read_document

    document = read_document(target.file)
    environment = target.app.environment
    places: list[tuple[tuple[str, ...], str, str]] = []
    if environment is not None and home.cloud != target.home.cloud:
        places.append((("environments", environment, "cloud"), target.home.cloud, home.cloud))
    if home.cluster != target.home.cluster:
        own = ("environments", environment or "", "cluster", "name")
        path = own if document.find(own)[1] == len(own) else ("cluster", "name")
        places.append((path, target.home.cluster, home.cluster))
    lines = []
    for path, before, after in places:
        node, depth = document.find(path)
        where = f"line {node.mark.line} of {target.file}" if depth == len(path) else f"in {target.file}"
        lines.append(f"{where}: `{'.'.join(path)}: {after}` in place of `{before}`")
    return lines


# What the state here knows


def moved(state: str | None) -> Mapping[str, Any]:
    """The app stack's key of a home that was left -> {"home", "migration", "since"}."""
    try:
        return json.loads(_file(state).read_text())
    except FileNotFoundError:
        return {}
    except ValueError as error:
        raise PortableError(f"{_file(state)} cannot be read: {error}", fix="delete it if it is damaged") from error


def remember_move(state: str | None, left: Home, migration: str, home: End) -> None:
    """`left` is home no more; `home` is, whatever was known of it before."""
    here = Home(left.app, left.environment, home.cloud, home.cluster)
    known = {key: value for key, value in moved(state).items() if key != here.app_stack}
    known[left.app_stack] = {"home": asdict(home), "migration": migration, "since": now()}
    _replace(_file(state), known)


def forget_move(state: str | None, home: Home) -> None:
    """`home` may be used again."""
    known = dict(moved(state))
    if known.pop(home.app_stack, None) is not None:
        _replace(_file(state), known)


def forget_home(state: str | None, home: Home) -> None:
    """The app is gone from there, data and all: nothing keeps it from beginning anew where it once was."""
    there = asdict(End(home.cloud, home.cluster))

    def leads_there(key: str, known: Mapping[str, Any]) -> bool:
        left = Home.of_app_stack(key)
        return (left.app, left.environment) == (home.app, home.environment) and known["home"] == there

    known = moved(state)
    kept = {key: each for key, each in known.items() if not leads_there(key, each)}
    if len(kept) != len(known):
        _replace(_file(state), kept)


def _file(state: str | None) -> Path:
    from portable.engine.workspace import open_workspace

    return open_workspace(state).folder / _FILE


def _replace(file: Path, known: Mapping[str, Any]) -> None:
    fresh = file.with_name(f".{file.name}.{os.getpid()}")
    fresh.write_text(json.dumps(known, indent=2, sort_keys=True) + "\n")
    os.replace(fresh, file)
