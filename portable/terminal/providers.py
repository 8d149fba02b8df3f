"""What one provider makes of a spec, in a person's words."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console
from rich.text import Text

from portable.provider import ClusterResource, Profile, Provider
from portable.terminal.console import printable
from portable.terminal.state import object_label
from portable.terminal.tables import print_pairs


def print_provider(
    console: Console, provider: Provider, profile: Profile, resources: Sequence[ClusterResource]
) -> None:
    """`resources`: what a cluster is made of where a spec says nothing of it."""
    names = ", ".join((provider.name, *provider.aliases))
    console.print(Text().append(f"{provider.title}  ", "name").append(names, "quiet"))
    storage, ingress = profile.storage, profile.ingress
    print_pairs(
        console,
        [
            ("replicas where the spec names none", str(profile.replicas)),
            ("storage class, one node at a time", storage.single or "none"),
            ("storage class, many nodes", storage.shared or "none: a shared volume is an error"),
            ("volumes can grow", _yes(storage.expandable)),
            ("ingress class", ingress.class_name or "none: an annotation says who serves"),
            ("tls: auto", "unsupported" if ingress.auto_tls == "unsupported" else "supported"),
            ("network policies", "enforced" if profile.policy_enforced else "written, but nothing enforces them"),
            ("metrics for autoscaling", _yes(profile.metrics)),
            ("adds nodes by itself", _yes(profile.node_autoscaling)),
        ],
    )
    for heading, pairs in (("Images", profile.images), ("What it cannot do", profile.unsupported)):
        if pairs:
            console.print(Text(f"\n{heading}", "quiet"))
            print_pairs(console, list(pairs.items()))
    if resources:
        console.print(Text("\nA cluster is made of", "quiet"))
        print_pairs(console, [(object_label(each.type, each.name), each.note) for each in resources])
    permissions = provider.permissions().strip()
    if permissions:
        console.print(Text("\nPermissions that it needs", "quiet"))
        # as it is: it is to be copied, and a line that is broken in two means something else
        for line in permissions.splitlines():
            console.print(Text(printable(line)), soft_wrap=True)


def _yes(value: bool) -> str:
    return "yes" if value else "no"
