"""What a mover could not do, in words for a person."""

from __future__ import annotations

from portable.errors import ClusterError
from portable.migrate.sides import Sides
from portable.migrate.transfer.control import MoverError

_KEPT = "then repeat: what was copied is kept"


def explain(sides: Sides, claim: str, error: MoverError) -> ClusterError:
    where = f"{error.path}: {error.message}" if error.path else error.message
    match error.kind:
        case "full":
            return ClusterError(
                f"the volume {claim} of the target is full",
                detail=f"{where} ({_room(error)}on {sides.target})",
                fix=f"give it more room (`size` of its resource in the spec, then `portable up` on the source), {_KEPT}",
            )
        case "disconnected":
            return ClusterError(
                f"the copy of {claim} lost its way to the other cluster",
                detail=where,
                fix=f"see that both clusters run and reach each other, {_KEPT}",
            )
        case "permission":
            return ClusterError(
                f"the mover may not copy all of {claim}",
                detail=where,
                fix="prepare the transfer again: it finds out whether the data needs a mover that is root",
            )
        case "changed":
            return ClusterError(
                f"{claim} does not hold still",
                detail=where,
                fix=f"stop what writes to it on either side, {_KEPT}",
            )
        case "empty":
            return ClusterError(
                f"the volume {claim} of the source is empty, and the target's is not",
                detail=where,
                fix="if it is meant to be empty, delete the claim on the target and repeat",
            )
        case _:
            return ClusterError(f"{claim} could not be copied", detail=where, fix=f"mend what is named here, {_KEPT}")


def _room(error: MoverError) -> str:
    return f"{_mib(error.size)} large, {_mib(error.free)} free, " if error.size else ""


def _mib(count: int) -> str:
    return f"{count / 2**20:,.0f} MiB"
