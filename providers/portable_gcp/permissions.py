"""The role that this plugin needs, made from the calls that it makes."""

from __future__ import annotations

from portable_gcp.calls import CALLS, DNS_CALLS, IMAGE_CALLS

# doctor asks about them all at once; the API server's own rights come as a role
IN_CLUSTER = "roles/container.admin"
# What the registry itself asks of whoever pushes and pulls.
# https://cloud.google.com/artifact-registry/docs/access-control
PUSH = ("artifactregistry.repositories.downloadArtifacts", "artifactregistry.repositories.uploadArtifacts")
_TITLE = "portable"


def needed() -> tuple[str, ...]:
    return tuple(sorted({permission for call in CALLS.values() for permission in call.permissions}))


def needed_for_dns() -> tuple[str, ...]:
    """Beside the others, where `up` shall write the records of routes."""
    return tuple(sorted({permission for call in DNS_CALLS.values() for permission in call.permissions}))


def needed_for_images() -> tuple[str, ...]:
    """Beside the others, where a container has `build`."""
    return tuple(sorted({*PUSH, *(permission for call in IMAGE_CALLS.values() for permission in call.permissions)}))


def text() -> str:
    """A role's definition, as `gcloud iam roles create` takes it, and how to give it."""
    lines = "".join(f"- {permission}\n" for permission in needed())
    names = "".join(f"- {permission}\n" for permission in needed_for_dns())
    images = "".join(f"- {permission}\n" for permission in needed_for_images())
    return (
        "# A custom role with what portable calls, and no more. Save this as role.yaml, then:\n"
        "#   gcloud iam roles create portable --project PROJECT --file role.yaml\n"
        "#   gcloud projects add-iam-policy-binding PROJECT --member MEMBER --role projects/PROJECT/roles/portable\n"
        "# GKE's API server takes IAM's word for who may do what in a cluster. For the app's objects there:\n"
        f"#   gcloud projects add-iam-policy-binding PROJECT --member MEMBER --role {IN_CLUSTER}\n"
        "# resourcemanager.projects.setIamPolicy gives the nodes' account its roles. Whoever shall not have it can be given\n"
        "# a cluster made by somebody who has: with the roles in place, portable only reads the policy.\n"
        f"title: {_TITLE}\n"
        "stage: GA\n"
        "includedPermissions:\n"
        f"{lines}"
        "# To write the records of routes into zones of Cloud DNS; without these `up` prints them instead.\n"
        f"{names}"
        "# To push images that are built from the spec, or copied by a migration; leave these out where there are none.\n"
        f"{images}"
    )
