"""What a plugin promises of the clusters that it makes, in a cloud in which there is nothing."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace

from portable.errors import ProviderError
from portable.events import Event, nowhere
from portable.provider import ClusterState, Tokens
from portable.testing.case import Case, Promise
from portable.testing.interruption import (
    a_creation_that_broke_off_is_carried_on,
    a_creation_that_broke_off_is_destroyed,
)
from portable.testing.stack import ordered
from portable.testing.sweep import (
    a_living_cluster_is_not_swept,
    swept,
    the_sweep_finds_nothing_after_destroy,
    what_a_lost_cluster_leaves_is_swept,
)


def a_preview_makes_nothing(case: Case) -> None:
    assert case.provider.find(case.cluster) is None
    assert case.stack().preview(case.resources()) == {resource.name: None for resource in case.resources()}
    assert list(case.leftovers()) == []


def up_makes_one_and_up_again_nothing(case: Case) -> None:
    stack = case.stack()
    assert stack.up(case.resources()) == [f"create {entry.name}" for entry in ordered(case.resources())]
    made = _found(case)
    assert made.healthy, made.detail
    assert made.name == case.cluster.name
    assert made.version
    assert made.uid
    uids = {entry["outputs"]["uid"] for entry in stack.state.values() if entry["outputs"].get("uid")}
    assert uids == {made.uid}, "the output `uid` is the cluster's, and nothing else's"
    assert stack.up(case.resources()) == []
    assert stack.preview(case.resources()) == {}
    assert _found(case).uid == made.uid


def a_lost_state_makes_no_second_one(case: Case) -> None:
    case.stack().up(case.resources())
    made, there = _found(case), sorted(case.leftovers())
    again = case.stack("another")
    again.up(case.resources())
    assert _found(case).uid == made.uid
    assert sorted(case.leftovers()) == there
    assert again.up(case.resources()) == []


def a_change_is_an_update_of_the_same_cluster(case: Case) -> None:
    stack = case.stack()
    stack.up(case.resources())
    made = _found(case)
    assert stack.preview(case.resources(case.changed)), "the preview says nothing of the change"
    done = stack.up(case.resources(case.changed))
    assert done, "nothing was changed"
    assert _found(case).uid == made.uid, "a running cluster was replaced"
    assert stack.up(case.resources(case.changed)) == []


def someone_elses_cluster_is_refused(case: Case) -> None:
    case.foreign()
    theirs = replace(case.cluster, existing=True)
    before = case.provider.find(theirs)
    assert before is not None, "as one that exists it is found, whoever made it"
    error = _refusal(lambda: case.stack().up(case.resources()), "somebody else's cluster was taken over")
    assert error.fix, "what to do about it?"
    assert not swept(case), "a sweep would take what is somebody else's"
    case.stack().destroy()
    after = case.provider.find(theirs)
    assert after is not None, "a destroy after the refusal took it away"
    assert after.uid == before.uid


def its_credentials_are_a_kubeconfig(case: Case) -> None:
    from portable.kube import Kube

    case.stack().up(case.resources())
    credentials = case.provider.credentials(case.cluster)
    Kube.connect(credentials.kubeconfig).close()
    assert credentials.kubeconfig not in repr(credentials)
    if isinstance(case.provider, Tokens):
        token = case.provider.token(case.cluster)
        assert token.value
        assert token.value not in repr(token)
        assert token.expires > time.time() + 60
        assert token.value not in credentials.kubeconfig, "a token in a file outlives its use"


def without_a_cluster_there_are_no_credentials(case: Case) -> None:
    error = _refusal(lambda: case.provider.credentials(case.cluster), "credentials of a cluster that does not exist")
    assert error.fix, "what to do about it?"


def destroy_leaves_nothing_and_may_be_repeated(case: Case) -> None:
    stack = case.stack()
    stack.up(case.resources())
    kept = stack.state
    stack.destroy()
    assert case.provider.find(case.cluster) is None
    assert list(case.leftovers()) == []
    for name, entry in reversed(kept.items()):
        served = case.provider.resource_types()[entry["type"]]
        served.delete(entry["id"], entry["outputs"], nowhere)
        assert served.read(entry["id"], entry["inputs"], entry["outputs"]) is None, (
            f"{name} is read after it was deleted"
        )


def progress_is_told_while_it_is_made(case: Case) -> None:
    """A long creation says that something goes on, without a secret."""
    events: list[Event] = []
    case.stack(emit=events.append).up(case.resources())
    assert events, "minutes of silence"


CLUSTER: tuple[Promise, ...] = (
    a_preview_makes_nothing,
    up_makes_one_and_up_again_nothing,
    a_lost_state_makes_no_second_one,
    a_creation_that_broke_off_is_carried_on,
    a_creation_that_broke_off_is_destroyed,
    a_change_is_an_update_of_the_same_cluster,
    someone_elses_cluster_is_refused,
    its_credentials_are_a_kubeconfig,
    without_a_cluster_there_are_no_credentials,
    destroy_leaves_nothing_and_may_be_repeated,
    the_sweep_finds_nothing_after_destroy,
    a_living_cluster_is_not_swept,
    what_a_lost_cluster_leaves_is_swept,
    progress_is_told_while_it_is_made,
)


def _refusal(call: Callable[[], object], otherwise: str) -> ProviderError:
    try:
        call()
    except ProviderError as error:
        return error
    raise AssertionError(otherwise)


def _found(case: Case) -> ClusterState:
    found = case.provider.find(case.cluster)
    assert found is not None, "the provider does not find its cluster"
    return found
