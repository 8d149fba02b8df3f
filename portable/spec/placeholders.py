"""Placeholders in text: `${resources.db.host}`, with Score's rules.

`$$` stands for one `$` (so `$${x}` is the text `${x}`), a `$` before anything else stays, and `\\.` is a dot inside a name.
What may be asked for:

    ${metadata.name}, ${metadata.annotations.KEY}   replaced when the app is built: `compile` never sees them
    ${resources.NAME.OUTPUT}                        see `portable.spec.outputs`
    ${workloads.NAME.host}                          the name under which other workloads reach it
    ${workloads.NAME.port.PORT}                     the number of its service port called PORT
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass

# A `$` ends the search for the brace: with many `${` that are never closed it would take time by the square.
_TOKEN = re.compile(r"\$(?:\$|\{([^}$]*)\})")


@dataclass(frozen=True)
class Placeholder:
    """`path` is the placeholder's words: ("resources", "db", "host")."""

    path: tuple[str, ...]

    @property
    def root(self) -> str:
        """ "metadata", "resources", "workloads", or something that is an error."""
        return self.path[0]

    @property
    def name(self) -> str:
        """The resource or workload that is meant; empty when none is."""
        return self.path[1] if len(self.path) > 1 else ""

    @property
    def output(self) -> str:
        """What is wanted of it: "host", "port.web", "tls.crt"; empty when nothing is named."""
        return ".".join(self.path[2:])

    def __str__(self) -> str:
        return "${" + ".".join(word.replace(".", "\\.") for word in self.path) + "}"


def _words(inner: str) -> tuple[str, ...]:
    return tuple(word.replace("\0", ".") for word in inner.strip().replace("\\.", "\0").split("."))


def parse(text: str) -> tuple[str | Placeholder, ...]:
    """`text` as literal parts, `$$` already one `$`, and placeholders between them. Nothing of it is empty."""
    parts: list[str | Placeholder] = []
    literal = ""
    end = 0
    for match in _TOKEN.finditer(text):
        literal += text[end : match.start()]
        end = match.end()
        if match[1] is None:
            literal += "$"
            continue
        if literal:
            parts.append(literal)
            literal = ""
        parts.append(Placeholder(_words(match[1])))
    literal += text[end:]
    return (*parts, literal) if literal else tuple(parts)


def placeholders(text: str) -> tuple[Placeholder, ...]:
    """The placeholders of `text`, in order."""
    if "${" not in text:
        return ()
    return tuple(part for part in parse(text) if isinstance(part, Placeholder))


def unclosed(text: str, roots: Iterable[str]) -> str:
    """The beginning of a placeholder under one of `roots` whose brace is never closed; "" where there is none."""
    opened = re.compile(rf"\$\{{\s*(?:{'|'.join(roots)})\.[^}}$\s]*")
    text = _TOKEN.sub("", text)
    found = opened.search(text) if "${" in text else None
    return found[0] if found else ""


def replace(text: str, value: Callable[[Placeholder], str | None]) -> str:
    """`text` with those placeholders replaced for which `value` gives a text; all else stays as it is written."""

    def one(match: re.Match[str]) -> str:
        found = None if match[1] is None else value(Placeholder(_words(match[1])))
        return match[0] if found is None else found.replace("$", "$$")

    return _TOKEN.sub(one, text) if "${" in text else text
