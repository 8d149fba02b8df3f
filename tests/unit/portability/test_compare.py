"""What each cloud makes of one spec, from its profile alone."""

from __future__ import annotations

from pathlib import Path

import pytest

from portable.compare import compare, rows
from portable.errors import SpecError
from portable.target import Request

pytestmark = pytest.mark.unit

SHOP = Path(__file__).parents[3] / "examples" / "shop" / "portable.yaml"


def test_the_shop_side_by_side() -> None:
    sides = {side.cloud: side for side in compare(Request(file=SHOP))}
    assert list(sides) == ["aws", "azure", "gcp", "kind"]
    assert (sides["kind"].replicas["web"], sides["aws"].replicas["web"]) == ("1", "2")
    assert sides["gcp"].replicas["api"] == "1-4"
    assert {side.classes["storage, one node"] for side in sides.values()} == {
        "portable-gp3", "portable-disk", "portable-rwo", "portable",
    }  # fmt: skip
    assert sides["gcp"].classes["ingress"] == "gce (annotation)"
    assert sides["aws"].objects["IngressClass"] == 1
    assert "IngressClass" not in sides["kind"].objects
    assert sides["kind"].images["db"].startswith("portable/postgres")
    table = dict(rows(tuple(sides.values())))
    assert table["replicas of web"] == ("2", "2", "2", "1")
    assert table["StorageClass"][3] == "-"


def test_what_a_cloud_cannot_do_is_said_with_its_place(tmp_path: Path) -> None:
    spec = tmp_path / "portable.yaml"
    spec.write_text(
        "apiVersion: portable/v1\nkind: App\nmetadata: {name: files}\n"
        "workloads: {web: {containers: {web: {image: 'a:1', volumes: {/d: {source: d}}}}}}\n"
        "resources: {d: {type: volume, size: 1Gi, access: shared}}\n"
    )
    sides = {side.cloud: side for side in compare(Request(file=spec))}
    (problem,) = sides["aws"].refused
    assert problem.line == 5
    assert "block volumes on Amazon EKS" in problem.message
    assert sides["gcp"].classes["storage, many nodes"] == "portable-rwx"


def test_a_spec_that_is_wrong_on_every_cloud_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "portable.yaml").write_text("apiVersion: portable/v1\nkind: App\nmetadata: {name: x}\nworkloads: {}\n")
    with pytest.raises(SpecError):
        compare(Request(file=tmp_path / "portable.yaml"))
