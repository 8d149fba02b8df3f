"""`lint`: what ties a spec to one cloud outside `patches`, and what else would not run elsewhere as it stands.

What belongs to a cloud is known to its plugin (`ForeignMarks`). A spec without such a mark names nothing of one cloud.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from portable.errors import Problem, UsageError
from portable.provider import ForeignMarks, Provider, load_provider, provider_names
from portable.spec.document import Document, Node, shown, spell

Place = tuple[str | int, ...]


@dataclass(frozen=True)
class Smell:
    """A text that would mean something else, or nothing, on another cluster. `key`, `below`: only there; "": anywhere.

    `everywhere` False: in an environment that names its cloud it may stand.
    """

    pattern: str
    message: str
    hint: str
    key: str = ""
    below: str = ""
    everywhere: bool = True

    def concerns(self, at: Place, *, bound: bool) -> bool:
        return self.key in ("", at[-1]) and (not self.below or self.below in at) and (self.everywhere or not bound)


_SMELLS = (
    Smell(r"\bhost\.docker\.internal\b", "{} is the machine that Docker runs on", "a workload or resource by its name"),
    Smell(r"\b169\.254\.169\.254\b", "{} asks the cloud that the node runs on", "`identity`, and the cloud's SDK"),
    Smell(
        r"\.svc(\.cluster\.local)?\b", "{} has the namespace or the cluster's domain in it", "${workloads.NAME.host}"
    ),
    Smell(
        r"\b(10\.\d+\.\d+\.\d+|192\.168\.\d+\.\d+|172\.(1[6-9]|2\d|3[01])\.\d+\.\d+)\b(?!/)",
        "{} is an address of one network",
        "a name, or a value that each environment sets",
    ),
    Smell(
        r"(^|\.)localhost$",
        "{} answers on this machine only",
        "a host in an environment of its own",
        key="host",
        below="routes",
        everywhere=False,
    ),
    Smell(
        r"(:latest|/[^:@]+|^[^:@/]+)$", "{} may be another image tomorrow", "a tag that stays, or a digest", key="image"
    ),
    Smell(r"^privileged$", "not every cloud lets a pod be {}", "the least that the image needs", key="level"),
)
_REGION = ("a region is one cloud's word", "`cluster.region` in an environment that names its cloud")
_IDENTITY = ("an identity means something else on each cloud", "`identity` in an environment that names its cloud")


@dataclass(frozen=True)
class Report:
    """`clouds`: whose marks were looked for. Errors name a cloud, warnings are smells."""

    file: Path
    clouds: tuple[str, ...]
    problems: tuple[Problem, ...]

    @property
    def errors(self) -> int:
        return sum(problem.severity == "error" for problem in self.problems)


def lint(file: Path) -> Report:
    """Raises SpecError where `file` is no valid spec: what is wrong on every cloud comes first."""
    from portable.spec import load_app
    from portable.spec.load import read_document
    from portable.spec.score import with_score

    load_app(file)
    document, _ = with_score(read_document(file))
    providers = [load_provider(name) for name in provider_names()]
    linter = _Linter(document, providers)
    found = sorted(dict.fromkeys(linter.problems()), key=document.order)
    return Report(file, tuple(each.name for each in providers if isinstance(each, ForeignMarks)), tuple(found))


class _Linter:
    def __init__(self, document: Document, providers: Sequence[Provider]) -> None:
        self._document = document
        self._marks = [
            (each, mark) for each in providers if isinstance(each, ForeignMarks) for mark in each.foreign_marks
        ]

    def problems(self) -> Iterator[Problem]:
        root = self._document.root
        for section in ("metadata", "workloads", "resources", "cluster"):
            yield from self._part(root.child(section), (section,), None)
        yield from self._patches(root.child("patches"), ("patches",))
        for name, environment in _entries(root.child("environments")):
            cloud = self._cloud(environment)
            for key, node in _entries(environment):
                path = ("environments", name, key)
                if key == "patches":
                    yield from self._patches(node, path)
                elif key != "cloud":
                    yield from self._part(node, path, cloud)

    def _cloud(self, environment: Node) -> Provider | None:
        name = environment.child("cloud")
        try:
            return load_provider(str(name.content)) if name is not None else None
        except UsageError:
            return None  # a plugin that is not installed here

    def _part(self, node: Node | None, path: Place, cloud: Provider | None) -> Iterator[Problem]:
        if node is None:
            return
        for at, found in _walk(node, path):
            yield from self._foreign(at, found, cloud)
            yield from self._smells(at, found, bound=cloud is not None)
            if at[-1] == "source" and "files" in at:
                yield from self._file(at, found)
            if cloud is None and at[-2:] == ("cluster", "region"):
                yield self._problem(found, at, *_REGION, severity="warning")
            if cloud is None and at[-1] == "identity" and "workloads" in at:
                yield self._problem(found, at, *_IDENTITY, severity="warning")

    def _foreign(self, at: Place, found: Node, cloud: Provider | None) -> Iterator[Problem]:
        for provider, mark in self._marks:
            text = at[-1] if mark.where == "key" else found.content
            if not isinstance(text, str) or not re.search(mark.pattern, text):
                continue
            if cloud is not None and cloud.name == provider.name and mark.place and mark.place == at[-1]:
                return  # where it belongs
            yield self._problem(found, at, f"{shown(text)} is {mark.what}", f"{mark.instead}")
            return

    def _file(self, at: Place, found: Node) -> Iterator[Problem]:
        """The lines of a file that is put into a container. Marks that are a whole text ("^gp3$") mean nothing in a line."""
        text = (Path(found.mark.file).parent / str(found.content)).read_bytes().decode(errors="replace")
        marks = [mark for _, mark in self._marks if mark.where == "value" and not mark.pattern.startswith("^")]
        for number, line in enumerate(text.splitlines(), 1):
            mark = next((mark for mark in marks if re.search(mark.pattern, line)), None)
            if mark is not None:
                yield self._problem(found, at, f"line {number} of {found.content} has {mark.what}", mark.instead)

    def _smells(self, at: Place, found: Node, *, bound: bool) -> Iterator[Problem]:
        text = found.content
        for smell in _SMELLS:
            if isinstance(text, str) and smell.concerns(at, bound=bound):
                match = re.search(smell.pattern, text)
                if match and not (at[-1] == "image" and _built(self._document, at)):
                    message = smell.message.format(shown(text if smell.key else match[0]))
                    yield self._problem(found, at, message, smell.hint, severity="warning")

    def _patches(self, node: Node | None, path: Place) -> Iterator[Problem]:
        """A patch may say anything; one that is for every cloud should not speak of one."""
        for name, patch in _entries(node):
            for at, found in _walk(patch, (*path, name)):
                if at[-1] == "hostPath":
                    yield self._problem(
                        found, at, "a path of the node ties the pod to it", "a volume", severity="warning"
                    )
                if patch.child("cloud") is None and (foreign := next(self._foreign(at, found, None), None)):
                    hint = "`cloud` in the patch says which cloud it is for"
                    yield self._problem(found, at, foreign.message, hint, severity="warning")

    def _problem(self, node: Node, at: Place, message: str, instead: str, *, severity: str = "error") -> Problem:
        words = spell(at)
        mark = node.mark if isinstance(node.content, str) else node.key or node.mark
        level = "error" if severity == "error" else "warning"
        return self._document.problem_at(mark, message, path=words, expected=instead, severity=level)


def _built(document: Document, at: Place) -> bool:
    """An image beside `build` is a repository: its tag is made from what is built."""
    container, depth = document.find(at[:-1])
    return depth == len(at) - 1 and container.child("build") is not None


def _entries(node: Node | None) -> list[tuple[str, Node]]:
    return list(node.content.items()) if node is not None and isinstance(node.content, dict) else []


def _walk(node: Node, path: Place) -> Iterator[tuple[Place, Node]]:
    """Every key and text below `node`, itself included."""
    yield path, node
    if isinstance(node.content, dict):
        for name, child in node.content.items():
            yield from _walk(child, (*path, name))
    elif isinstance(node.content, list):
        for index, child in enumerate(node.content):
            yield from _walk(child, (*path, index))
