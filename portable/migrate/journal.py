"""The journal: an append-only record of a migration's steps, kept in the cluster. All of a migration's state is in it.

    ConfigMap portable-migration   data.header: JSON, the ends and the app   data.entries: JSON lines, one for each thing that happened
                                   data.reversed: JSON, both of the migration that this one takes back

It stands in the source's namespace until the commit, and in the target's after it. Every write is a compare-and-set on
resourceVersion: of two writers the second fails. It holds names, counts, digests and times, never a value of a secret.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from typing import Any, Literal, TypeAlias

from portable.errors import ClusterError, PortableError
from portable.kube import Kube
from portable.provider import KubeObject

NAME = "portable-migration"
LABEL = "portable.dev/journal"
_TRIES = 6

What: TypeAlias = Literal["begun", "done", "failed", "undone", "note"]
Phase: TypeAlias = Literal["under way", "cut over", "committed", "rolled back", "finalized"]

# Steps that are the migration's own milestones rather than work: see `Record.phase`.
CUT_OVER, COMMIT, ROLLED_BACK, FINALIZED = "cut-over", "commit", "rolled-back", "finalized"


@dataclass(frozen=True)
class End:
    """Where one side is, in the words of the command line."""

    cloud: str
    cluster: str

    def __str__(self) -> str:
        return f"{self.cloud}/{self.cluster}"


@dataclass(frozen=True)
class Header:
    """What a migration is, from its first moment to its last. `stateless`: it moves no data, so both sides may serve at once.

    `reverses`: the migration that this one takes back; empty for one that goes forth.
    """

    migration: str
    app: str
    environment: str | None
    source: End
    target: End
    stateless: bool
    started: str
    by: str
    reverses: str = ""


@dataclass(frozen=True)
class Entry:
    """One thing that happened to a step. `seconds` it took, `facts` what later steps, or a way back, need to know."""

    step: str
    what: What
    at: str
    by: str
    seconds: float | None = None
    facts: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Record:
    """A journal as it was read. `reversed`: that of the migration which this one takes back, and which stands where it is given up."""

    header: Header
    entries: tuple[Entry, ...]
    reversed: Record | None = None

    def last(self, step: str) -> Entry | None:
        """What happened to the step last, notes left out."""
        return next((each for each in reversed(self.entries) if each.step == step and each.what != "note"), None)

    def done(self, step: str) -> bool:
        last = self.last(step)
        return last is not None and last.what == "done"

    def begun(self, step: str) -> bool:
        """Whether anything of the step may be there: it has begun and was not undone since."""
        last = self.last(step)
        return last is not None and last.what != "undone"

    def facts(self, step: str) -> dict[str, Any]:
        """What the step has told, later entries over earlier ones. What was undone counts no more."""
        found: dict[str, Any] = {}
        for each in self.entries:
            if each.step == step:
                found = {} if each.what == "undone" else found | dict(each.facts)
        return found

    @property
    def phase(self) -> Phase:
        if self.done(FINALIZED):
            return "finalized"
        if self.done(ROLLED_BACK):
            return "rolled back"
        if self.done(COMMIT):
            return "committed"
        return "cut over" if self.begun(CUT_OVER) else "under way"

    @property
    def over(self) -> bool:
        """Nothing of it is left to do, so another migration of the app may begin."""
        return self.phase in ("rolled back", "finalized")

    @property
    def answers(self) -> End:
        """Where the app is at home: what may be changed there, and where this journal stands."""
        return self.header.target if self.phase in ("committed", "finalized") else self.header.source


class Journal:
    """The journal in one namespace. `append` raises ClusterError, and PortableError where another operator wrote meanwhile."""

    def __init__(self, kube: Kube, namespace: str, record: Record, version: str) -> None:
        self._kube, self._namespace = kube, namespace
        self._version = version
        self.record = record

    @property
    def written(self) -> bool:
        """False: it stands in no cluster yet, and nothing has begun."""
        return bool(self._version)

    def append(self, entry: Entry) -> None:
        """Whether a write whose answer was lost has arrived is found out by reading again."""
        wanted = replace(self.record, entries=(*self.record.entries, entry))
        for attempt in range(_TRIES):
            try:
                self._version = _write(self._kube, self._namespace, wanted, self._version)
                break
            except ClusterError as error:
                if error.status not in (0, 409, 500, 504) or attempt == _TRIES - 1:
                    raise
                time.sleep(0.3 * (attempt + 1) if error.status != 409 else 0)
                if self._arrived(wanted):
                    break
        self.record = wanted

    @property
    def standing(self) -> Journal:
        """A way back that was given up has changed nothing: the migration that it was to take back stands as it did."""
        before = self.record.reversed
        if before is None or self.record.phase != "rolled back":
            return self
        return Journal(self._kube, self._namespace, before, self._version)

    def copy_to(self, kube: Kube, namespace: str) -> Journal:
        """The same record in another namespace, whatever stood there before."""
        found = kube.get("v1", "ConfigMap", NAME, namespace)
        version = found["metadata"]["resourceVersion"] if found else ""
        version = _write(kube, namespace, self.record, version)
        return Journal(kube, namespace, self.record, version)

    def _arrived(self, wanted: Record) -> bool:
        """Raises PortableError where somebody else has written."""
        try:
            found = read(self._kube, self._namespace)
        except ClusterError:
            return False
        if found is not None and same(found.record, wanted):
            self._version = found._version
            return True
        if found is None or not same(found.record, self.record):
            raise PortableError(
                "another operator has written to this migration's journal meanwhile: stopping here",
                fix="see who it is with `portable migrate status`",
            )
        self._version = found._version
        return False


def same(one: Record, other: Record) -> bool:
    """As they are written: what was read has lists where a step told a tuple."""
    return one.header == other.header and _lines(one.entries) == _lines(other.entries)


def read(kube: Kube, namespace: str) -> Journal | None:
    """The journal of the app in `namespace`; None where there is none. Raises ClusterError."""
    found = kube.get("v1", "ConfigMap", NAME, namespace)
    if found is None:
        return None
    return Journal(kube, namespace, _decode(found.get("data") or {}), found["metadata"]["resourceVersion"])


def begin(kube: Kube, namespace: str, header: Header) -> Journal:
    """A new journal, in the place of one that is over, or of the one that it takes back."""
    found = read(kube, namespace)
    before = found.standing.record if found is not None else None
    takes_back = before is not None and before.header.migration == header.reverses
    record = Record(header, (), replace(before, reversed=None) if before is not None and takes_back else None)
    return Journal(kube, namespace, record, _write(kube, namespace, record, found._version if found else ""))


def remove(kube: Kube, namespace: str) -> None:
    kube.delete("v1", "ConfigMap", NAME, namespace, propagation="Background")


def now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _write(kube: Kube, namespace: str, record: Record, version: str) -> str:
    """Returns the new resourceVersion. An empty `version`: there must be none yet."""
    manifest: KubeObject = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {
            "name": NAME,
            "namespace": namespace,
            "labels": {"app.kubernetes.io/managed-by": "portable", LABEL: record.header.migration},
        },
        "data": _encode(record) | ({"reversed": _json(_encode(record.reversed))} if record.reversed else {}),
    }
    if not version:
        try:
            return str(kube.create(manifest)["metadata"]["resourceVersion"])
        except ClusterError as error:
            if error.reason == "AlreadyExists":
                raise ClusterError(error.message, status=409, reason="Conflict") from error
            raise
    manifest["metadata"]["resourceVersion"] = version
    return str(kube.replace(manifest)["metadata"]["resourceVersion"])


def _encode(record: Record) -> dict[str, str]:
    return {"header": _json(asdict(record.header)), "entries": _lines(record.entries)}


def _lines(entries: Iterable[Entry]) -> str:
    return "".join(_json(asdict(entry)) + "\n" for entry in entries)


def _json(value: Any) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"))


def _decode(data: Mapping[str, str]) -> Record:
    try:
        header = json.loads(data["header"])
        ends = {"source": End(**header["source"]), "target": End(**header["target"])}
        entries = tuple(Entry(**json.loads(line)) for line in data["entries"].splitlines())
        before = _decode(json.loads(data["reversed"])) if "reversed" in data else None
        return Record(Header(**{**header, **ends}), entries, before)
    except (KeyError, TypeError, ValueError) as error:
        raise ClusterError(
            f"ConfigMap {NAME} is no journal that this version of portable can read: {error}",
            fix="use the version of portable that wrote it",
        ) from error
