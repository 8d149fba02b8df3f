"""Google's discovery documents: which call a request is, and whether its query, its body and its reply are as they should be.

https://developers.google.com/discovery/v1/reference/apis. The documents come with google-api-python-client.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, unquote

DOCUMENTS = (
    "container.v1",
    "compute.v1",
    "iam.v1",
    "cloudresourcemanager.v3",
    "serviceusage.v1",
    "file.v1",
    "dns.v1",
    "artifactregistry.v1",
)


class Invalid(Exception):
    """What Google would answer with 400 INVALID_ARGUMENT."""


@dataclass(frozen=True)
class Method:
    """`id`: Google's own name for it ("compute.networks.insert"). `request`, `response`: schema names, "" for none."""

    id: str
    document: str
    parameters: Mapping[str, Any]
    request: str
    response: str


@dataclass(frozen=True)
class Match:
    """`path`: the words that stand in the path, by the method's (flat) names."""

    method: Method
    path: Mapping[str, str]

    @property
    def id(self) -> str:
        return self.method.id


def match(verb: str, path: str, document: str = "") -> Match | None:
    """`document`: of this one alone, where two services have the same paths."""
    segments = path.split("/")
    for template, method in _routes().get((verb, len(segments)), ()):
        found = _fill(template, segments) if document in ("", method.document) else None
        if found is not None:
            return Match(method, found)
    return None


def _fill(template: list[str], segments: list[str]) -> dict[str, str] | None:
    found: dict[str, str] = {}
    for wanted, given in zip(template, segments, strict=True):
        name, brace, verb = wanted.removeprefix("{").partition("}")
        if not brace:
            if wanted != given:
                return None
        elif not given.endswith(verb) or ":" in given.removesuffix(verb):
            return None
        else:
            found[name] = unquote(given.removesuffix(verb))
    return found


def check_query(method: Method, query: str) -> dict[str, str]:
    """The query's values. Raises Invalid for a parameter that the method does not have."""
    known = {**method.parameters, **_document(method.document)["parameters"]}
    values = dict(parse_qsl(query, keep_blank_values=True))
    for name in values:
        # system parameters may be written with a dollar sign
        if name not in known and name.removeprefix("$") not in known:
            raise Invalid(f'Invalid JSON payload received. Unknown name "{name}": Cannot bind query parameter.')
    return values


def check_body(method: Method, body: Any) -> None:
    if not method.request:
        if body:
            raise Invalid("this method takes no body")
        return
    _check(_document(method.document)["schemas"], {"$ref": method.request}, body or {}, "body")


def check_reply(method: Method, body: Any) -> None:
    if method.response:
        _check(_document(method.document)["schemas"], {"$ref": method.response}, body, "reply")


def _check(schemas: Mapping[str, Any], schema: Mapping[str, Any], value: Any, where: str) -> None:
    if "$ref" in schema:
        _check(schemas, schemas[schema["$ref"]], value, where)
        return
    kind = schema.get("type", "any")
    if kind == "object":
        _check_object(schemas, schema, value, where)
    elif kind == "array":
        if not isinstance(value, list):
            raise Invalid(f"Invalid value at '{where}': a list is wanted")
        for index, entry in enumerate(value):
            _check(schemas, schema["items"], entry, f"{where}[{index}]")
    elif not _fits(schema, value):
        raise Invalid(f"Invalid value at '{where}' ({kind} {schema.get('format', '')}), {value!r}")


def _check_object(schemas: Mapping[str, Any], schema: Mapping[str, Any], value: Any, where: str) -> None:
    if not isinstance(value, dict):
        raise Invalid(f"Invalid value at '{where}': an object is wanted")
    properties, others = schema.get("properties", {}), schema.get("additionalProperties")
    for name, entry in value.items():
        found = properties.get(name) or others
        if found is None:
            raise Invalid(f"Invalid JSON payload received. Unknown name \"{name}\" at '{where}': Cannot find field.")
        _check(schemas, found, entry, f"{where}.{name}")


def _fits(schema: Mapping[str, Any], value: Any) -> bool:
    kind, form = schema.get("type", "any"), schema.get("format", "")
    if kind == "boolean":
        return isinstance(value, bool)
    if kind == "integer":
        return isinstance(value, int) and not isinstance(value, bool)
    if kind == "number":
        return isinstance(value, int | float) and not isinstance(value, bool)
    if kind == "string" and form in ("int64", "uint64"):
        return str(value).lstrip("-").isdigit()
    if kind == "string":
        return isinstance(value, str) and ("enum" not in schema or value in schema["enum"])
    return True


@cache
def _routes() -> dict[tuple[str, int], list[tuple[list[str], Method]]]:
    """Paths in segments, by verb and number of segments."""
    found: dict[tuple[str, int], list[tuple[list[str], Method]]] = {}
    for name in DOCUMENTS:
        document = _document(name)
        for entry in _methods(document):
            template = ("/" + document["servicePath"] + entry.get("flatPath", entry["path"])).split("/")
            method = Method(
                entry["id"],
                name,
                entry.get("parameters", {}),
                entry.get("request", {}).get("$ref", ""),
                entry.get("response", {}).get("$ref", ""),
            )
            found.setdefault((entry["httpMethod"], len(template)), []).append((template, method))
    return found


def _methods(node: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    yield from node.get("methods", {}).values()
    for child in node.get("resources", {}).values():
        yield from _methods(child)


@cache
def _document(name: str) -> dict[str, Any]:
    import googleapiclient

    folder = Path(str(googleapiclient.__file__)).parent / "discovery_cache" / "documents"
    return json.loads((folder / f"{name}.json").read_text(encoding="utf-8"))
