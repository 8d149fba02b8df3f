"""The policy that is printed allows the calls that are made: nothing is missing, nothing is more."""

from __future__ import annotations

import json

import pytest

from portable_aws import Aws
from portable_aws.permissions import CALLS, policy
from tests.contract.aws.life import Life

pytestmark = pytest.mark.contract


def test_the_table_is_what_a_clusters_life_calls(life: Life) -> None:
    assert sorted(CALLS) == sorted(life.calls)


def test_the_printed_policy_holds_every_call() -> None:
    text = Aws().permissions()
    printed = json.loads(text[text.index("{") :])
    assert printed == policy()
    actions = {
        action for entry in printed["Statement"] for action in entry["Action"] if isinstance(entry["Action"], list)
    }
    assert set(CALLS) <= actions


def test_roles_may_be_changed_only_where_they_are_ours() -> None:
    by_name = {entry["Sid"]: entry for entry in policy()["Statement"]}
    assert by_name["Roles"]["Resource"] == ["arn:*:iam::*:role/portable-*"]
    assert by_name["HandRolesToEks"]["Resource"] == ["arn:*:iam::*:role/portable-*"]
