"""Reads what the documents promise: their commands, files and links.

```console           `$ ` begins a command, `> ` goes on with it; what follows is output
# exits with 3        before a command: it ends so, not with 0
<!-- file: NAME -->   before a block: its content is put into NAME
<!-- not run: WHY --> before a console or sh block: it is not run
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
_FENCE = re.compile(r"^( *)```(\w*)\s*$")
_FILE = re.compile(r"<!-- file: (\S+) -->")
_NOT_RUN = re.compile(r"<!-- not run: (\S.*) -->")
_EXIT = re.compile(r"# exits with (\d+)$")
_LINK = re.compile(r"(?<!!)\[[^\]\n]*\]\(([^)\s]+)\)|!\[[^\]\n]*\]\(([^)\s]+)\)")


@dataclass
class Command:
    """`output` are the lines that are shown; `code` is what it has to end with."""

    text: str
    line: int
    code: int = 0
    output: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class File:
    name: str
    content: str


@dataclass(frozen=True)
class Block:
    """A fenced block; `line` is that of its fence, `lead` the last line with text before it."""

    language: str
    lines: list[str]
    line: int
    lead: str


def documents() -> list[Path]:
    return [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]


def blocks(document: Path) -> list[Block]:
    found: list[Block] = []
    lines, lead = document.read_text().splitlines(), ""
    numbered = iter(enumerate(lines, 1))
    for number, line in numbered:
        fence = _FENCE.match(line)
        if fence is None:
            lead = line.strip() or lead
            continue
        content: list[str] = []
        for _number, inner in numbered:
            if inner.strip() == "```":
                break
            content.append(inner.removeprefix(fence[1]))
        found.append(Block(fence[2], content, number, lead))
        lead = ""
    return found


def steps(document: Path) -> list[Command | File]:
    """What a reader would do, in order. Raises ValueError for a block that says it cannot be run without a reason."""
    found: list[Command | File] = []
    for block in blocks(document):
        if named := _FILE.search(block.lead):
            found.append(File(named[1], "\n".join(block.lines) + "\n"))
        elif block.language == "console" and not _NOT_RUN.search(block.lead):
            found += commands(block)
        elif block.language in ("sh", "bash") and not _NOT_RUN.search(block.lead):
            raise ValueError(f"{document}:{block.line}: use a console block, or say why it is not run")
    return found


def commands(block: Block) -> list[Command]:
    found: list[Command] = []
    code, more = 0, False
    for number, line in enumerate(block.lines, block.line + 1):
        if expected := _EXIT.match(line):
            code = int(expected[1])
        elif line.startswith("$ "):
            found.append(Command(line[2:], number, code))
            code, more = 0, True
        elif more and line.startswith("> "):
            found[-1].text += "\n" + line[2:]
        else:
            more = False
            if line.strip() and found:
                found[-1].output.append(line)
    return found


def links(document: Path) -> list[str]:
    """Where the document points to, without what stands in code."""
    text = re.sub(r"^ *```.*?^ *```", "", document.read_text(), flags=re.DOTALL | re.MULTILINE)
    return [first or second for first, second in _LINK.findall(re.sub(r"`[^`\n]*`", "", text))]


def anchors(document: Path) -> set[str]:
    """Headings, as a code host makes anchors of them."""
    text = re.sub(r"^ *```.*?^ *```", "", document.read_text(), flags=re.DOTALL | re.MULTILINE)
    headings = re.findall(r"^#+ (.*)$", text, flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-") for heading in headings}
