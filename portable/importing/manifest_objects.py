"""The objects of some manifest files: several documents, Lists, what kustomize and helm print."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from portable.importing.draft import Draft, Section
from portable.spec.document import Document, Node
from portable.spec.load import decode, parse_all, read_bytes


@dataclass
class Manifest:
    """One object. `taken`: something in the draft stands for it."""

    kind: str
    name: str
    document: Document
    draft: Draft
    taken: bool = False

    @property
    def key(self) -> tuple[str, str]:
        return self.kind, self.name

    @property
    def _metadata(self) -> Node:
        return self.document.root.child("metadata") or Node({}, self.document.root.mark)

    @property
    def namespace(self) -> str:
        found = self._metadata.child("namespace")
        return str(found.plain()) if found is not None else ""

    @property
    def labels(self) -> dict[str, Any]:
        found = self._metadata.child("labels")
        return found.plain() or {} if found is not None else {}

    @property
    def annotations(self) -> dict[str, Any]:
        found = self._metadata.child("annotations")
        return found.plain() or {} if found is not None else {}

    def plain(self, *path: str) -> Any:
        """What stands at `path`, without places; None where nothing does."""
        node: Node | None = self.document.root
        for step in path:
            node = node.child(step) if node is not None else None
        return node.plain() if node is not None else None

    def section(self, about: str) -> Section:
        return Section(self.document.root, self.document, self.draft, about)


@dataclass
class Found:
    everything: list[Manifest] = field(default_factory=list)

    def of(self, *kinds: str) -> list[Manifest]:
        return [each for each in self.everything if each.kind in kinds]

    def get(self, kind: str, name: str) -> Manifest | None:
        return next((each for each in self.of(kind) if each.name == name), None)


def read(files: Sequence[Path], draft: Draft) -> Found:
    """Raises SpecError where a file is no YAML. A document that is no object is reported."""
    found = Found()
    for file in files:
        for document in parse_all(decode(read_bytes(file), str(file)), str(file)):
            for one in _flat(document):
                kind, name = one.root.child("kind"), _name(one.root)
                if kind is None or not isinstance(kind.content, str) or not name:
                    Section(one.root, one, draft, "").report(
                        None, "this is no Kubernetes object, and is not taken over"
                    )
                    continue
                found.everything.append(Manifest(kind.content, name, one, draft))
    return found


def _flat(document: Document) -> Iterator[Document]:
    kind, items = document.root.child("kind"), document.root.child("items")
    if (
        kind is not None
        and str(kind.content).endswith("List")
        and items is not None
        and isinstance(items.content, list)
    ):
        for item in items.content:
            yield from _flat(document.replaced(item))
    else:
        yield document


def _name(root: Node) -> str:
    metadata = root.child("metadata")
    name = metadata.child("name") if metadata is not None else None
    return str(name.plain()) if name is not None and name.content else ""
