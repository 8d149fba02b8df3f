"""What a plain YAML scalar means, by YAML 1.2's core schema (section 10.3.2 of the specification).

PyYAML's own resolver follows YAML 1.1, where `no` is false, `1:30` is 90 and `0600` is 384: none of that is wanted here.
"""

from __future__ import annotations

import re

_INTEGER = re.compile(r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_NOT_FINITE = re.compile(r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)")
_WORDS: dict[str, bool | None] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL"), None),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}
_LONGEST_NUMBER = 40


def resolve(text: str) -> str | int | float | bool | None:
    """The value of an unquoted scalar. Raises ValueError for numbers that no spec can mean (not finite, or endless)."""
    if text in _WORDS:
        return _WORDS[text]
    if text[0] not in "-+.0123456789":
        return text
    if _NOT_FINITE.fullmatch(text):
        raise ValueError(f"{text} is not a finite number")
    integer = _INTEGER.fullmatch(text) is not None
    if not integer and not _FLOAT.fullmatch(text):
        return text
    if len(text) > _LONGEST_NUMBER:
        raise ValueError(f"a number of {len(text)} digits is too long")
    if integer:
        return int(text, 0) if text[:2] in ("0o", "0x") else int(text)
    number = float(text)
    if number in (float("inf"), float("-inf")):
        raise ValueError(f"{text} is too large a number")
    return number
