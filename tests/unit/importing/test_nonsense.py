"""Whatever stands in a file: an import ends with a spec or with an error of ours, never with a traceback."""

from __future__ import annotations

import copy
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from portable.errors import PortableError
from portable.importing.compose import from_compose
from portable.importing.draft import Draft
from portable.importing.manifests import from_manifests
from portable.importing.write import check, imported
from tests import soak
from tests.unit.importing.test_compose import STACK
from tests.unit.importing.test_manifests import SHOP

pytestmark = pytest.mark.unit

VALUES = (
    None,
    True,
    0,
    -1,
    7,
    1.5,
    "",
    "x",
    "a:b",
    "${A",
    "1m",
    [],
    ["x"],
    [{}],
    {},
    {"x": 1},
    {"name": "y"},
    [[1]],
    [None],
)
TRIES = soak.size(60, 2000)


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    entries = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [found for key, child in entries for found in [(*path, key), *places(child, (*path, key))]]


def broken(document: Any, chance: random.Random) -> Any:
    """`document` with one value replaced by another that has no business there."""
    changed = copy.deepcopy(document)
    *above, last = chance.choice(places(changed))
    target = changed
    for step in above:
        target = target[step]
    target[last] = chance.choice(VALUES)
    return changed


@pytest.mark.parametrize(
    ("text", "read"),
    [(STACK, from_compose), (SHOP, lambda file: from_manifests([file]))],
    ids=["compose", "manifests"],
)
def test_one_wrong_value_is_no_crash(text: str, read: Callable[[Path], Draft], tmp_path: Path) -> None:
    documents = list(yaml.safe_load_all(text))
    spec = tmp_path / "portable.yaml"
    (tmp_path / "api").mkdir()
    (tmp_path / "api" / "Dockerfile").write_text("FROM x\n")
    survived = 0
    for seed in range(TRIES):
        chance = random.Random(seed)
        changed = broken(documents, chance)
        (tmp_path / "input.yaml").write_text(yaml.safe_dump_all(changed))
        spec.unlink(missing_ok=True)
        try:
            check(imported(read(tmp_path / "input.yaml"), "input.yaml"), spec)
            survived += 1
        except PortableError:
            pass
        except Exception as error:
            raise AssertionError(f"seed {seed}: {error!r}") from error
    assert survived > TRIES // 3
