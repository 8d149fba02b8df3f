"""Traffic moves: DNS, and the source's routes forwarded to the target until DNS has expired everywhere.

model        what there is to say of it
addresses    where a side answers, whatever DNS says
records      TTL lowered, records switched in steps, handed over, put back
forwarding   the source's routes lead to the target meanwhile
forwarder    the objects of the forwarder: haproxy in the source's namespace
smoke        a side's routes asked at their own address
trust        whose certificates count there
"""

from portable.migrate.cutover.forwarding import Forwarding
from portable.migrate.cutover.model import Cut, Lowered
from portable.migrate.cutover.records import back, expired, lower_ttl, switch
from portable.migrate.cutover.smoke import smoke

__all__ = [
    "Cut",
    "Forwarding",
    "Lowered",
    "back",
    "expired",
    "lower_ttl",
    "smoke",
    "switch",
]
