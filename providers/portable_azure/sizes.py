"""Machine types for node pools, the smallest first.

From https://learn.microsoft.com/azure/virtual-machines/sizes (Fsv2, Dsv5, Esv5), as known in November 2026: a small choice that
every larger region has, two cores at least, as AKS asks.
"""

from __future__ import annotations

from dataclasses import dataclass

from portable.errors import Problem
from portable.spec.quantities import parse_quantity


@dataclass(frozen=True)
class Size:
    name: str
    cores: int
    gibibytes: int


SIZES = (
    *(Size(f"Standard_F{cores}s_v2", cores, cores * 2) for cores in (2, 4, 8, 16, 32, 48, 64, 72)),
    *(Size(f"Standard_D{cores}s_v5", cores, cores * 4) for cores in (2, 4, 8, 16, 32, 48, 64, 96)),
    *(Size(f"Standard_E{cores}s_v5", cores, cores * 8) for cores in (2, 4, 8, 16, 32, 48, 64)),
)
# Dollars for a core and hour: list prices of East US, Linux, pay as you go, as known in mid 2026; not asked for from Azure.
_PER_CORE = {"F": 0.0423, "D": 0.048, "E": 0.063}
DEFAULT = "Standard_D2s_v5"
SYSTEM = DEFAULT


def fitting(cpu: str | None, memory: str | None) -> str | None:
    """The smallest machine type with at least `cpu` cores and `memory` ("16Gi"); None where there is none."""
    if cpu is None and memory is None:
        return DEFAULT
    least, size = parse_quantity(str(cpu or 0)), parse_quantity(str(memory or 0))
    enough = [entry for entry in SIZES if entry.cores >= least and entry.gibibytes * 2**30 >= size]
    return min(enough, key=lambda entry: (entry.cores, entry.gibibytes)).name if enough else None


def cores(machine: str) -> int:
    return next(entry.cores for entry in SIZES if entry.name == machine)


def hourly(machine: str) -> float:
    """About what a machine costs in dollars per hour."""
    return cores(machine) * _PER_CORE[machine.removeprefix("Standard_")[0]]


def problem(pool: str, cpu: str | None, memory: str | None) -> Problem:
    largest = max(SIZES, key=lambda entry: (entry.cores, entry.gibibytes))
    asked = " and ".join([*([f"{cpu} cores"] if cpu else []), *([f"{memory} of memory"] if memory else [])])
    return Problem(
        f"no machine type that portable knows on Azure has {asked}",
        path="cluster.nodes" if pool == "default" else f"cluster.pools.{pool}",
        expected=f"at most {largest.cores} cores with {largest.gibibytes}Gi, or 64 cores with 512Gi",
    )
