"""postgres and redis move by their own replication, so that their downtime is seconds whatever their size.

ways(sides, emit)                 how each database of the app moves, and why
replication(sides, name, emit)    one of them on its way: start, lag, fence_source, caught_up, promote, digests, stop

model      what there is to say of it
choice     replication, files or neither
pods       a database's objects and pod on one side; commands in it
sql        postgres asked, without a driver: its own `psql`, in its pod
postgres   a physical standby, seeded by pg_basebackup
seed       the Job that does that
redis      a replica
both       waiting for the standby, and comparing both ends
fence      who may come in to a postgres
"""

from portable.migrate.databases.choice import replication, ways
from portable.migrate.databases.model import How, Lag, Replication, Way

__all__ = ["How", "Lag", "Replication", "Way", "replication", "ways"]
