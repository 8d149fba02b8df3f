"""The README of what was ejected: what is what, how to use it, what was not tried."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from portable import __version__
from portable.compile.objects import Objects
from portable.secrets import DOCKER_CONFIG_KEY


def text(
    objects: Mapping[str, Objects], left_out: Mapping[str, str], files: Iterable[str], notes: Sequence[str]
) -> str:
    paths = set(files)
    first = next(iter(objects.values()))
    lines = [
        f"# {first.app} without portable",
        "",
        f"Written by portable {__version__}. From here on these files are yours: nothing in them needs portable.",
        "",
        *_kubectl(objects, paths),
        *_pulumi(objects),
        *_clusters(objects, paths),
        "## What was run, and what was not",
        "",
        "- Nothing here was applied when it was written. Every cluster's objects were compiled from the spec.",
        "- The programs in `pulumi/` were not run with Pulumi's official plugin: run `pulumi preview` before `pulumi up`.",
        *(f"- {note}." for note in notes),
        *(f"- {cloud} is left out: {reason}." for cloud, reason in left_out.items()),
        "",
    ]
    return "\n".join(lines)


def _kubectl(objects: Mapping[str, Objects], paths: set[str]) -> list[str]:
    lines = [
        "## With kubectl",
        "",
        "`base` holds what is equal everywhere; each overlay what one cloud changes and adds.",
        "",
    ]
    for cloud, each in objects.items():
        script = f"overlays/{cloud}/secrets.sh"
        lines += ["```sh", f"kubectl apply --server-side -k overlays/{cloud}"]
        if script in paths:
            lines.append(f"sh {script} values   # values/NAME/KEY, or without it you are asked")
        lines += ["```", *_secrets(each), ""]
    return lines


def _secrets(objects: Objects) -> list[str]:
    given = [secret for secret in objects.expected if not secret.certificate_hosts]
    lines = [
        f"- `{secret.name}` ({', '.join(secret.keys)}): values that you give"
        + (", in the form of ~/.docker/config.json" if DOCKER_CONFIG_KEY in secret.keys else "")
        for secret in given
    ]
    lines += [
        f"- `{secret.name}`: a certificate for {', '.join(secret.certificate_hosts)}; without one it signs itself"
        for secret in objects.expected
        if secret.certificate_hosts
    ]
    lines += [f"- `{secret.name}`: drawn, unless it is there already" for secret in objects.generated]
    return ["", f"Secrets on {objects.cloud}, none of whose values is in a file here:", "", *lines] if lines else []


def _pulumi(objects: Mapping[str, Objects]) -> list[str]:
    return [
        "## With Pulumi's official Kubernetes plugin",
        "",
        "`pulumi/CLOUD` has the same types, names and URNs as the stack of portable. To carry that stack on:",
        "",
        "```sh",
        "cd pulumi/CLOUD && pip install -r requirements.txt",
        'export PULUMI_BACKEND_URL="file://$HOME/.local/state/portable/backend"       # or your own --state URL',
        'export PULUMI_CONFIG_PASSPHRASE_FILE="$HOME/.local/state/portable/key"',
        "pulumi stack select STACK                   # its name is in Pulumi.yaml",
        "pulumi stack export | python3 take_over.py > stack.json && pulumi stack import --file stack.json",
        "pulumi preview",
        "```",
        "",
        "Pulumi does not wait for workloads until you take the annotation `pulumi.com/skipAwait` out. Secrets are no part of",
        "the program: those in the cluster stay, and `secrets.sh` makes them elsewhere.",
        "",
    ]


def _clusters(objects: Mapping[str, Objects], paths: set[str]) -> list[str]:
    made = [cloud for cloud in objects if f"clusters/{cloud}/import.json" in paths]
    if not made:
        return []
    commands = [f"pulumi import --file clusters/{cloud}/import.json" for cloud in made]
    return [
        "## The clusters themselves",
        "",
        "In a Pulumi project of your own, this takes them into its state and writes their code. Then let portable forget",
        "them: two owners of one cluster undo each other's changes.",
        "",
        "```sh",
        *commands,
        "```",
        "",
    ]
