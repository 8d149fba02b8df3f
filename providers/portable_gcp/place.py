"""Where: the project and the region, from the spec or from what Google's own tools are set to."""

from __future__ import annotations

import configparser
import os
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from portable.errors import ProviderError

if TYPE_CHECKING:
    from portable.spec.model import Cluster
    from portable_gcp.session import Google

_PROJECT_VARIABLES = ("GOOGLE_CLOUD_PROJECT", "CLOUDSDK_CORE_PROJECT")
_REGION_VARIABLES = ("CLOUDSDK_COMPUTE_REGION", "GOOGLE_CLOUD_REGION")
# Whose credentials they are; neither holds one itself.
CREDENTIAL_CHOICES = ("GOOGLE_APPLICATION_CREDENTIALS", "CLOUDSDK_CONFIG")
_ZONE = re.compile(r"(.+-[a-z]+\d+)-[a-z]")


@dataclass(frozen=True)
class Place:
    """A project and a location in it (a region; of a cluster made by someone else also a zone)."""

    project: str
    region: str

    @property
    def parent(self) -> str:
        return f"projects/{self.project}/locations/{self.region}"

    def holds(self, location: str) -> bool:
        """Whether a zone or region is in the same region."""
        return (zone_of(location) or location) == (zone_of(self.region) or self.region)


def locate(google: Google, cluster: Cluster) -> Place:
    """Raises ProviderError that names every place that was looked at."""
    return Place(_project(google), _region(cluster))


def place_of(known: Mapping[str, Any]) -> Place:
    """Where an object is: of its inputs or outputs."""
    return Place(known["project"], known["region"])


def _project(google: Google) -> str:
    found = _variable(_PROJECT_VARIABLES) or google.project or gcloud_setting("core", "project")
    if not found:
        looked = [*_PROJECT_VARIABLES, "the credentials", f"core/project in {gcloud_file()}"]
        raise ProviderError(
            "which Google Cloud project to use is said nowhere",
            detail=f"looked at: {', '.join(looked)}",
            fix="`gcloud config set project PROJECT`, or set GOOGLE_CLOUD_PROJECT",
        )
    return found


def _region(cluster: Cluster) -> str:
    found = cluster.region or _variable(_REGION_VARIABLES) or gcloud_setting("compute", "region")
    if not found:
        looked = ["cluster.region in the spec", *_REGION_VARIABLES, f"compute/region in {gcloud_file()}"]
        raise ProviderError(
            "which Google Cloud region to use is said nowhere",
            detail=f"looked at: {', '.join(looked)}",
            fix="set cluster.region in the spec (europe-west1, say), or `gcloud config set compute/region REGION`",
        )
    return found


def zone_of(region: str) -> str | None:
    """The region that `region` is a zone of, if it is one."""
    match = _ZONE.fullmatch(region)
    return match[1] if match else None


def gcloud_file() -> Path:
    """gcloud's active configuration. https://cloud.google.com/sdk/docs/configurations"""
    if "CLOUDSDK_CONFIG" in os.environ:
        folder = Path(os.environ["CLOUDSDK_CONFIG"])
    elif sys.platform == "win32":
        folder = Path(os.environ.get("APPDATA", ""), "gcloud")
    else:
        folder = Path.home() / ".config" / "gcloud"
    active = os.environ.get("CLOUDSDK_ACTIVE_CONFIG_NAME", "")
    if not active:
        named = folder / "active_config"
        active = named.read_text().strip() if named.is_file() else "default"
    return folder / "configurations" / f"config_{active}"


def gcloud_setting(section: str, key: str) -> str:
    """Empty where it is not set."""
    parser = configparser.ConfigParser(interpolation=None)
    try:
        parser.read(gcloud_file(), encoding="utf-8")
    except (configparser.Error, UnicodeDecodeError):
        return ""
    return parser.get(section, key, fallback="")


def _variable(names: tuple[str, ...]) -> str:
    return next((os.environ[name] for name in names if os.environ.get(name)), "")
