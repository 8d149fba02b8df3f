"""Clusters in a person's words."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.console import Console
from rich.text import Text

from portable.terminal.console import glyphs, printable
from portable.terminal.tables import print_pairs, print_table

if TYPE_CHECKING:
    from portable.cluster_changes import Changed
    from portable.cluster_list import ClusterInfo

_STYLES = {"ready": "good", "gone": "warn", "unknown": "warn"}


def print_clusters(console: Console, found: Sequence[ClusterInfo]) -> None:
    if not found:
        console.print(Text("portable made no clusters that are still there"))
        return
    rows = [(each.cloud, each.name, _status(each), each.version, ", ".join(each.apps)) for each in found]
    print_table(console, ("cloud", "cluster", "status", "version", "apps"), rows)
    for each in found:
        if each.status == "unknown":
            console.print(Text(f"{each.cloud} {each.name}: {printable(each.detail)}", "quiet"))


def print_cluster(console: Console, found: ClusterInfo) -> None:
    made = "portable did not make it" if found.existing else "portable"
    console.print(Text().append(f"{found.name}  ", "name").append(found.cloud, "quiet"))
    pairs = [("status", _status(found)), ("version", found.version or "unknown"), ("made by", made)]
    print_pairs(console, [*pairs, ("apps", ", ".join(found.apps) or "none")])
    for heading, lines in (("Made of", list(found.resources or ())), ("Kept data", list(found.kept))):
        if lines:
            console.print(Text(f"\n{heading}", "quiet"))
        for line in lines:
            console.print(Text(f"  {glyphs(console).bullet} {printable(line)}"))


def print_changed(console: Console, done: Changed) -> None:
    signs = glyphs(console)
    words = f"cluster {done.cluster} is changed" if done.changed else f"cluster {done.cluster} already was so"
    console.print(Text().append(f"{signs.done} ", "good").append(words, "name"))
    if done.to_keep:
        console.print(Text("so that the next `up` keeps it, change in the spec:"))
    for line in done.to_keep:
        console.print(Text(f"  {signs.bullet} {line.file}:{line.line}  {line.path}: {line.value}"))


def _status(found: ClusterInfo) -> Text:
    return Text(printable(found.status), _STYLES.get(found.status, "none"))
