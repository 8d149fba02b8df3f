"""providers, doctor, completion: what is installed, what is missing, and the shell."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.shell_completion import get_completion_class

from portable.cli.options import Cloud, Environment, command
from portable.cli.session import Session

if TYPE_CHECKING:
    from portable.doctor import Examined


@click.group("providers")
def providers() -> None:
    """List the clouds that this installation knows.

    \b
    Example:
      portable providers show kind
    """


@command("list", "portable providers list")
@click.pass_obj
def list_(session: Session) -> None:
    """List the provider plugins with their aliases."""
    from portable.provider import load_provider, provider_names

    found = [load_provider(name) for name in provider_names()]
    if session.json:
        session.write_json(
            {"providers": [{"name": each.name, "title": each.title, "aliases": each.aliases} for each in found]}
        )
        return
    from portable.terminal.tables import print_table

    print_table(
        session.out, ("cloud", "aliases", "what it is"), [(p.name, ", ".join(p.aliases), p.title) for p in found]
    )


@command("show", "portable providers show gke")
@click.argument("name", type=Cloud())
@click.pass_obj
def show(session: Session, name: str) -> None:
    """Show what a provider makes of a spec: its profile, what a cluster is made of, the permissions that it needs."""
    from dataclasses import asdict

    from portable.clusters import made_of
    from portable.provider import load_provider
    from portable.spec.model import Cluster

    provider = load_provider(name)
    profile = provider.profile(Cluster())
    resources = made_of(provider)
    if session.json:
        permissions = provider.permissions()
        session.write_json(
            {
                "name": provider.name,
                "title": provider.title,
                "profile": asdict(profile),
                "cluster": [{"type": each.type, "name": each.name, "note": each.note} for each in resources],
                "permissions": permissions,
            }
        )
        return
    from portable.terminal.providers import print_provider

    print_provider(session.out, provider, profile, resources)


providers.add_command(list_)
providers.add_command(show)


@command("doctor", "portable doctor\nportable doctor --cloud kind --fix")
@click.option(
    "--cloud", type=Cloud(), help="Also what this cloud needs, for the cluster of the spec where there is one."
)
@click.option("-e", "--environment", type=Environment(), help="The environment whose cluster is meant.")
@click.option(
    "--file", type=click.Path(path_type=Path, dir_okay=False), help="The spec; default: portable.yaml if it is here."
)
@click.option("--fix", is_flag=True, help="Get or build what is missing. Nothing else ever downloads or builds.")
@click.pass_obj
def doctor(session: Session, cloud: str | None, environment: str | None, file: Path | None, fix: bool) -> int:
    """Look for what `up` needs, and get it with --fix.

    Exits with 1 while something is missing.
    """
    from portable.doctor import examine, spec_cluster

    wanted, cluster = spec_cluster(file, environment)
    cloud = cloud or wanted
    if fix:
        with session.operation() as emit:
            found = examine(cloud, fix=True, emit=emit, cluster=cluster)
    else:
        with session.question() as emit:
            found = examine(cloud, fix=False, emit=emit, cluster=cluster)
    _print_checks(session, found, fix)
    return 0 if found.healthy else 1


def _print_checks(session: Session, found: Examined, fix: bool) -> None:
    document: dict[str, Any] = {"checks": found.checks, "healthy": found.healthy}
    if session.json:
        session.write_result(document) if fix else session.write_json(document)
        return
    from portable.terminal.checks import print_checks

    print_checks(session.out, found.checks)


@command(
    "completion",
    "source <(portable completion bash)\nportable completion fish > ~/.config/fish/completions/portable.fish",
)
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def completion(shell: str) -> None:
    """Print the completion script of a shell.

    It completes commands, options, clouds, environments and workloads.
    """
    from portable.cli.commands import portable
    from portable.cli.run import COMPLETION_VARIABLE

    made = get_completion_class(shell)
    if made is not None:
        click.echo(made(portable, {}, "portable", COMPLETION_VARIABLE).source())
