"""Checks a document against its JSON Schema and says what is wrong in the spec's words.

The schemas avoid `oneOf` and `anyOf`, so that every jsonschema error is about one place; texts that a pattern cannot give
stand in the schema as `patternErrorMessage` (which YAML editors show, too), and why a number has a floor as
`minimumErrorMessage`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from itertools import islice
from typing import Any, NamedTuple, TypeAlias

import portable_schemas
from portable.errors import Problem
from portable.spec.document import Document, Path, did_you_mean, listed, shown
from portable.spec.foreign import SCORE_BUILD

MAX_PROBLEMS = 200

_TYPES = {
    "object": "a map",
    "array": "a list",
    "string": "text",
    "integer": "a whole number",
    "number": "a number",
    "boolean": "true or false",
}

# What people who know Compose or Kubernetes write, and what it is called here.
_OTHER_WORDS = {
    "env": "`variables`",
    "environment": "`variables`",
    "envFrom": "`variables`",
    "entrypoint": "`command`",
    "cmd": "`command`",
    "replicas": "`scale: {min: N}`",
    "ports": "`service: {ports: {NAME: {port: N}}}`",
    "expose": "`service: {ports: {NAME: {port: N}}}`",
    "ingress": "`routes`",
    "domain": "`routes: {NAME: {host: ...}}`",
    "depends_on": "`after`",
    "dependsOn": "`after`",
    "healthcheck": "`livenessProbe`",
    "volumeMounts": "`volumes`",
    "secrets": "`resources: {NAME: {type: secret}}`",
    "configs": "`resources: {NAME: {type: config}}`",
    "services": "`workloads`",
    "cron": "`schedule`",
    "serviceAccount": "`identity`",
    "securityContext": "`security`",
    "name": "",
}

_Words: TypeAlias = Iterator[tuple[Path, dict[str, Any]]]


class _Context(NamedTuple):
    """What a rewrite may look at beside the error: the document, and the whole schema."""

    document: Document
    schema: Mapping[str, Any]


@cache
def _validator(name: str) -> Any:
    from jsonschema import Draft202012Validator

    return Draft202012Validator(portable_schemas.load(name))


class Checked(NamedTuple):
    """`problems` in the file's order; `broken`: the paths they are about, cut to two steps ("workloads", "api").

    An empty path in `broken` means that checking was given up: nothing of the document can be relied on.
    """

    problems: list[Problem]
    broken: frozenset[Path]


def check_schema(document: Document, schema: str, value: Any) -> Checked:
    """Every fault of `value` (`document` without places) against the schema called `schema`.

    At most `MAX_PROBLEMS` of them, so that a file of nonsense ends soon.
    """
    context = _Context(document, portable_schemas.load(schema))
    found: dict[Problem, None] = {}
    broken: set[Path] = set()
    for error in islice(_validator(schema).iter_errors(value), MAX_PROBLEMS):
        rewrite = _REWRITES.get(error.validator, _other)
        words = rewrite(error, tuple(error.absolute_path), context)
        for path, texts in islice(words, MAX_PROBLEMS):
            found.setdefault(document.problem(path, **texts))
            if error.validator != "additionalProperties":  # nobody reads an unknown key: all else can still be checked
                broken.add(path[:2])
    too_many = len(found) >= MAX_PROBLEMS
    problems = sorted(found, key=document.order)[:MAX_PROBLEMS]
    return Checked(problems, frozenset({()} if too_many else broken))


def _title(schema: Mapping[str, Any]) -> str:
    return str(schema.get("title", "value")).lower()


def _subject(path: Path) -> str:
    """How a message calls the value at `path`: its key, or "item 2 of args"."""
    if not path:
        return "the spec"
    *above, last = path
    if isinstance(last, int):
        return f"item {last + 1} of {above[-1]}" if above else f"item {last + 1}"
    return last


def _resolved(schema: Mapping[str, Any], root: Mapping[str, Any]) -> Mapping[str, Any]:
    reference = schema.get("$ref")
    if not isinstance(reference, str):
        return schema
    target = root["$defs"][reference.removeprefix("#/$defs/")]
    return {**_resolved(target, root), **{key: value for key, value in schema.items() if key != "$ref"}}


def _example(name: str, schema: Mapping[str, Any]) -> str:
    """A line to add for the missing key `name`."""
    if "const" in schema:
        return f"{name}: {schema['const']}"
    example = next(iter(schema.get("examples", ())), None)
    if example is None or isinstance(example, dict | list):
        return f"{name}, {_TYPES.get(str(schema.get('type')), 'a value')}"
    return f"{name}, such as `{name}: {example}`"


def _required(error: Any, path: Path, context: _Context) -> _Words:
    """jsonschema gives one error for each missing key, but the key only in its message: so all are looked at once."""
    missing = [name for name in error.validator_value if name not in error.instance]
    name = next((name for name in missing if error.message.startswith(repr(name))), missing[0])
    properties = error.schema.get("properties", {})
    where = f"in {path[-1]} " if path and isinstance(path[-1], str) else ""
    yield (
        path,
        {
            "message": f'"{name}" is missing {where}'.rstrip(),
            "at": "key",
            "expected": _example(name, _resolved(properties.get(name, {}), context.schema)),
        },
    )


def _additional(error: Any, path: Path, _context: _Context) -> _Words:
    known = list(error.schema.get("properties", {}))
    for name in error.instance:
        if name in known:
            continue
        yield (
            (*path, name),
            {
                "message": f"unknown key {shown(name)}",
                "at": "key",
                "expected": listed(known, 20),
                "hint": _other_word(name, known) or did_you_mean(name, known),
            },
        )


def _other_word(name: str, known: list[str]) -> str:
    if name == "build" and "image" in known:
        return SCORE_BUILD
    if name == "build":
        return "`build` stands in a container: `containers: {main: {build: .}}`"
    if name in ("ports", "expose") and "image" in known:
        return "ports are the workload's: `service: {ports: {NAME: {port: N}}}` beside `containers`"
    if name.startswith("x-"):
        return "extension keys are not read; use annotations, or a comment"
    word = _OTHER_WORDS.get(name, "")
    first = word.strip("`").partition(":")[0]
    return f"here it is called {word}" if first in known else ""


def _type(error: Any, path: Path, context: _Context) -> _Words:
    allowed = error.validator_value if isinstance(error.validator_value, list) else [error.validator_value]
    wanted = " or ".join(_TYPES[name] for name in allowed)
    instance = error.instance
    texts: dict[str, Any] = {"message": f"{_subject(path)} must be {wanted}, not {shown(instance)}"}
    if instance is None:
        texts["message"] = f"{_subject(path)} has no value"
        texts["expected"] = wanted
    if "string" in allowed and isinstance(instance, bool | int | float):
        written = context.document.find(path)[0].text or str(instance)
        if re.search(error.schema.get("pattern", ""), written):
            texts["hint"] = f'put it in quotes: "{written}"'
        else:
            texts["expected"] = error.schema.get("patternErrorMessage", "")
    elif isinstance(instance, str) and instance.isdecimal() and "integer" in allowed:
        texts["hint"] = f"leave out the quotes: {instance}"
    elif isinstance(instance, list) and allowed == ["object"]:
        texts["hint"] = "this is a map, keyed by name; leave out the dashes"
    elif allowed == ["object"] and len(required := error.schema.get("required", ())) == 1:
        texts["hint"] = f"write it out: {{{required[0]}: {shown(instance)}}}"
    elif isinstance(instance, str) and allowed == ["array"]:
        texts["hint"] = f"write it as a list: [{shown(instance)}]"
    yield path, texts


def _choice(error: Any, path: Path, _context: _Context) -> _Words:
    allowed = error.validator_value if error.validator == "enum" else [error.validator_value]
    expected = listed(str(word) for word in allowed)
    yield (
        path,
        {
            "message": f"{_subject(path)} cannot be {shown(error.instance)}",
            "expected": f"one of {expected}" if len(allowed) > 1 else expected,
            "hint": did_you_mean(error.instance, map(str, allowed)),
        },
    )


def _pattern(error: Any, path: Path, _context: _Context) -> _Words:
    named = "propertyNames" in error.absolute_schema_path
    where = (*path, error.instance) if named else path
    yield (
        where,
        {
            "message": f"{shown(error.instance)} is not a valid {_title(error.schema)}",
            "at": "key" if named else "value",
            "expected": error.schema.get("patternErrorMessage", ""),
        },
    )


def _bound(error: Any, path: Path, _context: _Context) -> _Words:
    small = error.validator in ("minimum", "exclusiveMinimum")
    than = {"minimum": "at least", "maximum": "at most", "exclusiveMinimum": "more than"}[error.validator]
    yield (
        path,
        {
            "message": f"{_subject(path)} is too {'small' if small else 'large'}: {shown(error.instance)}",
            "expected": f"{than} {error.validator_value}",
            "hint": error.schema.get("minimumErrorMessage", "") if small else "",
        },
    )


def _length(error: Any, path: Path, _context: _Context) -> _Words:
    named = "propertyNames" in error.absolute_schema_path
    where = (*path, error.instance) if named else path
    if error.validator == "maxLength":
        message = f"{shown(error.instance)} is too long: {len(error.instance)} characters"
        expected = f"{error.validator_value} characters at most"
    elif error.validator == "minLength" and error.validator_value > 1:
        message = f"{shown(error.instance)} is too short"
        expected = f"{error.validator_value} characters at least"
    else:
        message, expected = f"{_subject(where)} must not be empty", ""
    yield where, {"message": message, "expected": expected, "at": "key" if named else "value"}


def _too_many(error: Any, path: Path, _context: _Context) -> _Words:
    most = error.validator_value
    yield (
        path,
        {"message": f"{_subject(path)} has {len(error.instance)} keys", "expected": f"{most} of them", "at": "key"},
    )


def _other(error: Any, path: Path, _context: _Context) -> _Words:
    yield path, {"message": f"{_subject(path)} is not right: {error.message}"}


_REWRITES: Mapping[str, Callable[[Any, Path, _Context], _Words]] = {
    "required": _required,
    "additionalProperties": _additional,
    "type": _type,
    "enum": _choice,
    "const": _choice,
    "pattern": _pattern,
    "minimum": _bound,
    "maximum": _bound,
    "exclusiveMinimum": _bound,
    "minLength": _length,
    "maxLength": _length,
    "minItems": _length,
    "minProperties": _length,
    "maxProperties": _too_many,
}
