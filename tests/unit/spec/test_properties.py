"""Whatever is given, loading ends with an App or a SpecError that has places."""

from __future__ import annotations

import copy
import json
import tempfile
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from portable.errors import SpecError
from portable.spec import Loaded, load_app
from portable.spec.document import Mark, Node, merge
from portable.spec.patches import merge_patch
from tests import soak
from tests.unit.spec.specs import FULL, HEAD
from tests.unit.spec.test_score import SCORE

pytestmark = pytest.mark.unit
MANY = settings(
    max_examples=soak.size(100, 2000),
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)


def _load(data: bytes) -> Loaded | SpecError:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "portable.yaml"
        path.write_bytes(data)
        try:
            return load_app(path)
        except SpecError as error:
            found = error
    _has_places(found, data)
    return found


def _has_places(error: SpecError, data: bytes) -> None:
    assert any(problem.severity == "error" for problem in error.problems)
    breaks = sum(data.count(mark) for mark in (b"\n", b"\r", b"\xc2\x85", b"\xe2\x80\xa8", b"\xe2\x80\xa9"))
    for problem in error.problems:
        assert problem.message
        assert problem.file
        assert 1 <= problem.line <= breaks + 2
        assert problem.column >= 1
        assert "\x1b" not in problem.message + problem.source_line


@MANY
@given(st.binary(max_size=200))
def test_any_bytes(data: bytes) -> None:
    assert isinstance(_load(data), SpecError)


@MANY
@given(st.text(max_size=80), st.integers(0, len(FULL)), st.integers(0, 40))
def test_any_text_put_into_a_spec(text: str, at: int, cut: int) -> None:
    _load((FULL[:at] + text + FULL[at + cut :]).encode("utf-8", "surrogatepass"))


SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(10**20), 10**20),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(max_size=12),
    st.sampled_from(
        ["${resources.db.host}", "${metadata.x}", "${", "$${a}", "auto", "web", "main", "0", "a:1", "1Gi", "/x", "1-"]
    ),
)
# libyaml takes three more characters for line breaks, as YAML 1.1 had it; unescaped, they are folded.
TEXTS = st.text(max_size=20).filter(lambda text: not set(text) & set("\x85\u2028\u2029"))
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(st.text(max_size=5) | st.sampled_from(["main", "type"]), inner, max_size=3),
    ),
    max_leaves=6,
)


def _places(value: Any) -> list[tuple[Any, Any]]:
    """Every (container, key) of a tree."""
    keys = list(value) if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else []
    return [(value, key) for key in keys] + [place for key in keys for place in _places(value[key])]


@pytest.mark.parametrize("text", [FULL, SCORE], ids=["portable", "score"])
@MANY
@given(st.data())
def test_any_mutation_of_a_valid_spec(text: str, data: st.DataObject) -> None:
    spec = yaml.safe_load(text)
    for _ in range(data.draw(st.integers(1, 3))):
        places = _places(spec)
        target, key = places[data.draw(st.integers(0, len(places) - 1))]
        match data.draw(st.sampled_from(["replace", "remove", "add", "swap"])):
            case "replace":
                target[key] = data.draw(VALUES)
            case "remove":
                del target[key]
            case "add" if isinstance(target, dict):
                target[data.draw(st.text(max_size=8))] = data.draw(VALUES)
            case _:
                other, other_key = places[data.draw(st.integers(0, len(places) - 1))]
                target[key] = copy.deepcopy(other[other_key])
        if not places:
            break
    _load(json.dumps(spec).encode())


@MANY
@given(VALUES, VALUES)
def test_merging_nodes_is_merging_values(target: Any, patch: Any) -> None:
    assert merge(_node(target), _node(patch)).plain() == merge_patch(target, patch)


def _node(value: Any) -> Node:
    mark = Mark("f", 1, 1)
    if isinstance(value, dict):
        return Node({key: _node(item) for key, item in value.items()}, mark, mark)
    return Node([_node(item) for item in value] if isinstance(value, list) else value, mark, mark)


@MANY
@given(st.dictionaries(st.from_regex(r"[A-Z_][A-Z0-9_]{0,8}", fullmatch=True), TEXTS, max_size=4))
def test_texts_without_placeholders_arrive_as_they_are(variables: dict[str, str]) -> None:
    escaped = {key: text.replace("$", "$$") for key, text in variables.items()}
    body = {"web": {"containers": {"main": {"image": "a:1", "variables": escaped}}}}
    loaded = _load((HEAD + f"workloads: {json.dumps(body, ensure_ascii=False)}").encode())
    if isinstance(loaded, SpecError):  # YAML has no such character, or a variable cannot hold it
        assert all("U+" in problem.message for problem in loaded.problems)
    else:
        assert loaded.app.workloads["web"].containers["main"].variables == escaped
