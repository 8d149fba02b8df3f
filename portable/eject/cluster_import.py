"""The cluster as a file for `pulumi import`: its objects by the official plugins' types and ids, from the cluster stack's state.

Format: https://www.pulumi.com/docs/iac/guides/migration/import/#bulk-import-operations
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING

from portable.eject.pulumi_program import Part
from portable.provider import NativeResources
from portable.target import Target

if TYPE_CHECKING:
    from portable.engine.state import Recorded


def files(target: Target, known: Sequence[Recorded]) -> Part:
    """`import.json`, where the state has a cluster (`known`) that the cloud's official plugin knows."""
    provider, name = target.provider, target.provider.name
    if target.app.cluster.existing:
        return Part({}, (f"the cluster of {name} was not made by portable: nothing to import",))
    if not isinstance(provider, NativeResources):
        return Part({}, (f"no official Pulumi plugin knows clusters of {name}: clusters/{name} is not written",))
    if not known:
        return Part({}, (f"there is no cluster of {name} in the state: clusters/{name} is not written",))
    found, nameless = [], []
    for each in known:
        native = provider.native_resources(each.type, each.name, dict(each.inputs), dict(each.outputs))
        found += [{"type": one.type, "name": one.name, "id": one.id} for one in native]
        nameless += [] if native else [each.name]
    notes = [
        f"clusters/{name}/import.json was made from the state and has not been run against {target.provider.title}"
    ]
    if nameless:
        notes.append(f"{name}: no native resource stands for {', '.join(nameless)}")
    return Part({"import.json": json.dumps({"resources": found}, indent=2) + "\n"}, tuple(notes))
