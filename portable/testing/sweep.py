"""What a plugin with a `Sweep` promises: it takes what is left behind, and never a thing that a cluster stands on."""

from __future__ import annotations

from collections.abc import Sequence

from portable.events import nowhere
from portable.provider import Leftover, Sweep
from portable.testing.case import Case
from portable.testing.stack import Stack


def swept(case: Case) -> Sequence[Leftover]:
    """What a sweep would remove now: all that is left over but data. A plugin without a `Sweep` removes nothing."""
    provider = case.provider
    if not isinstance(provider, Sweep):
        return ()
    return [leftover for leftover in provider.leftovers(case.cluster) if not leftover.data]


def the_sweep_finds_nothing_after_destroy(case: Case) -> None:
    stack = case.stack()
    stack.up(case.resources())
    stack.destroy()
    if isinstance(case.provider, Sweep):
        assert list(case.provider.leftovers(case.cluster)) == []


def a_living_cluster_is_not_swept(case: Case) -> None:
    """Of a cluster that is there nothing but data is left over, whatever the state knows: no sweep can take what it stands on."""
    case.stack().up(case.resources())
    assert not swept(case), "of a cluster that lives"
    case.stack().up(case.resources(case.changed))
    assert not swept(case), "of a cluster that was changed"


def what_a_lost_cluster_leaves_is_swept(case: Case) -> None:
    """The cluster was deleted by hand and the state is lost: what the cluster stood on is found and removed."""
    stack = case.stack()
    stack.up(case.resources())
    _delete_cluster(case, stack)
    if not isinstance(case.provider, Sweep):
        return
    for leftover in swept(case):
        reason = case.provider.remove(case.cluster, leftover, nowhere)
        assert not reason, f"the {leftover.kind} {leftover.id} stays: {reason}"
    assert list(case.leftovers()) == []
    assert not swept(case), "it is found again"


def _delete_cluster(case: Case, stack: Stack) -> None:
    """The object that is the cluster, after what was made on top of it."""
    living = case.provider.find(case.cluster)
    assert living is not None, "the provider does not find its cluster"
    for entry in reversed(stack.state.values()):
        case.provider.resource_types()[entry["type"]].delete(entry["id"], entry["outputs"], nowhere)
        if entry["outputs"].get("uid") == living.uid:
            break
    assert case.provider.find(case.cluster) is None
