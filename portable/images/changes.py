"""What a change of files means for an image: nothing, files to copy into what runs, or a build; and always why."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from portable.images.content import files, ignore_file
from portable.images.wanted import Wanted
from portable.spec.model import Build


@dataclass(frozen=True)
class Verdict:
    """`files`: path on this machine -> path in the container, for "sync"."""

    image: Wanted
    action: Literal["nothing", "sync", "build"]
    reason: str
    files: Mapping[Path, str] = field(default_factory=dict)


def judge(image: Wanted, changed: Collection[Path]) -> Verdict | None:
    """What to do about `changed` (absolute paths) for `image`; None where none of them is in its context."""
    context = Path(image.build.context)
    inside = sorted(
        str(path.relative_to(context)) for path in changed if path.is_relative_to(context) and path != context
    )
    inside = [name for name in inside if not (context / name).is_dir()]
    if not inside:
        return None
    ignored = ignore_file(image.build)
    special = [name for name in inside if name in (image.build.dockerfile, ignored)]
    if special:
        return Verdict(image, "build", f"{special[0]} changed")
    visible = set(files(image.build))
    seen = [name for name in inside if name in visible or not (context / name).exists()]
    if not seen:
        return Verdict(image, "nothing", f"{ignored} leaves out {_some(inside)}")
    return _judge_seen(image, context, seen)


def _judge_seen(image: Wanted, context: Path, seen: list[str]) -> Verdict:
    targets = {name: synced(image.build, name) for name in seen}
    if gone := [name for name in seen if not (context / name).exists()]:
        return Verdict(image, "build", f"{_some(gone)} was deleted, which only a new image can show")
    if not image.build.sync:
        return Verdict(image, "build", f"{_some(seen)} changed, and the build has no `sync`")
    if outside := [name for name, target in targets.items() if target is None]:
        return Verdict(image, "build", f"{_some(outside)} changed, which is under no path of `sync`")
    return Verdict(
        image,
        "sync",
        f"{_some(seen)} changed",
        {context / name: target for name, target in targets.items() if target is not None},
    )


def synced(build: Build, name: str) -> str | None:
    """Where the file `name` of the context goes in the container, by the longest path of `sync` that it is under."""
    fitting = [source for source in build.sync if _under(name, _plain(source))]
    if not fitting:
        return None
    source = max(fitting, key=lambda each: len(_plain(each)))
    rest = name.removeprefix(_plain(source)).lstrip("/")
    target = build.sync[source].rstrip("/")
    return f"{target}/{rest}" if rest else target


def _plain(source: str) -> str:
    return source.removeprefix("./").strip("/").removeprefix(".")


def _under(name: str, source: str) -> bool:
    return not source or name == source or name.startswith(f"{source}/")


def _some(names: list[str]) -> str:
    return names[0] if len(names) == 1 else f"{names[0]} and {len(names) - 1} more"
