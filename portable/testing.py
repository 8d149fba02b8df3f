"""What a plugin is tested with: a small driver of its cluster resources, and the contract that every plugin keeps.

    import pytest
    from portable.testing import CLUSTER, PLUGIN, Case, Stack

    @pytest.mark.parametrize("promise", (*PLUGIN, *CLUSTER), ids=lambda promise: promise.__name__)
    def test_contract(promise, case):       # a fixture that makes a Case, with an empty stand-in for the cloud
        promise(case)

`Stack` does to resource classes what the engine does, without an engine: in the order of their dependencies, with a state
that outlives a crash, and with the same promises after an interruption. A promise raises AssertionError where it is broken.
"""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, TypeAlias

from portable.errors import ProviderError
from portable.events import Emit, Event, nowhere
from portable.provider import (
    PROTOCOL_VERSION,
    ClusterResource,
    ClusterState,
    Diff,
    Inputs,
    Outputs,
    Profile,
    Provider,
    Ref,
    ResourceType,
    Sweep,
    Tokens,
    load_provider,
    provider_names,
)
from portable.spec.model import Cluster


class Stack:
    """One cluster's resources. `state` is a file: name -> {type, id, inputs, outputs, depends_on}; an id "" is unfinished."""

    def __init__(self, types: Mapping[str, ResourceType], state: Path, emit: Emit = nowhere) -> None:
        self._types = types
        self._path = state
        self._emit = emit

    @property
    def state(self) -> dict[str, Any]:
        return json.loads(self._path.read_text()) if self._path.exists() else {}

    def up(self, resources: Sequence[ClusterResource], *, refresh: bool = True) -> list[str]:
        """Makes what is asked for and removes what no longer is; returns "create NAME", "update NAME", "delete NAME", in order."""
        if refresh:
            self.refresh()
        done: list[str] = []
        for resource in _ordered(resources):
            inputs = self._resolved(resource)
            kept = self.state.get(resource.name)
            operation = self._operation(resource, inputs, kept)
            if operation is not None:
                done.append(f"{operation} {resource.name}")
        wanted = {resource.name for resource in resources}
        return done + self._delete([name for name in self.state if name not in wanted])

    def preview(self, resources: Sequence[ClusterResource], *, refresh: bool = True) -> dict[str, Diff | None]:
        """name -> what would change (None: it would be created), of everything that would. Outputs that are unknown yet are left out."""
        if refresh:
            self.refresh()
        found: dict[str, Diff | None] = {}
        for resource in _ordered(resources):
            kept = self.state.get(resource.name)
            if kept is None or not kept["id"]:
                found[resource.name] = None
                continue
            difference = self._types[resource.type].diff(
                kept["id"], kept["outputs"], kept["inputs"], self._resolved(resource)
            )
            if difference.changes or difference.replaces:
                found[resource.name] = difference
        return found

    def refresh(self) -> None:
        """Reads every object; those that are gone leave the state."""
        for name, kept in self.state.items():
            if kept["id"]:
                outputs = self._types[kept["type"]].read(kept["id"], kept["inputs"], kept["outputs"])
                self._keep(name, None if outputs is None else {**kept, "outputs": outputs})

    def destroy(self) -> list[str]:
        return self._delete(list(self.state))

    def outputs(self, name: str) -> Outputs:
        return self.state[name]["outputs"]

    def _operation(self, resource: ClusterResource, inputs: Inputs, kept: dict[str, Any] | None) -> str | None:
        served = self._types[resource.type]
        if kept is not None and kept["id"]:
            difference = served.diff(kept["id"], kept["outputs"], kept["inputs"], inputs)
            if not difference.changes and not difference.replaces:
                self._keep(resource.name, {**kept, "inputs": inputs, "depends_on": _dependencies(resource)})
                return None
            if not difference.replaces:
                outputs = served.update(kept["id"], kept["outputs"], kept["inputs"], inputs, self._emit)
                self._keep(resource.name, _entry(resource, kept["id"], inputs, outputs))
                return "update"
            served.delete(kept["id"], kept["outputs"], self._emit)
        problems = served.check(inputs)
        assert not problems, f"{resource.name}: {[problem.message for problem in problems]}"
        self._keep(resource.name, _entry(resource, "", inputs, inputs))
        object_id, outputs = served.create(inputs, self._emit)
        self._keep(resource.name, _entry(resource, object_id, inputs, outputs))
        return "create"

    def _delete(self, names: Sequence[str]) -> list[str]:
        done: list[str] = []
        going = {name: self.state[name] for name in names}
        while going:
            # those that nothing else stands on come first
            free = [name for name in going if not any(name in entry["depends_on"] for entry in going.values())]
            assert free, f"a cycle among {sorted(going)}"
            for name in sorted(free):
                kept = going.pop(name)
                self._types[kept["type"]].delete(
                    kept["id"] or str(kept["inputs"].get("name") or "unnamed"), kept["outputs"], self._emit
                )
                self._keep(name, None)
                done.append(f"delete {name}")
        return done

    def _resolved(self, resource: ClusterResource) -> Inputs:
        return {key: self._value(value) for key, value in resource.inputs.items()}

    def _value(self, value: Any) -> Any:
        if isinstance(value, Ref):
            return self.state.get(value.resource, {}).get("outputs", {}).get(value.output)
        if isinstance(value, Mapping):
            return {key: self._value(entry) for key, entry in value.items()}
        if isinstance(value, list | tuple):
            return [self._value(entry) for entry in value]
        return value

    def _keep(self, name: str, entry: dict[str, Any] | None) -> None:
        state = self.state
        if entry is None:
            state.pop(name, None)
        else:
            state[name] = entry
        # through JSON and in one move, as an engine's state would be
        beside = self._path.with_suffix(".new")
        beside.write_text(json.dumps(state, indent=1))
        beside.replace(self._path)


def _entry(resource: ClusterResource, object_id: str, inputs: Inputs, outputs: Outputs) -> dict[str, Any]:
    return {
        "type": resource.type,
        "id": object_id,
        "inputs": inputs,
        "outputs": outputs,
        "depends_on": _dependencies(resource),
    }


def _ordered(resources: Sequence[ClusterResource]) -> list[ClusterResource]:
    """Each after those that it refers to or depends on."""
    left = {resource.name: resource for resource in resources}
    ordered: list[ClusterResource] = []
    while left:
        free = [entry for entry in left.values() if not any(name in left for name in _dependencies(entry))]
        assert free, f"a cycle among {sorted(left)}"
        ordered += free
        for entry in free:
            del left[entry.name]
    return ordered


def _dependencies(resource: ClusterResource) -> list[str]:
    found = dict.fromkeys(resource.depends_on)

    def search(value: Any) -> None:
        if isinstance(value, Ref):
            found[value.resource] = None
        elif isinstance(value, Mapping):
            for entry in value.values():
                search(entry)
        elif isinstance(value, list | tuple):
            for entry in value:
                search(entry)

    search(resource.inputs)
    return list(found)


# -- the contract ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Case:
    """A plugin and what it is tried on. `state`: an empty folder.

    `cluster` is what a spec asks for, `changed` the same cluster asked for differently, in a way that an update can bring
    about. The plugin reaches a stand-in for its cloud in which there is nothing: `leftovers` says what is there of ours, in
    words, and `foreign` makes a cluster of that name as somebody else would. For `PLUGIN` alone these three are not needed.
    """

    provider: Provider
    cluster: Cluster
    state: Path
    changed: Cluster | None = None
    leftovers: Callable[[], Sequence[str]] = tuple
    foreign: Callable[[], None] = lambda: None

    def stack(self, name: str = "state", emit: Emit = nowhere) -> Stack:
        """The driver with the plugin's own classes; another `name` is another state: of someone who lost the first."""
        return Stack(self.provider.resource_types(), self.state / f"{name}.json", emit)

    def resources(self, cluster: Cluster | None = None) -> Sequence[ClusterResource]:
        return self.provider.cluster(cluster or self.cluster)


Promise: TypeAlias = Callable[[Case], None]


def check_provider(case: Case, promises: Sequence[Promise]) -> None:
    """Holds a plugin to `promises` outside of pytest; the cloud must be left as empty as each finds it."""
    for number, promise in enumerate(promises):
        folder = case.state / str(number)
        folder.mkdir()
        promise(replace(case, state=folder))


def speaks_the_protocol(case: Case) -> None:
    provider = case.provider
    assert isinstance(provider, Provider), "a method of the protocol is missing"
    assert provider.protocol == PROTOCOL_VERSION
    assert provider.name == provider.name.lower()
    assert provider.name.isidentifier(), "the name is part of type tokens and stack names"
    assert provider.title
    assert isinstance(provider.aliases, tuple)


def is_found_by_its_entry_point(case: Case) -> None:
    assert case.provider.name in provider_names(), "no entry point in the group portable.providers"
    for name in (case.provider.name, *case.provider.aliases):
        assert type(load_provider(name)) is type(case.provider)


def costs_nothing_to_load(case: Case) -> None:
    """Importing it imports no SDK; constructing it touches no file, no socket and no process; its profile needs no SDK either."""
    kind = type(case.provider)
    own = kind.__module__.partition(".")[0]
    script = _LOADING.format(module=kind.__module__, name=kind.__qualname__, own=own)
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


_LOADING = """
import sys
before = set(sys.modules)
import portable.provider, portable.spec.model
from {module} import {name}
touched = []
watching = True
names = ("open", "socket.connect", "subprocess.Popen", "os.listdir")
sys.addaudithook(lambda event, given: touched.append((event, given[:2])) if watching and event in names else None)
made = {name}()
watching = False
assert not touched, f"constructing it is not free: {{touched}}"
made.profile(portable.spec.model.Cluster())
# the last two are portable's own, and light
allowed = {{*sys.stdlib_module_names, "portable", "{own}", "filelock", "platformdirs"}}
foreign = {{name.partition(".")[0] for name in set(sys.modules) - before}} - allowed
foreign = {{name for name in foreign if not name.startswith("_")}}
assert not foreign, f"imported too early: {{sorted(foreign)}}"
"""


def has_a_profile_that_is_explicit(case: Case) -> None:
    """Data, the same each time, that names every class: a cluster's default is never relied on."""
    profile = case.provider.profile(case.cluster)
    assert isinstance(profile, Profile)
    assert profile == case.provider.profile(case.cluster)
    json.dumps(asdict(profile))
    assert profile.cloud == case.provider.name
    assert profile.replicas >= 1
    assert profile.storage.single, "no storage class for a volume on one node"
    assert profile.storage.shared != "", "None: this cloud cannot"
    named = profile.ingress.class_name or any("class" in key for key in profile.ingress.annotations)
    assert named, "neither a class nor an annotation says who serves a route"
    assert all(reason for reason in profile.unsupported.values())


def has_resources_that_are_data(case: Case) -> None:
    """JSON values, each after what it refers to, of types that are served; the same each time."""
    resources, types = case.resources(), case.provider.resource_types()
    assert list(resources) == list(case.resources())
    earlier: set[str] = set()
    for resource in resources:
        assert resource.type.startswith(f"portable:{case.provider.name}:"), resource.type
        assert resource.type in types, f"{resource.type} is not served"
        assert resource.name not in earlier, f"two are called {resource.name}"
        missing = set(_dependencies(resource)) - earlier
        assert not missing, f"{resource.name} comes before {missing}"
        json.dumps(_with(resource.inputs, None))
        earlier.add(resource.name)
    for served in types.values():
        assert isinstance(served, ResourceType)
        assert isinstance(served.secret_outputs, tuple)


def previews_what_is_not_known_yet(case: Case) -> None:
    """In a preview, outputs of what is still to be made are None; `check` and `diff` bear that."""
    for resource in case.resources():
        served = case.provider.resource_types()[resource.type]
        known = _with(resource.inputs, "known")
        inputs = _with(resource.inputs, None)
        problems = served.check(inputs)
        assert not problems, f"{resource.name}: {problems}"
        if inputs != known:
            assert isinstance(served.diff("known", dict(known), known, inputs), Diff)


def makes_nothing_for_an_existing_cluster(case: Case) -> None:
    assert tuple(case.resources(replace(case.cluster, existing=True))) == ()


def says_what_it_must_be_allowed(case: Case) -> None:
    assert case.provider.permissions().strip()


PLUGIN: tuple[Promise, ...] = (
    speaks_the_protocol,
    is_found_by_its_entry_point,
    costs_nothing_to_load,
    has_a_profile_that_is_explicit,
    has_resources_that_are_data,
    previews_what_is_not_known_yet,
    makes_nothing_for_an_existing_cluster,
    says_what_it_must_be_allowed,
)


def a_preview_makes_nothing(case: Case) -> None:
    assert case.provider.find(case.cluster) is None
    assert case.stack().preview(case.resources()) == {resource.name: None for resource in case.resources()}
    assert list(case.leftovers()) == []


def up_makes_one_and_up_again_nothing(case: Case) -> None:
    stack = case.stack()
    assert stack.up(case.resources()) == [f"create {entry.name}" for entry in _ordered(case.resources())]
    made = _found(case)
    assert made.healthy, made.detail
    assert made.name == case.cluster.name
    assert made.version
    assert made.uid
    assert made.uid in [entry["outputs"].get("uid") for entry in stack.state.values()], "no output `uid` of the cluster"
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


def a_creation_that_broke_off_is_carried_on(case: Case) -> None:
    """Each object in turn is made, and the engine dies before it hears of it."""
    resources = case.resources()
    died: set[str] = set()
    for number in range(len(resources)):
        stack = Stack(_dying(case, died), case.state / "state.json")
        with contextlib.suppress(_EngineDied):
            stack.up(resources, refresh=False)
        unfinished = [name for name, entry in stack.state.items() if not entry["id"]]
        assert len(unfinished) == 1, f"{number} objects are made, {unfinished} is begun"
        case.provider.find(case.cluster)  # bears what is half made
    case.stack().up(resources)
    there = sorted(case.leftovers())
    case.stack("another").up(resources)
    assert sorted(case.leftovers()) == there, "something was made twice"
    case.stack().destroy()
    assert list(case.leftovers()) == []


def a_creation_that_broke_off_is_destroyed(case: Case) -> None:
    """Whatever the state knows only as begun is found and deleted."""
    resources, died = case.resources(), set[str]()
    for _ in resources:
        with contextlib.suppress(_EngineDied):
            Stack(_dying(case, died), case.state / "state.json").up(resources, refresh=False)
    case.stack().destroy()
    assert list(case.leftovers()) == []


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


def the_sweep_finds_nothing_after_destroy(case: Case) -> None:
    stack = case.stack()
    stack.up(case.resources())
    stack.destroy()
    if isinstance(case.provider, Sweep):
        assert list(case.provider.leftovers(case.cluster)) == []


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
    progress_is_told_while_it_is_made,
)


class _EngineDied(Exception):
    pass


def _dying(case: Case, died: set[str]) -> dict[str, ResourceType]:
    """The plugin's types, whose first creation of what is not in `died` is never heard of."""

    class Dying:
        def __init__(self, inner: ResourceType) -> None:
            self._inner = inner

        def __getattr__(self, name: str) -> Any:
            return getattr(self._inner, name)

        def create(self, inputs: Inputs, emit: Emit) -> tuple[str, Outputs]:
            made = self._inner.create(inputs, emit)
            asked = json.dumps([type(self._inner).__name__, inputs], sort_keys=True)
            if asked in died:
                return made
            died.add(asked)
            raise _EngineDied

    types: dict[str, Any] = {token: Dying(served) for token, served in case.provider.resource_types().items()}
    return types


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


def _with(value: Any, unknown: Any) -> Any:
    """Inputs with `unknown` in the place of each reference."""
    if isinstance(value, Ref):
        return unknown
    if isinstance(value, Mapping):
        return {key: _with(entry, unknown) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [_with(entry, unknown) for entry in value]
    return value
