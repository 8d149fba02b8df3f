"""plan, up, destroy: the commands that compare and change."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from portable.cli.asking import confirmation, require_terminal, show_plan
from portable.cli.options import command, target_options
from portable.cli.session import Session
from portable.cli.spec import print_warnings
from portable.errors import UsageError

if TYPE_CHECKING:
    from portable.target import Request


@command(
    "plan", "portable plan --cloud kind\nportable plan -e prod --out prod.plan && portable up -e prod --plan prod.plan"
)
@target_options(engine=True)
@click.option(
    "--out", type=click.Path(path_type=Path, dir_okay=False), help="Write a plan file that `up --plan` holds itself to."
)
@click.option("--detailed-exitcode", is_flag=True, help="Exit with 3 when there are changes.")
@click.pass_obj
def plan(session: Session, request: Request, out: Path | None, detailed_exitcode: bool) -> int:
    """Show what `up` would change, field by field. Changes nothing."""
    from portable.plan import plan as make_plan
    from portable.plan import write_plan

    with session.question() as emit:
        made = make_plan(request, emit=emit)
    if out is not None:
        write_plan(made, out)
    if session.json:
        session.write_json({**asdict(made), "changes": made.changes})
    else:
        show_plan(session, made, error_stream=False)
        if out is not None:
            click.echo(f"\nwrote {out}: apply exactly this with `portable up --plan {out}`")
    return 3 if detailed_exitcode and made.changes else 0


@command("up", "portable up --cloud kind\nportable up -e prod --yes --output json")
@target_options(engine=True)
@click.option("--yes", "-y", is_flag=True, help="Apply without asking.")
@click.option(
    "--plan",
    "plan_file",
    type=click.Path(path_type=Path, dir_okay=False, exists=True),
    help="Apply exactly what this plan file says, or refuse.",
)
@click.option(
    "--secret",
    "secret_files",
    multiple=True,
    metavar="NAME[.KEY]=FILE",
    help="Set a secret from a file on the way, as `secret set` does; may be repeated.",
)
@click.pass_obj
def up(session: Session, request: Request, yes: bool, plan_file: Path | None, secret_files: tuple[str, ...]) -> None:
    """Deploy the app and wait until it is ready.

    Makes the cluster where there is none. Asks before it changes anything; where standard input is no terminal it refuses
    to go on without --yes.
    """
    ask = not yes and plan_file is None
    secrets = _read_secrets(session, secret_files)
    require_terminal(session, ask, "up")
    from portable.up import up as bring_up

    with session.operation() as progress:
        confirm = confirmation(session, progress, "Apply these changes?", given=secrets) if ask else None
        result = bring_up(request, emit=progress, confirm=confirm, plan_file=plan_file, secrets=secrets)
    if session.json:
        session.write_result(asdict(result))
        return
    from portable.terminal.summary import print_up

    print_warnings(session, result.warnings)
    print_up(session.out, result)


@command("destroy", "portable destroy --cloud kind\nportable destroy -e dev --yes --destroy-data")
@target_options(engine=True)
@click.option("--yes", "-y", is_flag=True, help="Delete without asking.")
@click.option(
    "--destroy-data", is_flag=True, help="Delete volumes and generated credentials too. There is no way back."
)
@click.option("--keep-cluster", is_flag=True, help="Delete the app, keep the cluster.")
@click.option(
    "--confirm", "confirmed", metavar="ENV", help="The name of a protected environment, in place of typing it."
)
@click.pass_obj
def destroy(
    session: Session, request: Request, yes: bool, destroy_data: bool, keep_cluster: bool, confirmed: str | None
) -> int:
    """Delete the app and its cluster, but keep its data.

    Volumes and generated credentials stay unless --destroy-data is given. A cluster with other apps on it, or one that
    portable did not make, is not deleted. An environment with `protect: true` needs its name typed, or given by --confirm.

    Exits with 1 where something could not be removed.
    """
    ask = not yes and confirmed is None
    require_terminal(session, ask, "destroy")
    from portable.destroy import destroy as tear_down

    with session.operation() as progress:
        words = "Delete all of this, and its data for good?" if destroy_data else "Delete all of this?"
        confirm = confirmation(session, progress, words) if ask else None
        result = tear_down(
            request,
            emit=progress,
            confirm=confirm,
            confirmed=confirmed,
            destroy_data=destroy_data,
            keep_cluster=keep_cluster,
        )
    # What could not be removed goes on costing: a script has to notice.
    code = 1 if result.left else 0
    if session.json:
        session.write_result(asdict(result))
        return code
    from portable.terminal.summary import print_destroy

    print_destroy(session.out, result)
    return code


def _read_secrets(session: Session, given: tuple[str, ...]) -> dict[str, dict[str, bytes]]:
    """name -> key -> value, from NAME[.KEY]=FILE. The key may have dots ("tls.crt"), a secret's name has none."""
    found: dict[str, dict[str, bytes]] = {}
    for text in given:
        place, equals, file = text.partition("=")
        name, _, key = place.partition(".")
        if not (equals and name and file):
            raise UsageError(
                f"--secret {text!r} is not NAME[.KEY]=FILE", fix="for example --secret api-token=token.txt"
            )
        try:
            value = Path(file).read_bytes()
        except OSError as error:
            raise UsageError(
                f"{file} cannot be read: {error.strerror}", fix="name a file with the secret's value"
            ) from error
        session.secrets.append(value.decode(errors="replace"))
        found.setdefault(name, {})[key or "value"] = value
    return found
