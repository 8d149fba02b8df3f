"""portable:aws:Logs: where the control plane's audit log goes. Made before EKS would make it, which keeps for ever and leaves it behind.

inputs   name (of the resource), cluster, region, days
outputs  name, cluster, region, group, days
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from portable.errors import Problem
from portable.events import Emit
from portable.provider import Diff, Inputs, Outputs
from portable_aws import eks as service
from portable_aws.ec2 import require_same_place
from portable_aws.session import Sdk, tags_of
from portable_aws.words import explained, unless, unless_gone


class Logs:
    secret_outputs: tuple[str, ...] = ()

    def __init__(self, sdk: Sdk) -> None:
        self._sdk = sdk

    def check(self, inputs: Inputs) -> Sequence[Problem]:
        return ()

    def diff(self, object_id: str, outputs: Outputs, old: Inputs, new: Inputs) -> Diff:
        require_same_place(outputs, new)
        return Diff() if outputs["days"] == new["days"] else Diff(changes=("days",))

    def create(self, inputs: Inputs, emit: Emit) -> tuple[str, Outputs]:
        with explained(self._sdk):
            group, tags = group_name(inputs["cluster"]), tags_of(inputs["cluster"], inputs["name"])
            logs = self._client(inputs)
            # the log of someone else's cluster has the same name
            if (live := self._cluster(inputs)) is not None:
                service.require_ours(live)
            unless(
                {"ResourceAlreadyExistsException"},
                lambda: logs.create_log_group(logGroupName=group, tags=tags),
            )
            return group, self._settled(inputs)

    def read(self, object_id: str, inputs: Inputs, outputs: Outputs) -> Outputs | None:
        with explained(self._sdk):
            found = find(self._sdk, inputs["region"], inputs["cluster"])
            return None if found is None else _outputs(inputs, found)

    def update(self, object_id: str, outputs: Outputs, old: Inputs, new: Inputs, emit: Emit) -> Outputs:
        with explained(self._sdk):
            return self._settled(new)

    def delete(self, object_id: str, outputs: Outputs, emit: Emit) -> None:
        with explained(self._sdk):
            group, live = group_name(outputs["cluster"]), self._cluster(outputs)
            if live is None or service.is_ours(live):
                unless_gone(lambda: self._client(outputs).delete_log_group(logGroupName=group))

    def _settled(self, inputs: Inputs) -> Outputs:
        group = group_name(inputs["cluster"])
        self._client(inputs).put_retention_policy(logGroupName=group, retentionInDays=inputs["days"])
        return _outputs(inputs, {"retentionInDays": inputs["days"]})

    def _cluster(self, inputs: Inputs) -> Mapping[str, Any] | None:
        return service.cluster_of(self._sdk.eks(inputs["region"]), inputs["cluster"])

    def _client(self, inputs: Inputs) -> Any:
        return self._sdk.client("logs", inputs["region"])


def group_name(cluster: str) -> str:
    """The name is EKS's choice."""
    return f"/aws/eks/{cluster}/cluster"


def find(sdk: Sdk, region: str, cluster: str) -> Mapping[str, Any] | None:
    group = group_name(cluster)
    found = sdk.client("logs", region).describe_log_groups(logGroupNamePrefix=group)["logGroups"]
    return next((entry for entry in found if entry["logGroupName"] == group), None)


def _outputs(inputs: Inputs, found: Mapping[str, Any]) -> Outputs:
    return {
        **{key: inputs[key] for key in ("name", "cluster", "region")},
        "group": group_name(inputs["cluster"]),
        "days": found.get("retentionInDays", 0),
    }
