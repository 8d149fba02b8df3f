"""What is done with the stack of a cluster."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from portable.engine import run as engine_run
from portable.engine.app_stack import AppStack
from portable.engine.changes import Change
from portable.engine.clouds import Resumable, pulumi_id, unfinished
from portable.engine.preview import changes, cluster_creations
from portable.engine.stacks import Stacks, urn
from portable.engine.state import StackState, stack_outputs
from portable.errors import ProviderError
from portable.events import Notice
from portable.home import Home, app_homes
from portable.provider import ClusterResource, ClusterState, Outputs, ResourceType, references, resolved

DIGEST = "digest"
# Outputs that say where a cluster is, in the words of one cloud or another.
_PLACE = ("region", "location", "zone", "account", "project", "subscription")


class ClusterStack:
    """Operations on a cluster's resources, by the plugin's resource types. See `Engine` for what they raise."""

    def __init__(self, stacks: Stacks, app: AppStack) -> None:
        self._stacks = stacks
        self._app = app

    def up(
        self, home: Home, resources: Sequence[ClusterResource], types: Mapping[str, ResourceType], *, digest: str = ""
    ) -> Mapping[str, Outputs]:
        """Makes or updates the cluster's resources; returns the outputs of each by name, secrets hidden.

        The live objects are read first, so what was changed behind our back is put back. `digest`, of what was asked for,
        is kept with the state: see `has`.
        """
        stack = home.cluster_stack
        urns = [urn(stack, entry.type, entry.name) for entry in resources]
        with self._stacks.operation(stack, urns, shared=True):
            self._run("up", stack, resources, types, ["--refresh"], digest)
        state = self._stacks.state(stack)
        return {} if state is None else {name: dict(outputs) for name, outputs in state.outputs.items()}

    def has(self, home: Home, digest: str, cluster: ClusterState) -> bool:
        """Whether this very cluster was last brought up with `digest`, by whichever app, and that ended well."""
        deployment, state = self._stacks.read(home.cluster_stack), self._stacks.state(home.cluster_stack)
        if deployment is None or state is None or not state.complete or _vanished(state, cluster):
            return False
        return stack_outputs(deployment).get(DIGEST) == digest

    def preview(
        self, home: Home, resources: Sequence[ClusterResource], types: Mapping[str, ResourceType]
    ) -> tuple[Change, ...]:
        """What `up` would do, on the live objects as they are now. Nothing is changed, not even the state."""
        stack = home.cluster_stack
        if self._stacks.read(stack) is None:
            return cluster_creations(resources)
        outcome = self._run("preview", stack, resources, types, ["--refresh"])
        return changes("cluster", outcome, self._stacks.urns(stack), [resource.name for resource in resources])

    def destroy(self, home: Home, types: Mapping[str, ResourceType], begun: Sequence[ClusterResource] = ()) -> None:
        """Deletes the cluster's resources, also those whose creation broke off, and the stack. `begun`: what an operation that
        broke off was asked for."""
        stack = home.cluster_stack
        if self._stacks.read(stack) is None:
            return
        with self._stacks.operation(stack, (), shared=True):
            self._delete_unrecorded(stack, types, begun)
            self._run("destroy", stack, (), types, ["--remove"])

    def _delete_unrecorded(
        self, stack: str, types: Mapping[str, ResourceType], begun: Sequence[ClusterResource]
    ) -> None:
        """Pulumi's CLI outlives a `portable` that is killed, and takes the creation that was under way for a failed one: it is in
        no state. Only what stands on nothing but recorded resources can have been begun."""
        state = self._stacks.state(stack)
        made = state.outputs if state is not None else {}
        for resource in begun:
            needed = {*resource.depends_on, *references(resource.inputs)}
            if resource.name not in made and needed <= set(made):
                inputs = resolved(resource.inputs, made)
                Resumable(types[resource.type]).delete(pulumi_id(inputs), unfinished(inputs), self._stacks.emit)

    def forget_vanished(
        self, home: Home, find: Callable[[], ClusterState | None], types: Mapping[str, ResourceType]
    ) -> None:
        """Where the cluster of the state is gone, or another one has its name, what ran on it leaves the state without a call
        to it. Generated credentials stay: kept data still needs them. Its own resources are left to the next `up` or
        `destroy`, which read them first: the network of a cluster outlives it.

        `find` asks the provider. That is done when it is our turn: another `up` may be making the cluster right now.
        Raises ProviderError for a cluster that is there, but not where it is looked for now.
        """
        stack = home.cluster_stack
        if self._stacks.read(stack) is None:
            return
        with self._stacks.turn(stack):
            recorded, cluster = self._stacks.state(stack), find()
            if recorded is None or not recorded.resources or not _vanished(recorded, cluster):
                return
            if cluster is None:
                self._require_gone(home, types)
            words = f"the cluster {home.cluster} that the state knows is gone: what ran on it is forgotten"
            self._stacks.emit(Notice(words, "warning"))
            for other in app_homes(self._stacks.names(), stack):
                self._app.forget(other)

    def _require_gone(self, home: Home, types: Mapping[str, ResourceType]) -> None:
        """A region, account or project that was chosen anew makes a cluster look gone: it is read where it was made."""
        for resource in self._stacks.resources(home.cluster_stack):
            served, outputs = types.get(resource["type"]), resource.get("outputs", {})
            if served is None or not outputs.get("uid"):
                continue
            if Resumable(served).read(resource["id"], resource.get("inputs", {}), outputs) is not None:
                place = ", ".join(f"{key} {outputs[key]}" for key in _PLACE if outputs.get(key))
                raise ProviderError(
                    f"the cluster {home.cluster} is not where it is looked for now",
                    detail=f"it was made in: {place}" if place else "",
                    fix="choose that place again, or give the new cluster another name (`cluster.name`)",
                )

    def _run(
        self,
        command: engine_run.Command,
        stack: str,
        resources: Sequence[ClusterResource],
        types: Mapping[str, ResourceType],
        arguments: Sequence[str],
        digest: str = "",
    ) -> engine_run.Outcome:
        def program() -> engine_run.Program:
            from portable_stacks.cluster.program import program

            return program(resources, {DIGEST: digest})

        resumable = {token: Resumable(served) for token, served in types.items()}
        return self._stacks.run(
            command, stack, "cluster", program=program, types=resumable, served=("portable",), arguments=arguments
        )


def _vanished(recorded: StackState, cluster: ClusterState | None) -> bool:
    """Whether the provider knows no such cluster, or another one than the state."""
    if cluster is None:
        return True
    uids = {str(outputs["uid"]) for outputs in recorded.outputs.values() if outputs.get("uid")}
    return bool(uids and cluster.uid) and cluster.uid not in uids
