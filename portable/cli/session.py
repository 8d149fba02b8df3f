"""What every command shares: how to answer (text or JSON, in colour or not) and where progress goes.

Results go to standard output, everything else to standard error. With `--output json` standard output holds JSON only: one
document for a question, JSON lines for an operation, of which the last one is its result or its error.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, is_dataclass
from typing import TYPE_CHECKING, Any

from portable.events import Emit, nowhere

if TYPE_CHECKING:
    from rich.console import Console

    from portable.terminal.progress import Progress


@dataclass
class Session:
    """`streaming`: JSON lines have begun. `doing` says what is under way. `secrets` are values that no log may show."""

    json: bool = False
    color: bool = field(default_factory=lambda: not os.environ.get("NO_COLOR"))
    verbose: bool = False
    streaming: bool = False
    command: str = ""
    doing: Callable[[], str] = lambda: ""
    secrets: list[str] = field(default_factory=list)

    @property
    def out(self) -> Console:
        from portable.terminal.console import console

        return console(sys.stdout, color=self.color)

    @property
    def err(self) -> Console:
        from portable.terminal.console import console

        return console(sys.stderr, color=self.color)

    def write_json(self, document: Any) -> None:
        """One document; on one line once lines have begun."""
        indent = None if self.streaming else 2
        sys.stdout.write(json.dumps(document, indent=indent, default=_plain) + "\n")
        sys.stdout.flush()

    def write_result(self, document: Mapping[str, Any]) -> None:
        """The last line of an operation."""
        self.write_json({"event": "result", **document})

    @contextmanager
    def operation(self) -> Iterator[Progress]:
        """Progress of an operation: a tree or lines on standard error, or JSON lines on standard output."""
        from portable.terminal.progress import json_lines, progress

        self.streaming = self.json
        shown = json_lines(sys.stdout) if self.json else progress(self.err, verbose=self.verbose)
        self.doing = lambda: shown.doing
        with shown:
            yield shown

    @contextmanager
    def question(self) -> Iterator[Emit]:
        """Progress of a question that may take a while: as `operation`, but silent with JSON."""
        if self.json:
            yield nowhere
            return
        with self.operation() as progress:
            yield progress


def _plain(value: Any) -> Any:
    if is_dataclass(value) and not isinstance(value, type):
        return asdict(value)
    if isinstance(value, Mapping):
        return dict(value)
    return list(value) if isinstance(value, (set, frozenset)) else str(value)
