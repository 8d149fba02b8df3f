"""plan, up, destroy: the commands that compare and change."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from portable.cli.options import command, target_options
from portable.cli.session import Session
from portable.cli.spec import print_warnings
from portable.errors import UsageError

if TYPE_CHECKING:
    from portable.plan import Plan
    from portable.target import Request
    from portable.terminal.progress import Progress


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
    """Show what `up` would change, object by object and field by field. Changes nothing."""
    from portable.plan import plan as make_plan
    from portable.plan import write_plan

    with session.question() as emit:
        made = make_plan(request, emit=emit)
    if out is not None:
        write_plan(made, out)
    if session.json:
        session.write_json({**asdict(made), "changes": made.changes})
    else:
        _print_plan(session, made, error_stream=False)
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
@click.pass_obj
def up(session: Session, request: Request, yes: bool, plan_file: Path | None) -> None:
    """Make the cluster if needed, deploy the app, and wait until it is ready."""
    from portable.up import up as bring_up

    ask = not yes and plan_file is None
    _require_terminal(session, ask, "up")
    with session.operation() as progress:
        confirm = _confirm(session, progress, "Apply these changes?") if ask else None
        result = bring_up(request, emit=progress, confirm=confirm, plan_file=plan_file)
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
@click.pass_obj
def destroy(session: Session, request: Request, yes: bool, destroy_data: bool, keep_cluster: bool) -> None:
    """Delete the app and its cluster. Data is kept unless --destroy-data says otherwise."""
    from portable.destroy import destroy as tear_down

    _require_terminal(session, not yes, "destroy")
    with session.operation() as progress:
        words = "Delete all of this, and its data for good?" if destroy_data else "Delete all of this?"
        confirm = None if yes else _confirm(session, progress, words)
        result = tear_down(
            request, emit=progress, confirm=confirm, destroy_data=destroy_data, keep_cluster=keep_cluster
        )
    if session.json:
        session.write_result(asdict(result))
        return
    from portable.terminal.summary import print_destroy

    print_destroy(session.out, result)


def _require_terminal(session: Session, ask: bool, name: str) -> None:
    """Nothing is asked where nobody can answer: the command line must say yes itself."""
    if not ask:
        return
    if session.json:
        raise UsageError("--output json asks no questions", fix=f"pass --yes: `portable {name} --yes --output json`")
    if sys.stdin is None or sys.stdin.closed or not sys.stdin.isatty():
        raise UsageError(
            "nobody can be asked: standard input is no terminal",
            fix=f"look at `portable plan`, then pass --yes: `portable {name} --yes`",
        )


def _confirm(session: Session, progress: Progress, words: str) -> Callable[[Plan], bool]:
    def confirm(plan: Plan) -> bool:
        with progress.paused():
            _print_plan(session, plan, error_stream=True)
            return click.confirm(f"\n{words}", err=True)

    return confirm


def _print_plan(session: Session, plan: Plan, *, error_stream: bool) -> None:
    from portable.terminal.plan import print_plan

    print_plan(
        session.err if error_stream else session.out,
        title=plan.title,
        cluster=plan.cluster,
        app=plan.app,
        notes=plan.notes,
        missing=plan.missing,
        offline=plan.offline,
        whole=session.verbose,
    )
