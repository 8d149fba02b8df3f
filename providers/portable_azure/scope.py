"""What every resource here holds to: whose it is, and that it stays where it is."""

from __future__ import annotations

from typing import Any

from portable.errors import ProviderError
from portable.provider import Inputs, Outputs
from portable_azure import names


def stay(outputs: Outputs, new: Inputs) -> None:
    """Raises ProviderError where another location or subscription is asked for than that of the live object."""
    for key, words in (("location", "location"), ("subscription", "subscription")):
        live, asked = outputs.get(key), new.get(key)
        if live and asked and names.location(live) != names.location(asked):
            raise ProviderError(
                f"the cluster is in the {words} {live}, and {asked} is asked for: a cluster cannot be moved",
                fix="make another cluster under another name and `portable migrate`, or go back to "
                + ("cluster.region" if key == "location" else "AZURE_SUBSCRIPTION_ID")
                + f" {live}",
            )


def at_home(subscription: str, outputs: Outputs) -> None:
    """Raises ProviderError where the live object is in another subscription than the one that is chosen now.

    Looking there would find nothing, and a second cluster would be made.
    """
    live = outputs.get("subscription")
    if live and live.lower() != subscription.lower():
        raise ProviderError(
            f"the cluster is in the subscription {live}, and {subscription} is chosen",
            fix=f"`az account set --subscription {live}`, or set AZURE_SUBSCRIPTION_ID",
        )


def ours(body: dict[str, Any], owner: str) -> bool:
    return (body.get("tags") or {}).get(names.STACK_TAG) == owner


def refuse_foreign(body: dict[str, Any], owner: str, what: str) -> None:
    if not ours(body, owner):
        raise ProviderError(
            f"{what} exists and was not made by portable",
            detail=f"it lacks the tag {names.STACK_TAG}={owner}",
            fix="choose another cluster.name, or use that cluster as it is: `cluster: {existing: NAME}`",
        )
