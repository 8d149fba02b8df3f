"""migrate: an app with its data from one cluster to another, and the ways on and back."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from portable.cli.asking import confirmation, require_terminal
from portable.cli.migrate_options import YES, choices, ends_options, limits
from portable.cli.options import command
from portable.cli.session import Session
from portable.errors import UsageError

if TYPE_CHECKING:
    from portable.migrate.flow import MigrateResult, Mode
    from portable.migrate.journal import End
    from portable.migrate.plan import MigrationPlan
    from portable.target import Request
    from portable.terminal.progress import Progress

_BEGIN = "start"


class Migrate(click.Group):
    """`portable migrate aws gcp` is `portable migrate start aws gcp`."""

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Whatever is no command is an end."""
        return super().get_command(ctx, cmd_name) or self.commands[_BEGIN]

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and args[0] not in self.commands:
            args = [_BEGIN, *args]
        return super().resolve_command(ctx, args)

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Options may stand before the ends: they are not the group's."""
        if args and args[0].startswith("-") and args[0] not in ctx.help_option_names:
            args = [_BEGIN, *args]
        return super().parse_args(ctx, args)


@click.group("migrate", cls=Migrate, subcommand_metavar="FROM TO [OPTIONS] | COMMAND")
def migrate() -> None:
    """Move a running app, data included, to another cluster.

    FROM and TO are clouds, or CLOUD/CLUSTER for a cluster of another name than the spec's. The options of `portable migrate FROM
    TO` are those of `start`.

    \b
    Example:
      portable migrate aws gcp -e prod --plan      what would move, and how long the app would stand still
      portable migrate aws gcp -e prod --stage     copy data while the source serves; again, any day
      portable migrate aws gcp -e prod             do it
    """


@command(
    _BEGIN,
    "portable migrate aws gcp -e prod --plan\nportable migrate aws gcp -e prod\n"
    "portable migrate start kind/one kind/two    # the same as `portable migrate kind/one kind/two`",
)
@ends_options(ends=True)
@click.option(
    "--plan", "only_plan", is_flag=True, help="Show what would move, what cannot and why, and how long it takes."
)
@click.option("--stage", is_flag=True, help="Copy data while the source serves, then end; may be repeated.")
@click.option(
    "--rehearse", is_flag=True, help="Stage, start the app on the target beside the source, check it, stop it."
)
@click.option(
    "--share",
    type=click.IntRange(1, 99),
    metavar="PERCENT",
    help="Let so much of the DNS answers lead to the target, and leave it at that until `resume` or `rollback`.",
)
@limits
@YES
@click.pass_obj
def start(
    session: Session,
    request: Request,
    between: tuple[End, End],
    only_plan: bool,
    stage: bool,
    rehearse: bool,
    yes: bool,
    **options: Any,
) -> None:
    """Move the app, or go on with moving it.

    Data is copied while the source serves. Then the source stops, the rest is copied and compared, the target starts and traffic
    moves. Where that fails, the source serves again. It stays as a way back until `portable migrate finalize`.
    """
    if only_plan + stage + rehearse + (options["share"] is not None) > 1:
        raise UsageError("--plan, --stage, --rehearse and --share exclude each other", fix="name one of them, or none")
    from portable.migrate import flow

    if only_plan:
        with session.question() as emit:
            plan = flow.make_plan(request, between, emit)
        if session.json:
            session.write_json(asdict(plan))
        else:
            _show(session, plan, error_stream=False)
        return
    require_terminal(session, not yes, f"migrate {between[0]} {between[1]}")
    mode: Mode = "stage" if stage else "rehearse" if rehearse else "full"
    with session.operation() as progress:
        confirm = (
            None if yes else _asking(session, progress, f"Move it to {between[1]}?" if mode == "full" else "Begin?")
        )
        result = flow.migrate(request, between, emit=progress, mode=mode, confirm=confirm, options=choices(options))
    _tell(session, result)


@command("resume", "portable migrate resume -e prod\nportable migrate resume aws gcp -e prod")
@ends_options(ends=False)
@limits
@click.pass_obj
def resume(session: Session, request: Request, between: tuple[End, End] | None, **options: Any) -> None:
    """Go on with a migration that was broken off, from any machine.

    Without FROM and TO the cluster is asked where the spec has the app.
    """
    from portable.migrate import flow

    with session.operation() as progress:
        result = flow.resume(request, between, emit=progress, options=choices(options))
    _tell(session, result)


@command("status", "portable migrate status -e prod\nportable migrate status aws gcp -e prod --output json")
@ends_options(ends=False, engine=False)
@click.pass_obj
def status(session: Session, request: Request, between: tuple[End, End] | None) -> None:
    """Show how far a migration is.

    Every step with its time, and who works on it."""
    from portable.migrate import flow

    found = flow.status(request, between)
    if session.json:
        session.write_json({**asdict(found), "home": asdict(found.record.answers)})
        return
    from portable.terminal.migration import print_status

    print_status(session.out, found)


@command("abort", "portable migrate abort -e prod --yes")
@ends_options(ends=False)
@YES
@click.pass_obj
def abort(session: Session, request: Request, between: tuple[End, End] | None, yes: bool) -> None:
    """Give a migration up before traffic has moved.

    The source is as it was before; what was made on the target is deleted.
    """
    require_terminal(session, not yes, "migrate abort")
    if not yes and not click.confirm("Give it up, and delete what was made on the target?", err=True):
        raise UsageError("nothing was changed: you said no")
    from portable.migrate import back

    with session.operation() as progress:
        result = back.abort(request, between, emit=progress)
    _tell(session, result)


@command("rollback", "portable migrate rollback -e prod --yes\nportable migrate rollback -e prod --discard")
@ends_options(ends=False)
@click.option("--discard", is_flag=True, help="Go back without what was written since traffic moved.")
@limits
@YES
@click.pass_obj
def rollback(
    session: Session, request: Request, between: tuple[End, End] | None, discard: bool, yes: bool, **options: Any
) -> None:
    """Go back to the source.

    Before traffic has moved the source just serves again. Afterwards the app migrates back, with what was written meanwhile; with
    --discard it goes back to the moment when the source stopped, and what was written since is lost.
    """
    require_terminal(session, not yes, "migrate rollback")
    from portable.migrate import back

    with session.operation() as progress:

        def agree(words: str) -> bool:
            with progress.paused():
                return yes or click.confirm(f"{words[:1].upper()}{words[1:]}. Go back?", err=True)

        result = back.rollback(
            request,
            between,
            emit=progress,
            confirm=None if yes else _asking(session, progress, "Move it back?"),
            discard=discard,
            agree=agree,
            options=choices(options),
        )
    _tell(session, result)


@command("finalize", "portable migrate finalize -e prod\nportable migrate finalize -e prod --yes --keep-cluster")
@ends_options(ends=False)
@click.option("--keep-cluster", is_flag=True, help="Delete the app, keep the cluster.")
@YES
@click.pass_obj
def finalize(
    session: Session, request: Request, between: tuple[End, End] | None, keep_cluster: bool, yes: bool
) -> None:
    """Destroy the source, data included.

    Only once the target is the app's home. There is no way back afterwards.
    """
    require_terminal(session, not yes, "migrate finalize")
    from portable.migrate import back

    with session.operation() as progress:
        words = "Delete the source and its data for good?"
        confirm = None if yes else confirmation(session, progress, words)
        result = back.finalize(request, between, emit=progress, confirm=confirm, keep_cluster=keep_cluster)
    _tell(session, result)


for _each in (start, resume, status, abort, rollback, finalize):
    migrate.add_command(_each)


def _asking(session: Session, progress: Progress, words: str) -> Callable[[MigrationPlan], bool]:
    def confirm(plan: MigrationPlan) -> bool:
        with progress.paused():
            _show(session, plan, error_stream=True)
            return click.confirm(f"\n{words}", err=True)

    return confirm


def _show(session: Session, plan: MigrationPlan, *, error_stream: bool) -> None:
    from portable.terminal.migration import print_migration_plan

    print_migration_plan(session.err if error_stream else session.out, plan)


def _tell(session: Session, result: MigrateResult) -> None:
    if session.json:
        session.write_result(asdict(result))
        return
    from portable.terminal.migration import print_result

    print_result(session.out, result)
