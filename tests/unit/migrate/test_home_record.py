"""The fence, and where an app is at home: who may change it on which side, on a real API server."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from portable.errors import PortableError
from portable.kube import Kube
from portable.migrate import home_record
from portable.migrate.journal import End
from portable.target import Request, Target, open_target

pytestmark = pytest.mark.unit

SPEC = """\
apiVersion: portable/v1
kind: App
metadata: {name: shop}
cluster: {name: one}
workloads:
  web: {containers: {main: {image: "hello:1.0"}}}
environments:
  prod:
    cloud: kind
"""
TWO = End("kind", "two")


@pytest.fixture
def request_(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Request:
    monkeypatch.setenv("PORTABLE_STATE", str(tmp_path / "state"))
    file = tmp_path / "portable.yaml"
    file.write_text(SPEC)
    return Request(file=file, environment="prod")


@pytest.fixture
def target(request_: Request) -> Target:
    return open_target(request_)


def test_an_app_that_was_never_moved_may_be_changed(
    request_: Request, target: Target, kube: Kube, namespace: str
) -> None:
    home_record.require_home(request_, target, kube, namespace)
    home_record.require_unmoved(request_, target, kube, namespace)


@pytest.mark.parametrize("part", ["arriving", "frozen"])
def test_both_sides_are_fenced_while_it_moves(
    request_: Request, target: Target, kube: Kube, namespace: str, part: home_record.Part
) -> None:
    home_record.write(kube, namespace, part, "ab12", TWO)
    for require in (home_record.require_home, home_record.require_unmoved):
        with pytest.raises(PortableError, match="is being moved") as refused:
            require(request_, target, kube, namespace)
        assert "portable migrate resume" in refused.value.fix
        require(replace(request_, migration="ab12"), target, kube, namespace)
        with pytest.raises(PortableError):
            require(replace(request_, migration="cd34"), target, kube, namespace)


def test_the_side_that_was_left_names_the_line_to_change(
    request_: Request, target: Target, kube: Kube, namespace: str
) -> None:
    home_record.write(kube, namespace, "left", "ab12", End("aws", "two"))
    with pytest.raises(PortableError, match="has moved to aws/two") as refused:
        home_record.require_home(request_, target, kube, namespace)
    file = request_.file
    assert refused.value.fix.splitlines() == [
        f"line 9 of {file}: `environments.prod.cloud: aws` in place of `kind`",
        f"line 4 of {file}: `cluster.name: two` in place of `one`",
    ]
    with pytest.raises(PortableError, match="way back") as kept:
        home_record.require_unmoved(request_, target, kube, namespace)
    assert "finalize" in kept.value.fix


def test_a_cloud_on_the_command_line_is_what_has_to_change(
    request_: Request, target: Target, kube: Kube, namespace: str
) -> None:
    home_record.write(kube, namespace, "left", "ab12", End("aws", "one"))
    with pytest.raises(PortableError) as refused:
        home_record.require_home(replace(request_, cloud="kind"), target, kube, namespace)
    assert refused.value.fix == "say `--cloud aws` instead of `--cloud kind`"


def test_the_new_home_may_be_changed(request_: Request, target: Target, kube: Kube, namespace: str) -> None:
    home_record.write(kube, namespace, "home", "ab12", End("kind", "one"))
    home_record.require_home(request_, target, kube, namespace)
    home_record.require_unmoved(request_, target, kube, namespace)


def test_the_state_remembers_when_the_old_cluster_is_gone(request_: Request, target: Target) -> None:
    home_record.remember_move(None, target.home, "ab12", TWO)
    with pytest.raises(PortableError, match="has moved to kind/two") as refused:
        home_record.require_home(request_, target, None, "shop-prod")
    assert "`cluster.name: two` in place of `one`" in refused.value.fix
    there = open_target(replace(request_, cluster="two"))
    home_record.require_home(request_, there, None, "shop-prod")
    home_record.remember_move(None, there.home, "cd34", End("kind", "one"))
    home_record.require_home(request_, target, None, "shop-prod")
    with pytest.raises(PortableError, match="has moved to kind/one"):
        home_record.require_home(request_, there, None, "shop-prod")


def test_an_app_that_is_gone_may_begin_anew_where_it_once_was(request_: Request, target: Target) -> None:
    home_record.remember_move(None, target.home, "ab12", TWO)
    other = replace(target.home, app="other")
    home_record.remember_move(None, other, "ef56", TWO)
    home_record.forget_home(None, open_target(replace(request_, cluster="two")).home)
    home_record.require_home(request_, target, None, "shop-prod")
    assert set(home_record.moved(None)) == {other.app_stack}, "another app's move is remembered"
