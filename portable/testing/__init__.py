"""What a plugin is tested with: a small driver of its cluster resources, and the contract that every plugin keeps.

    import pytest
    from portable.testing import CLUSTER, PLUGIN, Case, Stack

    @pytest.mark.parametrize("promise", (*PLUGIN, *CLUSTER), ids=lambda promise: promise.__name__)
    def test_contract(promise, case):       # a fixture that makes a Case, with an empty stand-in for the cloud
        promise(case)

`Stack` does to resource classes what the engine does, without an engine: in the order of their dependencies, with a state
that outlives a crash, and with the same promises after an interruption. A promise raises AssertionError where it is broken.
"""

from portable.testing.case import Case, Promise, check_provider
from portable.testing.cluster import (
    CLUSTER,
    a_change_is_an_update_of_the_same_cluster,
    a_lost_state_makes_no_second_one,
    a_preview_makes_nothing,
    destroy_leaves_nothing_and_may_be_repeated,
    its_credentials_are_a_kubeconfig,
    progress_is_told_while_it_is_made,
    someone_elses_cluster_is_refused,
    up_makes_one_and_up_again_nothing,
    without_a_cluster_there_are_no_credentials,
)
from portable.testing.interruption import (
    a_creation_that_broke_off_is_carried_on,
    a_creation_that_broke_off_is_destroyed,
)
from portable.testing.plugin import (
    PLUGIN,
    costs_nothing_to_load,
    has_a_profile_that_is_explicit,
    has_resources_that_are_data,
    is_found_by_its_entry_point,
    makes_nothing_for_an_existing_cluster,
    previews_what_is_not_known_yet,
    says_what_it_must_be_allowed,
    speaks_the_protocol,
)
from portable.testing.stack import Stack
from portable.testing.sweep import (
    a_living_cluster_is_not_swept,
    the_sweep_finds_nothing_after_destroy,
    what_a_lost_cluster_leaves_is_swept,
)

__all__ = [
    "CLUSTER",
    "PLUGIN",
    "Case",
    "Promise",
    "Stack",
    "a_change_is_an_update_of_the_same_cluster",
    "a_creation_that_broke_off_is_carried_on",
    "a_creation_that_broke_off_is_destroyed",
    "a_living_cluster_is_not_swept",
    "a_lost_state_makes_no_second_one",
    "a_preview_makes_nothing",
    "check_provider",
    "costs_nothing_to_load",
    "destroy_leaves_nothing_and_may_be_repeated",
    "has_a_profile_that_is_explicit",
    "has_resources_that_are_data",
    "is_found_by_its_entry_point",
    "its_credentials_are_a_kubeconfig",
    "makes_nothing_for_an_existing_cluster",
    "previews_what_is_not_known_yet",
    "progress_is_told_while_it_is_made",
    "says_what_it_must_be_allowed",
    "someone_elses_cluster_is_refused",
    "speaks_the_protocol",
    "the_sweep_finds_nothing_after_destroy",
    "up_makes_one_and_up_again_nothing",
    "what_a_lost_cluster_leaves_is_swept",
    "without_a_cluster_there_are_no_credentials",
]
