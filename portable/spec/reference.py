"""The reference of the spec as Markdown, generated from its JSON Schema."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

import portable_schemas

Schema = Mapping[str, Any]

_TYPES = {
    "object": "map",
    "array": "list",
    "string": "text",
    "integer": "whole number",
    "number": "number",
    "boolean": "true or false",
}
# Definitions with a section of their own; all others are written out where they are used.
_SECTIONS = (
    "metadata",
    "workload",
    "container",
    "build",
    "probe",
    "route",
    "resource",
    "cluster",
    "environment",
    "patch",
)
_RESOURCES = ("volume", "secret", "config", "registry", "postgres", "redis")
_PREAMBLE = """\
# The spec

<!-- Made from schemas/portable_schemas/app.v1.schema.json by `make docs`; a test compares. -->

A spec is one YAML 1.2 file, `portable.yaml`. Maps are keyed by name; unknown keys are errors. A plain `score.yaml`
(Score v1b1) is accepted in its place.

In `variables` and in the `content` of `files`, placeholders stand for values: `${metadata.name}`,
`${resources.NAME.OUTPUT}`, `${workloads.NAME.host}` and `${workloads.NAME.port.PORT}`. `$$` is one `$`, and a dot in a
name is written `\\.`.
"""


def markdown() -> str:
    """docs/reference/spec.md, ending with a newline."""
    root = portable_schemas.load("app.v1")
    return "\n".join(_lines(root)).rstrip() + "\n"


def _lines(root: Schema) -> Iterator[str]:
    yield _PREAMBLE
    yield from _section("The app", root, root)
    for name in _SECTIONS:
        definition = root["$defs"][name]
        yield from _section(definition["title"], definition, root)
        if name == "resource":
            for kind in _RESOURCES:
                yield from _section(f"Resource: {kind}", root["$defs"][kind], root)


def _section(title: str, schema: Schema, root: Schema) -> Iterator[str]:
    yield f"## {title}"
    yield ""
    yield schema["description"]
    yield ""
    rows = list(_rows(schema, root, ""))
    if rows:
        yield "| key | type | meaning |"
        yield "| --- | --- | --- |"
        yield from rows
        yield ""
    if schema.get("examples"):
        yield "```yaml"
        yield _yaml(schema["examples"][0])
        yield "```"
        yield ""


def _rows(schema: Schema, root: Schema, prefix: str) -> Iterator[str]:
    for name, child in schema.get("properties", {}).items():
        required = name in schema.get("required", ())
        yield from _row(f"{prefix}{name}", child, root, required)
    entries = schema.get("additionalProperties")
    if isinstance(entries, dict):
        yield from _row(f"{prefix}NAME", entries, root, False)


def _row(key: str, schema: Schema, root: Schema, required: bool) -> Iterator[str]:
    named = str(schema.get("$ref", "")).removeprefix("#/$defs/")
    full = _resolved(schema, root)
    meaning = full.get("description", "")
    if required:
        meaning = f"**Required.** {meaning}"
    yield f"| `{key}` | {_type(full, root)} | {_cell(meaning + _limits(full) + _examples(full))} |"
    if named not in _SECTIONS and (full.get("properties") or _nested(full)):
        yield from _rows(full, root, f"{key}.")


def _nested(schema: Schema) -> bool:
    """Whether the entries of a map of names are worth rows of their own."""
    entries = schema.get("additionalProperties")
    return isinstance(entries, dict) and bool({"$ref", "properties"} & set(entries))


def _resolved(schema: Schema, root: Schema) -> Schema:
    if "$ref" not in schema:
        return schema
    target = _resolved(root["$defs"][schema["$ref"].removeprefix("#/$defs/")], root)
    return {**target, **{key: value for key, value in schema.items() if key != "$ref"}}


def _type(schema: Schema, root: Schema) -> str:
    if "const" in schema:
        return f"`{schema['const']}`"
    if "enum" in schema:
        return ", ".join(f"`{word}`" for word in schema["enum"])
    kinds = schema.get("type", "any")
    words = [_TYPES.get(str(kind), str(kind)) for kind in (kinds if isinstance(kinds, list) else [kinds])]
    items = schema.get("items")
    if words == ["list"] and isinstance(items, dict):
        return f"list of {_type(_resolved(items, root), root)}"
    return " or ".join(words)


def _limits(schema: Schema) -> str:
    low, high = schema.get("minimum"), schema.get("maximum")
    if low is not None and high is not None:
        return f" From {low} to {high}."
    if low:
        return f" At least {low}."
    return ""


def _examples(schema: Schema) -> str:
    examples = [item for item in schema.get("examples", ()) if not isinstance(item, dict | list)]
    if not examples or "const" in schema or "enum" in schema:
        return ""
    return " Example: " + ", ".join(f"`{_scalar(item)}`" for item in examples) + "."


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ").strip()


def _scalar(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _yaml(value: object) -> str:
    import yaml

    return yaml.safe_dump(value, sort_keys=False, allow_unicode=True).rstrip()
