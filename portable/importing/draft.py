"""A spec under construction, and what could not be taken over into it, each with its place in the file it came from."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

from portable.errors import Problem, SpecError
from portable.spec.document import Document, Node

_NOT_IN_NAMES = re.compile(r"[^a-z0-9-]+")
# Variables whose values nobody should find in a file.
SECRET_NAME = re.compile(
    r"(PASS(WORD|WD|PHRASE)?|SECRET|TOKEN|CREDENTIALS?|API_?KEY|PRIVATE_?KEY|ACCESS_?KEY)", re.IGNORECASE
)
IMAGES_OWN_USER = {"level": "baseline", "writable": ["/"]}


@dataclass
class Draft:
    """`workloads` and `resources` as the spec has them. `findings` have in `path` the workload or resource they are about.

    `secrets`: value -> the secret resource that stands for it; values stay in here. `users`: volume -> the workloads with it.
    `names`: (kind, name in the input) -> the resource.
    """

    name: str
    workloads: dict[str, dict[str, Any]] = field(default_factory=dict)
    resources: dict[str, dict[str, Any]] = field(default_factory=dict)
    findings: list[Problem] = field(default_factory=list)
    secrets: dict[str, str] = field(default_factory=dict, repr=False)
    users: dict[str, set[str]] = field(default_factory=dict)
    names: dict[tuple[str, str], str] = field(default_factory=dict)

    def named(self, kind: str, source: str, wanted: str = "") -> str:
        """The resource that stands for `source`: always the same. Where kinds share a name, the second gets its kind behind it."""
        if (kind, source) not in self.names:
            name = label(wanted or source)
            while name in self.names.values() or name in self.resources:
                name = f"{name}-{kind}"
            self.names[kind, source] = name
        return self.names[kind, source]

    def secret(self, wanted: str, value: str) -> str:
        """The secret resource that stands for `value`: the same one wherever the same value is used."""
        if value not in self.secrets:
            self.secrets[value] = self.named("secret", f"value of {wanted}", wanted)
            self.resources[self.secrets[value]] = {"type": "secret"}
        return self.secrets[value]


@dataclass
class Section:
    """A map of the input. Each key is taken by somebody, or `close` reports it: nothing is dropped in silence."""

    node: Node
    document: Document
    draft: Draft
    about: str
    _taken: set[str] = field(default_factory=set)

    def take(self, key: str) -> Node | None:
        """The node under `key`, which is thereby dealt with; None where nothing stands there."""
        self._taken.add(key)
        found = self.node.child(key)
        return None if found is None or found.content is None else found

    def value(self, key: str, default: Any = None) -> Any:
        """What stands under `key`, without places."""
        found = self.take(key)
        return default if found is None else found.plain()

    def text(self, key: str, default: str = "") -> str:
        """A scalar as it was written."""
        found = self.take(key)
        return default if found is None or isinstance(found.content, dict | list) else scalar(found)

    def entries(self, key: str) -> Sequence[Node]:
        """The entries of the list under `key`; none where there is no list."""
        return entries(self.take(key))

    def members(self) -> Mapping[str, Node]:
        """What stands under each key; nothing where this is no map."""
        return members(self.node)

    def section(self, key: str) -> Section | None:
        """The map under `key`."""
        found = self.take(key)
        return self.of(found) if found is not None and isinstance(found.content, dict) else None

    def sections(self, key: str) -> list[Section]:
        """The maps in the list under `key`."""
        return [self.of(entry) for entry in self.entries(key) if isinstance(entry.content, dict)]

    def of(self, node: Node) -> Section:
        return Section(node, self.document, self.draft, self.about)

    def report(self, node: Node | None, message: str, hint: str = "") -> None:
        """A finding at `node`, without the line that stands there: it may hold the value of a secret."""
        at = node or self.node
        place = at.key or at.mark
        found = self.document.problem_at(place, message, path=self.about, hint=hint, severity="warning")
        self.draft.findings.append(replace(found, source_line=""))

    def close(self, reasons: Mapping[str, str], *, silent: tuple[str, ...] = ()) -> None:
        """Reports every key that nobody took, but for `silent` ones; `reasons` say why, or what to do instead."""
        for key, node in self.members().items():
            if key not in self._taken and key not in silent and not _nothing(node):
                self.report(node, f"{key} is not taken over", reasons.get(key, ""))


@contextmanager
def shaped(section: Section, what: str) -> Iterator[None]:
    """Input that is not what its own format says ends in a SpecError at `section`: a text where a map belongs, say.

    What stands there is not repeated: it may be the value of a secret.
    """
    try:
        yield
    except (AttributeError, IndexError, KeyError, TypeError, ValueError) as error:
        message = f"{what} does not have the shape that its format asks for"
        found = section.document.problem_at(
            section.node.key or section.node.mark, message, expected="a file that its own tool takes"
        )
        raise SpecError([replace(found, source_line="")], file=section.document.file) from error


def entries(node: Node | None) -> Sequence[Node]:
    return node.content if node is not None and isinstance(node.content, list) else ()


def one_or_more(node: Node) -> Sequence[Node]:
    """A list's entries; anything else is the one entry."""
    return node.content if isinstance(node.content, list) else (node,)


def members(node: Node | None) -> Mapping[str, Node]:
    return node.content if node is not None and isinstance(node.content, dict) else {}


def scalar(node: Node) -> str:
    """A scalar as text, as other tools hand it to a process."""
    if isinstance(node.content, bool):
        return "true" if node.content else "false"
    return "" if node.content is None else node.text if not isinstance(node.content, str) else node.content


def label(text: str) -> str:
    """`text` as a name in a spec: lower case, letters, digits and '-'."""
    found = _NOT_IN_NAMES.sub("-", text.lower()).strip("-")[:50].strip("-")
    return found if found[:1].isalpha() else f"x-{found}".rstrip("-")


def escaped(text: str) -> str:
    """Text that means itself in a variable or file: a spec reads `${` as a placeholder and `$$` as one `$`."""
    return text.replace("$", "$$")


def port_name(number: int, protocol: str = "TCP") -> str:
    usual = {80: "http", 8080: "http", 443: "https", 5432: "postgres", 3306: "mysql", 6379: "redis", 27017: "mongo"}
    name = usual.get(number, f"port-{number}")
    return name if protocol == "TCP" else f"{name}-udp"


def _nothing(node: Node) -> bool:
    """Empty maps, lists and texts ask for nothing."""
    return node.content is None or node.content in ({}, [], "")
