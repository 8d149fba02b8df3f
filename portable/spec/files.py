"""A container's files: content from the spec, in base64, or from a file beside it."""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from portable.spec import document as places
from portable.spec.model import File
from portable.spec.reader import Reader, expanded

MAX_FILE_BYTES = 1024 * 1024  # what a ConfigMap or Secret can hold


def read_file(reader: Reader, path: places.Path, target: str, body: Mapping[str, Any]) -> File:
    """The file at `path` of the spec. What is wrong with it is noted by the reader; then it is empty."""
    mode = body.get("mode")
    given = [key for key in ("source", "content", "binaryContent") if key in body]
    if len(given) != 1:
        message = "a file has no content" if not given else f"a file has {' and '.join(given)}"
        reader.error(path, message, at="key", expected="exactly one of source, content and binaryContent")
        return File(target, "", mode=mode)
    if given == ["content"]:
        return _text_file(reader, path, target, body["content"], mode, not body.get("noExpand", False))
    if given == ["binaryContent"]:
        try:
            return File(target, binary=base64.b64decode(body["binaryContent"], validate=True), mode=mode, expand=False)
        except (binascii.Error, ValueError) as error:
            reader.error((*path, "binaryContent"), f"binaryContent is not base64: {error}")
            return File(target, "", mode=mode)
    data = _source_bytes(reader, (*path, "source"), body["source"])
    reader.contents[places.spell(path)] = hashlib.sha256(data).hexdigest()
    try:
        return _text_file(reader, path, target, data.decode("utf-8"), mode, not body.get("noExpand", False))
    except UnicodeDecodeError:
        return File(target, binary=data, mode=mode, expand=False)


def _text_file(reader: Reader, path: places.Path, target: str, text: str, mode: str | None, expand: bool) -> File:
    return File(target, expanded(reader, path, text) if expand else text, mode=mode, expand=expand)


def _source_bytes(reader: Reader, path: places.Path, source: str) -> bytes:
    """The bytes of a file's source: relative to the file that names it, inside the spec's folder. Empty on a problem."""
    naming = Path(reader.document.find(path)[0].mark.file).parent
    if Path(source).is_absolute():
        reader.error(path, "source is an absolute path", expected="a path relative to the spec")
        return b""
    try:
        found = (naming / source).resolve()
        if not found.is_relative_to(reader.folder.resolve()):
            reader.error(
                path, f"{places.shown(source)} is outside the spec's folder", hint="move the file beside the spec"
            )
            return b""
        if found.is_dir():
            reader.error(path, f"{places.shown(source)} is a folder", expected="a file")
            return b""
        if not found.is_file():
            reader.error(path, f"there is no file {places.shown(source)}", expected=f"a file in {naming}")
            return b""
        with found.open("rb") as stream:
            data = stream.read(MAX_FILE_BYTES + 1)
    except (OSError, ValueError, RuntimeError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        reader.error(path, f"{places.shown(source)} cannot be read: {reason}")
        return b""
    if len(data) > MAX_FILE_BYTES:
        reader.error(
            path, f"{places.shown(source)} is larger than 1 MiB", hint="put large files into the image or a volume"
        )
        return b""
    return data
