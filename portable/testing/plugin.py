"""What a plugin promises of itself; no cloud is needed to see it."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import asdict, replace
from typing import Any

from portable.provider import (
    PROTOCOL_VERSION,
    Diff,
    Profile,
    Provider,
    Ref,
    ResourceType,
    load_provider,
    provider_names,
)
from portable.testing.case import Case, Promise
from portable.testing.stack import dependencies


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
        missing = set(dependencies(resource)) - earlier
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


def _with(value: Any, unknown: Any) -> Any:
    """Inputs with `unknown` in the place of each reference."""
    if isinstance(value, Ref):
        return unknown
    if isinstance(value, Mapping):
        return {key: _with(entry, unknown) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [_with(entry, unknown) for entry in value]
    return value
