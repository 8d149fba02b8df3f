"""Machine types for node pools, and what they cost.

Sizes: https://cloud.google.com/compute/docs/general-purpose-machines (E2, N2), as of 2025.
"""

from __future__ import annotations

from dataclasses import dataclass

from portable.spec.quantities import parse_quantity

# Dollars per hour, list price in us-central1, on demand: https://cloud.google.com/compute/vm-instance-pricing
PRICED = "list price of 2025, us-central1"
_PRICES = {"e2": (0.02181159, 0.00292353), "n2": (0.031611, 0.004237)}
CONTROL_PLANE = 0.10
DEFAULT = "e2-standard-2"


@dataclass(frozen=True)
class Machine:
    """`memory` in GiB."""

    name: str
    cpu: int
    memory: int

    @property
    def price(self) -> float:
        """Dollars per hour, on demand."""
        cpu, memory = _PRICES[self.name.partition("-")[0]]
        return self.cpu * cpu + self.memory * memory


def _family(name: str, per_cpu: int, *sizes: int) -> list[Machine]:
    return [Machine(f"{name}-{cpu}", cpu, cpu * per_cpu) for cpu in sizes]


MACHINES: tuple[Machine, ...] = tuple(
    sorted(
        [
            *_family("e2-standard", 4, 2, 4, 8, 16, 32),
            *_family("e2-highmem", 8, 2, 4, 8, 16),
            *_family("n2-standard", 4, 48, 64, 80),
            *_family("n2-highmem", 8, 32, 48, 64, 80),
        ],
        key=lambda machine: (machine.cpu, machine.memory),
    )
)


def pick(cpu: str | None, memory: str | None) -> Machine | None:
    """The smallest that has both; None where none has. No machine has less than 4 GiB for each core: pods would find little."""
    if cpu is None and memory is None:
        return next(machine for machine in MACHINES if machine.name == DEFAULT)
    cores = float(parse_quantity(cpu)) if cpu else 0
    gibibytes = float(parse_quantity(memory)) / 1024**3 if memory else 0
    fitting = (machine for machine in MACHINES if machine.cpu >= cores and machine.memory >= gibibytes)
    return next(fitting, None)


def price(name: str) -> float | None:
    return next((machine.price for machine in MACHINES if machine.name == name), None)
