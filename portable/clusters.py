"""The cluster that a spec asks for, as resources that were looked at before anything is made."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from portable.errors import ClusterGone, PortableError, Problem, ProviderError, SpecError
from portable.events import Emit, Notice
from portable.home import Home, app_homes
from portable.provider import ClusterResource, ClusterState, Provider, Ref, ResourceType
from portable.spec.model import Cluster
from portable.spec.profile import placed
from portable.target import Target

if TYPE_CHECKING:
    from portable.engine import Change, Engine


def cluster_resources(target: Target) -> Sequence[ClusterResource]:
    """What the cluster stack holds; nothing for a cluster that someone else made.

    Raises SpecError with what the plugin's types find wrong, at its place in the spec.
    """
    cluster = target.app.cluster
    if cluster.existing:
        return ()
    resources = target.provider.cluster(cluster)
    problems = [placed(target.app, problem) for problem in _problems(resources, target.provider.resource_types())]
    if problems:
        raise SpecError(problems, file=str(target.file))
    return resources


def _problems(resources: Sequence[ClusterResource], types: Mapping[str, ResourceType]) -> list[Problem]:
    found = [problem for entry in resources for problem in types[entry.type].check(_known(entry.inputs))]
    return list(dict.fromkeys(found))


def _known(value: Any) -> Any:
    """Inputs with None for what is known only when another resource is made."""
    if isinstance(value, Ref):
        return None
    if isinstance(value, Mapping):
        return {key: _known(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [_known(entry) for entry in value]
    return value


def made_of(provider: Provider) -> Sequence[ClusterResource]:
    """What a cluster is made of where a spec says nothing of it; nothing where that depends on an account that is not there."""
    try:
        return provider.cluster(Cluster())
    except PortableError:
        return ()


def costs(resources: Sequence[ClusterResource]) -> tuple[str, ...]:
    """What the plugin says of choices that cost money."""
    return tuple(dict.fromkeys(entry.note for entry in resources if entry.note))


def other_apps(engine: Engine, home: Home) -> list[str]:
    """Apps with objects on the same cluster; a stack that holds nothing but credentials of a destroyed app does not count."""
    found: list[str] = []
    for other in app_homes(engine.stacks.names(), home.cluster_stack):
        state = engine.stacks.state(other.app_stack)
        lives = state is not None and any(not name.startswith("Credential/") for name in state.resources)
        if lives and other.app_stack != home.app_stack:
            found.append(other.app if other.environment is None else f"{other.app} ({other.environment})")
    return found


def made_anew(engine: Engine, home: Home, changes: Sequence[Change]) -> bool:
    """Whether one of these changes of its stack ends the cluster itself, to make another."""
    state = engine.stacks.state(home.cluster_stack)
    clusters = {name for name, outputs in state.outputs.items() if outputs.get("uid")} if state else set[str]()
    return any(change.operation == "replace" and change.name in clusters for change in changes)


def spare_others(target: Target, resources: Sequence[ClusterResource], engine: Engine, emit: Emit) -> None:
    """Raises ProviderError where the cluster would be made anew under other apps; any other change of theirs is named."""
    home = target.home
    if not (others := ", ".join(other_apps(engine, home))):
        return
    changes = engine.cluster.preview(home, resources, target.provider.resource_types())
    if made_anew(engine, home, changes):
        raise ProviderError(
            f"the cluster {home.cluster} would be made anew, and {others} would go with it",
            fix="put `cluster` back to what they ask for, or give this app's cluster a name of its own (`cluster.name`)",
        )
    if changed := [change.name for change in changes if change.operation != "same"]:
        emit(Notice(f"the cluster {home.cluster} is {others}'s too, and changes: {', '.join(changed)}", "warning"))


def require_existing(target: Target, found: ClusterState | None) -> None:
    """Raises ClusterGone or ProviderError unless a cluster that someone else made is there and well."""
    name, title = target.home.cluster, target.provider.title
    if found is None:
        raise ClusterGone(
            f"there is no cluster {name!r} on {title}",
            detail="the spec says that it exists: `cluster.existing`",
            fix=f"correct the name, or let portable make one: `cluster: {{name: {name}}}`",
        )
    if not found.healthy:
        raise ProviderError(
            f"the cluster {name!r} is not ready: {found.detail or 'its provider does not say why'}",
            fix="it was made by someone else, so portable does not mend it: look at it where it was made",
        )
