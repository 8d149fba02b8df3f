"""What is wrong with a node pool that a spec asks for: told before anything is made."""

from __future__ import annotations

from collections.abc import Sequence

from portable.errors import Problem
from portable.provider import Inputs
from portable_gcp import machines, naming


def check(inputs: Inputs) -> Sequence[Problem]:
    return [*_name(inputs), *_machine(inputs), *_count(inputs)]


def where(pool: str) -> str:
    """The place in the spec's words; the core knows when the pool "default" is `cluster.nodes`."""
    return f"cluster.pools.{pool}"


def _name(inputs: Inputs) -> list[Problem]:
    if naming.NAME.fullmatch(inputs["name"]):
        return []
    return [
        Problem(
            f"{inputs['name']!r} cannot be the name of a node pool",
            path=where(inputs["pool"]),
            expected="at most 40 lower-case letters, digits and dashes, beginning with a letter",
        )
    ]


def _machine(inputs: Inputs) -> list[Problem]:
    if inputs["machine"]:
        return []
    largest = max(machines.MACHINES, key=lambda machine: (machine.memory, machine.cpu))
    asked = " and ".join(f"{key} {inputs[key]}" for key in ("cpu", "memory") if inputs[key])
    return [
        Problem(
            f"no machine type of Google Cloud that portable knows has {asked}",
            path=where(inputs["pool"]),
            expected=f"at most cpu {largest.cpu} and memory {largest.memory}Gi",
        )
    ]


def _count(inputs: Inputs) -> list[Problem]:
    if not inputs["max"] and inputs["min"] < 1:
        return [
            Problem(
                "a pool without max has min nodes, so it wants one", path=f"{where(inputs['pool'])}.min", expected="1"
            )
        ]
    return []
