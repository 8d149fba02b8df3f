"""Where the user's own Azure configuration says which subscription and which location: the places that `az` looks at too.

https://learn.microsoft.com/cli/azure/azure-cli-configuration
"""

from __future__ import annotations

import configparser
import json
import os
from pathlib import Path

from portable.errors import ProviderError
from portable_azure import names

# The SDK's settings.azure_cloud reads AZURE_SDK_CLOUD_CONF for the sovereign clouds that it knows; this is for all others.
ENDPOINT_VARIABLE = "PORTABLE_AZURE_ENDPOINT"


def folder() -> Path:
    return Path(os.environ.get("AZURE_CONFIG_DIR") or Path.home() / ".azure")


def subscription() -> str:
    """The subscription's id. Raises ProviderError naming the places that were looked at."""
    chosen = os.environ.get("AZURE_SUBSCRIPTION_ID") or _default_subscription()
    if not chosen:
        raise ProviderError(
            "no Azure subscription is chosen",
            detail=f"looked at: AZURE_SUBSCRIPTION_ID, the default of {folder() / 'azureProfile.json'}",
            fix="`az account set --subscription NAME`, or set AZURE_SUBSCRIPTION_ID",
        )
    return chosen


def location(region: str | None) -> str:
    """`region` of the spec, else the configured default. Raises ProviderError naming the places that were looked at."""
    chosen = region or os.environ.get("AZURE_DEFAULTS_LOCATION") or _default_location()
    if not chosen:
        raise ProviderError(
            "no Azure location is chosen",
            detail=f"looked at: cluster.region, AZURE_DEFAULTS_LOCATION, [defaults] location of {folder() / 'config'}",
            fix='say it in the spec (cluster: {region: "westeurope"}), or `az config set defaults.location=westeurope`',
        )
    return names.location(chosen)


def endpoint() -> str | None:
    """The Resource Manager's URL where it is none that the SDK knows."""
    return os.environ.get(ENDPOINT_VARIABLE) or None


def _default_subscription() -> str:
    try:
        # az writes a byte order mark
        profile = json.loads((folder() / "azureProfile.json").read_text(encoding="utf-8-sig"))
        return next(str(entry["id"]) for entry in profile["subscriptions"] if entry.get("isDefault"))
    except (OSError, ValueError, KeyError, TypeError, StopIteration):
        return ""


def _default_location() -> str:
    config = configparser.ConfigParser()
    try:
        config.read(folder() / "config", encoding="utf-8")
    except (configparser.Error, UnicodeDecodeError):
        return ""
    return config.get("defaults", "location", fallback="")
