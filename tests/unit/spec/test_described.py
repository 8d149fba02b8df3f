"""The schema, the starter and the reference: what people read must be true."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

import portable_schemas
from portable.spec import starter
from tests.unit.spec.specs import FULL, load

pytestmark = pytest.mark.unit


def test_the_starter_is_valid_without_a_warning(tmp_path: Path) -> None:
    loaded = load(tmp_path, starter())
    assert loaded.warnings == ()
    assert loaded.app.workloads["web"].kind == "service"
    assert starter().startswith("# yaml-language-server: $schema=")


@pytest.mark.parametrize("name", portable_schemas.NAMES)
def test_the_schemas_are_schemas(name: str) -> None:
    Draft202012Validator.check_schema(portable_schemas.load(name))
    assert json.loads(portable_schemas.text(name)) == portable_schemas.load(name)


def test_no_other_schema() -> None:
    with pytest.raises(KeyError):
        portable_schemas.text("../app.v1")


def _schemas(schema: Any, path: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """Every schema that describes a key."""
    for name, child in schema.get("properties", {}).items():
        yield f"{path}.{name}", child
        yield from _schemas(child, f"{path}.{name}")
    for keyword in ("items", "additionalProperties"):
        if isinstance(schema.get(keyword), dict):
            yield from _schemas(schema[keyword], f"{path}.{keyword}")


def _all_keys() -> list[tuple[str, dict[str, Any]]]:
    root = portable_schemas.load("app.v1")
    found = list(_schemas(root))
    for name, definition in root["$defs"].items():
        found += [(name, definition), *_schemas(definition, name)]
    return found


def test_every_key_is_described() -> None:
    root = portable_schemas.load("app.v1")
    for path, schema in _all_keys():
        target = {**root["$defs"][schema["$ref"].removeprefix("#/$defs/")], **schema} if "$ref" in schema else schema
        for word in ("title", "description", "examples"):
            assert target.get(word), f"{path} has no {word}"


def test_every_example_fits_its_schema() -> None:
    root = portable_schemas.load("app.v1")
    checked = 0
    for path, schema in _all_keys():
        validator = Draft202012Validator({**schema, "$defs": root["$defs"]})
        for example in schema.get("examples", ()):
            assert not [error.message for error in validator.iter_errors(example)], f"{path}: {example}"
            checked += 1
    assert checked > 100


def test_maps_are_closed() -> None:
    free = {"environment", "merge", "resource"}
    for path, schema in _all_keys():
        if "properties" in schema and path.rsplit(".", 1)[-1] not in free:
            assert schema.get("additionalProperties") is False, path


def test_the_full_spec_uses_every_key_of_a_workload(tmp_path: Path) -> None:
    """So that the tests on it stand for the whole of the schema."""
    spec = load(tmp_path, FULL).app.spec
    definitions = portable_schemas.load("app.v1")["$defs"]
    used = {key for workload in spec["workloads"].values() for key in workload}
    containers = [container for workload in spec["workloads"].values() for container in workload["containers"].values()]
    assert set(definitions["workload"]["properties"]) - used <= {"score"}
    # A build needs its folder there: tests/unit/images/test_spec.py.
    assert set(definitions["container"]["properties"]) - {"build"} == {key for each in containers for key in each}
    assert set(definitions["resource"]["properties"]["type"]["enum"]) == {
        resource["type"] for resource in spec["resources"].values()
    }


def test_importing_the_spec_is_light() -> None:
    code = "import sys, portable.spec\nprint([m for m in ('jsonschema', 'yaml', 'jsonpatch') if m in sys.modules])"
    result = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert result.stdout.strip() == "[]"
