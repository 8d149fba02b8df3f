"""The launch template of a node pool's machines, a kind for `ec2.Ec2Object`: instance metadata by session token only and out of
pods' reach, encrypted disks, tags on everything.

inputs   disk (GiB)
outputs  version (a number that rises with each change), disk, safe (whether the newest version says what ours does)
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from portable.events import Emit
from portable.provider import Inputs, Outputs
from portable_aws.ec2 import Raw, specification
from portable_aws.session import Sdk, as_list, tags_of

# AL2023, the AMI of managed node groups, boots from here.
ROOT_DEVICE = "/dev/xvda"
_METADATA = {"HttpEndpoint": "enabled", "HttpTokens": "required", "HttpPutResponseHopLimit": 1}


class LaunchTemplate:
    noun, type, id, id_filter = "launch template", "launch-template", "LaunchTemplateId", "launch-template-id"

    def list(self, ec2: Any, filters: Sequence[Raw]) -> Sequence[Raw]:
        # the one kind whose id is a parameter and no filter
        ids = [value for entry in filters if entry["Name"] == self.id_filter for value in entry["Values"]]
        if not ids:
            return ec2.describe_launch_templates(Filters=filters)["LaunchTemplates"]
        from portable_aws.words import unless_gone

        found = unless_gone(lambda: ec2.describe_launch_templates(LaunchTemplateIds=ids))
        return found["LaunchTemplates"] if found else []

    def make(self, ec2: Any, inputs: Inputs, tags: Sequence[Raw]) -> Raw:
        return ec2.create_launch_template(
            LaunchTemplateName=f"portable-{inputs['cluster']}-{inputs['name']}",
            LaunchTemplateData=_data(inputs),
            TagSpecifications=specification(self.type, tags),
        )["LaunchTemplate"]

    def settle(self, sdk: Sdk, inputs: Inputs, found: Raw, emit: Emit) -> None:
        if self.wrong(inputs, self.outputs(sdk, inputs["region"], found)):
            sdk.ec2(inputs["region"]).create_launch_template_version(
                LaunchTemplateId=found["LaunchTemplateId"], LaunchTemplateData=_data(inputs)
            )

    def outputs(self, sdk: Sdk, region: str, found: Raw) -> Outputs:
        newest = sdk.ec2(region).describe_launch_template_versions(
            LaunchTemplateId=found["LaunchTemplateId"], Versions=["$Latest"]
        )["LaunchTemplateVersions"][0]
        data = newest["LaunchTemplateData"]
        disk = next((entry["Ebs"] for entry in data.get("BlockDeviceMappings", ()) if "Ebs" in entry), {})
        metadata = data.get("MetadataOptions", {})
        safe = disk.get("Encrypted") is True and all(metadata.get(key) == value for key, value in _METADATA.items())
        return {"version": newest["VersionNumber"], "disk": disk.get("VolumeSize", 0), "safe": safe}

    def wrong(self, inputs: Inputs, outputs: Outputs) -> tuple[str, ...]:
        wrong = [] if outputs["disk"] == inputs["disk"] else ["disk"]
        return tuple(wrong if outputs["safe"] else [*wrong, "safe"])

    def remove(self, sdk: Sdk, region: str, found: Raw) -> None:
        sdk.ec2(region).delete_launch_template(LaunchTemplateId=found["LaunchTemplateId"])


def _data(inputs: Inputs) -> Raw:
    disk = {"VolumeSize": inputs["disk"], "VolumeType": "gp3", "Encrypted": True, "DeleteOnTermination": True}
    tags = as_list(tags_of(inputs["cluster"], "node"))
    return {
        "MetadataOptions": _METADATA,
        "BlockDeviceMappings": [{"DeviceName": ROOT_DEVICE, "Ebs": disk}],
        "TagSpecifications": [
            entry for kind in ("instance", "volume", "network-interface") for entry in specification(kind, tags)
        ],
    }
