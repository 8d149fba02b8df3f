"""List prices that notes name: us-east-1, on demand, USD.

Read in April 2026 from public pages that quote Amazon's price lists (https://aws.amazon.com/eks/pricing/, /vpc/pricing/,
/ec2/pricing/on-demand/, /ebs/pricing/, /cloudwatch/pricing/); not asked for at run time.
"""

from __future__ import annotations

DATE = "2026-04"
CLUSTER_HOUR = 0.10
NAT_HOUR = 0.045
NAT_GB = 0.045
ADDRESS_HOUR = 0.005
LOG_GB = 0.50
DISK_GIB_MONTH = 0.08
# Auto Mode's fee on top of the price of each node.
AUTO_SHARE = 0.12


def per_hour(amount: float) -> str:
    return f"about ${f'{amount:.3f}'.removesuffix('0')} per hour, list price of {DATE}"


def disk(gib: int) -> str:
    return f"about ${gib * DISK_GIB_MONTH:.2f} per month, list price of {DATE}"
