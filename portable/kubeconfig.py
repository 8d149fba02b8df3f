"""The user's own kubeconfig: which contexts it has, and clusters of ours put into it.

Files and their merging: https://kubernetes.io/docs/concepts/configuration/organize-cluster-access-kubeconfig/
"""

from __future__ import annotations

import json
import os
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

from portable.errors import PortableError, UsageError

Document: TypeAlias = dict[str, Any]

_LISTS = ("clusters", "contexts", "users")
# Paths in a kubeconfig are relative to the file that they stand in.
_FILES = ("certificate-authority", "client-certificate", "client-key", "tokenFile")
_LOCK_SECONDS = 5.0


def paths() -> list[Path]:
    """The files of $KUBECONFIG in their order, else ~/.kube/config; they need not exist."""
    named = [Path(part).expanduser() for part in os.environ.get("KUBECONFIG", "").split(os.pathsep) if part]
    return named or [Path.home() / ".kube" / "config"]


def of_context(name: str) -> str:
    """A document (JSON text) with what context `name` of the user's files refers to. Raises UsageError where there is none."""
    merged: dict[str, dict[str, Any]] = {key: {} for key in _LISTS}
    for path in paths():
        for key in _LISTS:
            for entry in _read(path).get(key) or ():
                # the first file that has a name wins
                merged[key].setdefault(entry["name"], _absolute(entry, path.parent))
    context = merged["contexts"].get(name)
    if context is None:
        known = ", ".join(merged["contexts"]) or "none"
        looked = ", ".join(map(str, paths()))
        raise UsageError(f"no kubeconfig context is called {name!r}", detail=f"contexts in {looked}: {known}")
    refers = {"clusters": context["context"].get("cluster"), "users": context["context"].get("user")}
    found = {key: [merged[key][at]] for key, at in refers.items() if at in merged[key]}
    return json.dumps({"apiVersion": "v1", "kind": "Config", "current-context": name, "contexts": [context], **found})


@dataclass(frozen=True)
class Merged:
    """`path` was written; `context` is now the current one if `switched`."""

    path: Path
    context: str
    switched: bool


def merge(kubeconfig: str, *, switch: bool) -> Merged:
    """Puts the clusters, users and contexts of a document into the user's file, in one move; everything else stays as it is.

    It goes where its context already is, else into the first file that exists. Raises PortableError for a file that cannot be
    read or written.
    """
    import yaml

    added: Document = yaml.load(kubeconfig, Loader=yaml.CSafeLoader)
    context = str(added["current-context"])
    path = _place(context)
    with _locked(path):
        before = path.read_text() if path.exists() else ""
        _write(path, merged(before, added, switch=switch, file=path))
    return Merged(path, context, switch)


def merged(text: str, added: Mapping[str, Any], *, switch: bool, file: Path | None = None) -> str:
    """`text` with the entries of `added`, in place of those of the same names. Comments and order stay, but for a file whose
    lists are written in a way that cannot be edited line by line: that one is written anew."""
    import yaml

    wanted = _merged_values(_parsed(text, file), added, switch=switch)
    if text.strip():
        edited = _edited(text, added, switch=switch)
        if edited is not None and yaml.load(edited, Loader=yaml.CSafeLoader) == wanted:
            return edited
    return yaml.dump(wanted, Dumper=yaml.CSafeDumper, sort_keys=False)


def _merged_values(document: Document, added: Mapping[str, Any], *, switch: bool) -> Document:
    found: Document = {"apiVersion": "v1", "kind": "Config", **document}
    for key in _LISTS:
        entries = {entry["name"]: entry for entry in found.get(key) or ()}
        found[key] = list((entries | {entry["name"]: entry for entry in added[key]}).values())
    if switch or not found.get("current-context"):
        found["current-context"] = added["current-context"]
    return found


def _edited(text: str, added: Mapping[str, Any], *, switch: bool) -> str | None:
    """The same by lines; None where the text has another shape than kubectl and the clouds' tools write."""
    import yaml

    root = yaml.compose(text, Loader=yaml.SafeLoader)
    if not isinstance(root, yaml.MappingNode) or root.flow_style:
        return None
    values = {key.value: value for key, value in root.value}
    lines = text.splitlines(keepends=True)
    if lines and not lines[-1].endswith("\n"):
        lines[-1] += "\n"
    edits: list[tuple[int, int, str]] = []
    for key in _LISTS:
        items = values.get(key)
        if not isinstance(items, yaml.SequenceNode) or items.flow_style or not items.value:
            return None
        for entry in added[key]:
            edits.append(_edit(items, entry, lines))
    current = values.get("current-context")
    if current is None:
        edits.append((len(lines), len(lines), f"current-context: {json.dumps(added['current-context'])}\n"))
    elif switch or not current.value:
        line = lines[current.start_mark.line]
        start, end = current.start_mark.column, current.end_mark.column
        words = line[:start].rstrip() + " " + json.dumps(added["current-context"]) + line[end:]
        edits.append((current.start_mark.line, current.start_mark.line + 1, words))
    for first, last, words in sorted(edits, reverse=True):
        lines[first:last] = [words]
    return "".join(lines)


def _edit(items: Any, entry: Mapping[str, Any], lines: list[str]) -> tuple[int, int, str]:
    """(first line, line after the last, new text) that puts `entry` into a list in block style."""
    place = items.value[0].start_mark
    dash = lines[place.line].rindex("-", 0, place.column)
    words = f"{' ' * dash}- {json.dumps(entry)}\n"
    for item in items.value:
        if {key.value: value.value for key, value in item.value}.get("name") == entry["name"]:
            return item.start_mark.line, _last_line(item) + 1, words
    end = _last_line(items.value[-1]) + 1
    return end, end, words


def _last_line(node: Any) -> int:
    """Where the last scalar of a node ends: the node's own end lies behind the comments that follow it."""
    if node.id == "scalar":
        line: int = node.end_mark.line
        return line if node.end_mark.column or node.style != "|" else line - 1
    if not node.value or node.flow_style:
        return node.end_mark.line
    last = node.value[-1]
    return _last_line(last[1] if isinstance(last, tuple) else last)


def _place(context: str) -> Path:
    for path in paths():
        if any(entry["name"] == context for entry in _read(path).get("contexts") or ()):
            return path
    return next((path for path in paths() if path.exists()), paths()[0])


def _read(path: Path) -> Document:
    return _parsed(path.read_text(), path) if path.exists() else {}


def _parsed(text: str, file: Path | None) -> Document:
    import yaml

    try:
        document = yaml.load(text, Loader=yaml.CSafeLoader)
    except yaml.YAMLError as error:
        raise PortableError(
            f"{file or 'the kubeconfig'} is no YAML: {error}", fix="mend it, or name another"
        ) from error
    if not isinstance(document, dict | None):
        raise PortableError(f"{file or 'the kubeconfig'} is no kubeconfig", fix="mend it, or name another")
    return document or {}


def _absolute(entry: Document, folder: Path) -> Document:
    return {
        key: {k: str(folder / v) if k in _FILES and v else v for k, v in value.items()}
        if isinstance(value, dict)
        else value
        for key, value in entry.items()
    }


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """As kubectl locks it: a file beside it that exists only while someone writes."""
    lock = path.with_name(path.name + ".lock")
    deadline = time.monotonic() + _LOCK_SECONDS
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        while True:
            try:
                os.close(os.open(lock, os.O_CREAT | os.O_EXCL, 0o600))
                break
            except FileExistsError:
                if time.monotonic() > deadline:
                    raise PortableError(
                        f"{path} is being written by another program", fix=f"remove {lock} if not"
                    ) from None
                time.sleep(0.05)
    except OSError as error:
        raise _unwritable(path, error) from error
    try:
        yield
    finally:
        lock.unlink(missing_ok=True)


def _write(path: Path, text: str) -> None:
    """In one move, for this user's eyes only; a link stays one."""
    real = path.resolve()
    try:
        handle, name = tempfile.mkstemp(dir=real.parent, prefix=f".{real.name}.")
        with os.fdopen(handle, "w") as file:
            file.write(text)
            os.fchmod(file.fileno(), real.stat().st_mode & 0o777 if real.exists() else 0o600)
        Path(name).replace(real)
    except OSError as error:
        raise _unwritable(path, error) from error


def _unwritable(path: Path, error: OSError) -> PortableError:
    return PortableError(f"{path} cannot be written: {error.strerror}", fix="set KUBECONFIG to a file of yours")
