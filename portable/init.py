"""`init`: a first spec, and the schema beside it that its first line names, for editors."""

from __future__ import annotations

from pathlib import Path

import portable_schemas
from portable.errors import UsageError
from portable.spec import starter

# Relative to the spec, as yaml-language-server has it. A copy and no address: editors complete keys offline, and by the
# schema of the very `portable` that is installed.
SCHEMA = Path(".portable") / "app.v1.schema.json"


def write_starter(file: Path) -> tuple[Path, ...]:
    """Writes `file` and, unless there is one, its schema; returns what was written.

    Raises UsageError where `file` is there already (nothing is overwritten) or cannot be written.
    """
    schema = file.parent / SCHEMA
    try:
        _write(file, starter())
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


def _write(path: Path, text: str) -> None:
    with path.open("x", encoding="utf-8") as out:
        out.write(text)
