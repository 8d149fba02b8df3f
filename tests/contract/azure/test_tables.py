"""Machine types, versions and settings: small decisions, each on its own."""

from __future__ import annotations

from pathlib import Path

import pytest

from portable.compile import compile_app
from portable.errors import ProviderError
from portable.spec import load_app
from portable.spec.model import Cluster
from portable_azure import body, prices, settings, sizes, versions
from portable_azure.profile import profile

pytestmark = pytest.mark.contract


@pytest.mark.parametrize(
    ("cpu", "memory", "machine"),
    [
        (None, None, "Standard_D2s_v5"),
        ("500m", None, "Standard_F2s_v2"),
        ("2", "8Gi", "Standard_D2s_v5"),
        ("2", "8589934593", "Standard_E2s_v5"),
        (None, "9Gi", "Standard_E2s_v5"),
        ("6", None, "Standard_F8s_v2"),
        ("96", "384Gi", "Standard_D96s_v5"),
        ("97", None, None),
        ("2", "1Ti", None),
    ],
)
def test_the_smallest_machine_that_fits(cpu: str | None, memory: str | None, machine: str | None) -> None:
    assert sizes.fitting(cpu, memory) == machine


@pytest.mark.parametrize(
    ("live", "asked", "steps"),
    [
        ("1.31.4", "", []),
        ("1.31.4", "1.31", []),
        ("1.31.4", "1.31.4", []),
        ("1.31.4", "1.31.11", ["1.31.11"]),
        ("1.31.4", "1.32", ["1.32"]),
        ("1.31.4", "1.34.1", ["1.32", "1.33", "1.34.1"]),
        ("1.9.1", "1.10", ["1.10"]),
    ],
)
def test_the_way_to_a_version(live: str, asked: str, steps: list[str]) -> None:
    assert versions.steps(live, asked) == steps


@pytest.mark.parametrize("asked", ["1.30", "1.31.3", "1.9"])
def test_there_is_no_way_down(asked: str) -> None:
    with pytest.raises(ProviderError, match="cannot go back"):
        versions.steps("1.31.4", asked)


@pytest.mark.parametrize(("asked", "channel"), [("", "stable"), ("1.33", "patch"), ("1.33.2", "none")])
def test_azure_upgrades_as_far_as_the_spec_leaves_it_open(asked: str, channel: str) -> None:
    assert versions.channel(asked) == channel


def test_blocks_of_addresses_have_one_form() -> None:
    assert body.ranges(["203.0.113.9", "10.1.2.3/8"]) == ["10.0.0.0/8", "203.0.113.9/32"]
    assert body.ranges(["10.0.0.0/8", "203.0.113.9/32"]) == body.ranges(["203.0.113.9", "10.1.2.3/8"])


def test_settings_are_written_read_and_compared_by_path() -> None:
    wanted = {"a/b": True, "a/c": None, "d": []}
    made = settings.write({"a": {"c": 1, "kept": 2}, "e": None}, wanted)
    assert made == {"a": {"b": True, "kept": 2}, "e": None, "d": []}
    assert settings.differing(settings.observe(made, wanted), wanted) == ()
    assert settings.differing({"a/b": False, "d": None}, wanted) == ("a/b",)


@pytest.mark.parametrize(("size", "words"), [(1, "$0.30"), (32, "$2.40"), (33, "$4.80"), (40000, "$2457.53")])
def test_disks_cost_by_the_tier_above_them(size: int, words: str) -> None:
    assert words in prices.disk(size)


def test_pods_tolerate_spot_nodes_only_where_the_spec_asked_for_them(tmp_path: Path) -> None:
    assert profile(Cluster()).tolerations == ()
    spec = tmp_path / "portable.yaml"
    spec.write_text(
        """
apiVersion: portable/v1
kind: App
metadata: {name: shop}
cluster: {pools: {cheap: {min: 1, spot: true}}}
workloads:
  report: {kind: job, containers: {main: {image: "report:1"}}}
  web: {containers: {main: {image: "web:1"}}, service: {ports: {http: {port: 80}}}}
"""
    )
    app = load_app(spec).app
    compiled = compile_app(app, profile(app.cluster))
    objects = {each.manifest["kind"]: each.manifest for each in compiled.items}
    for kind in ("Deployment", "Job"):
        tolerations = objects[kind]["spec"]["template"]["spec"]["tolerations"]
        assert tolerations[-1] == {
            "key": "kubernetes.azure.com/scalesetpriority",
            "operator": "Equal",
            "value": "spot",
            "effect": "NoSchedule",
        }
    assert len(objects["Deployment"]["spec"]["template"]["spec"]["tolerations"]) == 3, "those for dead nodes too"
