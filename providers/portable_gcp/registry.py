"""Artifact Registry: one Docker repository called `portable` in the project and region of the cluster, a package for each image.
https://cloud.google.com/artifact-registry/docs/reference/rest/v1/projects.locations.repositories

Tags are immutable: each is made of what the image was built from. The nodes' service account may read the project's registries.
"""

from __future__ import annotations

import re
from typing import Any

from portable.events import Emit, Notice
from portable.provider import RegistryLogin
from portable_gcp.operations import rest_done
from portable_gcp.place import Place
from portable_gcp.session import Google, Refused

REPOSITORY = "portable"
LABELS = {"made-by": "portable"}
# https://cloud.google.com/artifact-registry/docs/docker/authentication#token
USER = "oauth2accesstoken"
_TIMEOUT = 300.0
_IMAGE = re.compile(r"[a-z0-9-]+-docker\.pkg\.dev/(?P<project>[^/]+(?:\.[^/]+/[^/]+)?)/.+")
_OLD = re.compile(r"(?:[a-z]+\.)?gcr\.io/(?P<project>[^/]+)/.+")


def server(place: Place) -> str:
    return f"{place.region}-docker.pkg.dev"


def ensure_repository(google: Google, place: Place, name: str, emit: Emit) -> str:
    at = {"project": place.project, "location": place.region}
    if _live(google, at) is None:
        _make(google, at, emit)
        emit(
            Notice(
                f"the Artifact Registry repository {REPOSITORY} was made in {place.region}; it costs by what is stored in it, "
                "and outlives the cluster"
            )
        )
    # a project of a domain ("example.com:shop") stands in names as two words
    return f"{server(place)}/{place.project.replace(':', '/')}/{REPOSITORY}/{name}"


def login(google: Google, place: Place) -> RegistryLogin:
    """Good for as long as an access token, an hour at most."""
    return RegistryLogin(server(place), USER, google.token().value)


def owns(place: Place, image: str) -> bool:
    """Of this project: others may be public, as Google's own are, or not ours to read."""
    match = _IMAGE.match(image) or _OLD.match(image)
    return match is not None and match["project"] == place.project.replace(":", "/")


def _live(google: Google, at: dict[str, str]) -> dict[str, Any] | None:
    try:
        return google.rest("artifactregistry.projects.locations.repositories.get", repository=REPOSITORY, **at)
    except Refused as refusal:
        if refusal.status == 404:
            return None
        raise


def _make(google: Google, at: dict[str, str], emit: Emit) -> None:
    body = {
        "format": "DOCKER",
        "description": "Images that portable builds",
        "labels": LABELS,
        "dockerConfig": {"immutableTags": True},
    }
    try:
        made = google.rest(
            "artifactregistry.projects.locations.repositories.create", body, {"repositoryId": REPOSITORY}, **at
        )
    except Refused as refusal:
        if refusal.status != 409:  # somebody else's `up` was first
            raise
        return

    rest_done(
        google, "artifactregistry", made, at, what=f"making the repository {REPOSITORY}", emit=emit, timeout=_TIMEOUT
    )
