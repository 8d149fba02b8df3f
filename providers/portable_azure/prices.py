"""What keeping things costs, for the words of plans and lists: East US, pay as you go, US dollars. Not asked for from Azure.

The standard SSD tiers were last looked up on 2026-10-16 (32 GiB: $2.40 a month); a tier costs in proportion to its size.
"""

from __future__ import annotations

DATED = "list price of 2026-10"
# Disks are billed by the next tier above their size. https://learn.microsoft.com/azure/virtual-machines/disks-types
_TIERS = (4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096, 8192, 16384, 32767)
_PER_GIBIBYTE = 2.40 / 32


def disk(gibibytes: int) -> str:
    """What a standard SSD costs ("about $2.40 a month, list price of 2026-10")."""
    tier = next((size for size in _TIERS if size >= gibibytes), _TIERS[-1])
    return f"about ${tier * _PER_GIBIBYTE:.2f} a month, {DATED}"
