"""Files of `NAME=value` lines, as compose reads them (https://docs.docker.com/compose/how-tos/environment-variables/)."""

from __future__ import annotations

import re

_LINE = re.compile(r"\s*(?:export\s+)?([A-Za-z_][A-Za-z0-9_.-]*)\s*=\s*(.*?)\s*")
_COMMENT = re.compile(r"\s+#.*$")


def parse(text: str) -> dict[str, str]:
    """NAME -> value. Quotes around a value are taken away, and a comment behind one without quotes."""
    found: dict[str, str] = {}
    for line in text.splitlines():
        match = _LINE.fullmatch(line)
        if match is None or line.lstrip().startswith("#"):
            continue
        name, value = match.groups()
        quote = value[:1] if value[:1] in "'\"" else ""
        end = value.find(quote, 1) if quote else -1
        found[name] = value[1:end] if end > 0 else _COMMENT.sub("", value)
    return found
