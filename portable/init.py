"""`init`: a first spec, and the schema beside it that its first line names, for editors."""

from __future__ import annotations

import re
from pathlib import Path

import portable_schemas
from portable.errors import UsageError
from portable.spec import starter
from portable.spec.load import parse
from portable.spec.validate import check_schema

# Relative to the spec, as yaml-language-server has it. A copy and no address: editors complete keys offline, and by the
# schema of the very `portable` that is installed.
SCHEMA = Path(".portable") / "app.v1.schema.json"
_LONGEST = 30  # of a name that nobody chose; an environment's is put behind it


def write_starter(file: Path, name: str | None = None) -> tuple[Path, ...]:
    """Writes `file` and, unless there is one, its schema; returns what was written.

    `name` is the app's; None: its folder's, so that two first apps on one machine do not take each other's place.
    Raises UsageError for a name that no app can have, and where `file` is there already or cannot be written.
    """
    schema = file.parent / SCHEMA
    text = _named(name or _folder_name(file))
    try:
        _write(file, text)
    except FileExistsError:
        raise UsageError(f"{file} exists already", fix="name another file, or move that one away") from None
    except OSError as error:
        raise UsageError(
            f"{file} cannot be written: {error.strerror}", fix="name a file in a folder that exists"
        ) from error
    if schema.exists():
        return (file,)
    try:
        schema.parent.mkdir(exist_ok=True)
        _write(schema, portable_schemas.text("app.v1"))
    except OSError as error:
        raise UsageError(
            f"{file} is written, but not its schema: {schema}: {error.strerror}",
            fix="the spec works without it; for editors, `portable schema` prints it",
        ) from error
    return file, schema


def _named(name: str) -> str:
    text = starter(name)
    document = parse(text, "portable.yaml")
    problems = check_schema(document, "app.v1", document.root.plain()).problems
    if problems:
        raise UsageError(problems[0].message, fix=f"a name has {problems[0].expected}")
    return text


def _folder_name(file: Path) -> str:
    """As much of the folder's name as an app can have."""
    words = re.sub(r"[^a-z0-9]+", "-", file.absolute().parent.name.lower())
    return words.lstrip("-0123456789")[:_LONGEST].rstrip("-") or "hello"


def _write(path: Path, text: str) -> None:
    with path.open("x", encoding="utf-8") as out:
        out.write(text)
