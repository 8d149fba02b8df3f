"""Which instance type a pool gets for the `cpu` and `memory` that it asks for.

Sizes: https://aws.amazon.com/ec2/instance-types/ (families c6i, m6i, r6i: 2, 4 and 8 GiB for each vCPU; read 2026-04). They are
offered in every region that has EKS. Prices as in `prices`.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

from portable.spec.model import Nodes
from portable.spec.quantities import parse_quantity

GIB = 2**30


@dataclass(frozen=True)
class Machine:
    """`memory` in GiB, `price` in USD for an hour. `like`: types of the same size, which widen what a spot pool can get."""

    name: str
    cpu: int
    memory: int
    price: float
    like: tuple[str, ...] = ()


_SIZES = {
    "large": 2,
    "xlarge": 4,
    "2xlarge": 8,
    "4xlarge": 16,
    "8xlarge": 32,
    "12xlarge": 48,
    "16xlarge": 64,
    "24xlarge": 96,
}
# family, GiB and USD for each vCPU, families of the same shape
_FAMILIES = (("c6i", 2, 0.0425, ("c6a",)), ("m6i", 4, 0.048, ("m6a",)), ("r6i", 8, 0.063, ("r6a",)))

MACHINES = tuple(
    sorted(
        (
            Machine(
                f"{family}.{size}", cpu, cpu * gib, round(cpu * price, 4), tuple(f"{other}.{size}" for other in others)
            )
            for family, gib, price, others in _FAMILIES
            for size, cpu in _SIZES.items()
        ),
        key=lambda machine: (machine.price, machine.name),
    )
)
# What a pool gets that names no size.
USUAL = "m6i.large"


def fitting(nodes: Nodes) -> Machine | None:
    """The cheapest that has at least what is asked for; None: none is that big."""
    if nodes.cpu is None and nodes.memory is None:
        return next(machine for machine in MACHINES if machine.name == USUAL)
    cpu = parse_quantity(str(nodes.cpu)) if nodes.cpu is not None else Fraction(0)
    memory = parse_quantity(str(nodes.memory)) / GIB if nodes.memory is not None else Fraction(0)
    return next((machine for machine in MACHINES if machine.cpu >= cpu and machine.memory >= memory), None)


def largest() -> Machine:
    return max(MACHINES, key=lambda machine: (machine.cpu, machine.memory))
