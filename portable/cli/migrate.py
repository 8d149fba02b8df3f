"""migrate: an app with its data from one cluster to another, and the ways on and back."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from portable.cli.asking import confirmation, require_terminal
from portable.cli.options import ENVIRONMENT, KUBERNETES_PROVIDER, SPEC_FILE, STATE, command
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
        if args and args[0].startswith("-") and args[0] != "--help":
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


def _options(*, ends: bool, engine: bool = True) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """FROM and TO (`ends`: needed), -e, --file, --state: given to the command as `request` and `between`."""

    def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(function)
        def call(*args: Any, source: str | None, destination: str | None, **kwargs: Any) -> Any:
            from portable.target import Request

            request = Request(
                file=kwargs.pop("file"),
                environment=kwargs.pop("environment"),
                state=kwargs.pop("state"),
                kubernetes_provider=kwargs.pop("kubernetes_provider", "auto"),
            )
            return function(*args, request=request, between=_between(request, source, destination), **kwargs)

        made: Callable[..., Any] = call
        if engine:
            made = KUBERNETES_PROVIDER(made)
        made = ENVIRONMENT(SPEC_FILE(STATE(made)))
        made = click.argument("destination", metavar="TO" if ends else "[TO]", required=ends)(made)
        return click.argument("source", metavar="FROM" if ends else "[FROM]", required=ends)(made)

    return decorate


_YES = click.option("--yes", "-y", is_flag=True, help="Do it without asking.")
_WATCH = click.option(
    "--watch", type=click.IntRange(min=0), default=15, show_default=True, help="Seconds to watch the target in traffic."
)
_JOBS = click.option(
    "--wait-for-jobs", type=click.IntRange(min=0), default=600, show_default=True, help="Seconds for jobs that run."
)
_MOST = click.option(
    "--max-downtime", type=click.IntRange(min=0), help="Seconds; where more is predicted, the source is not stopped."
)

_COMPARE = click.option(
    "--compare",
    type=click.IntRange(min=0),
    default=60,
    show_default=True,
    help="Seconds for comparing the content of one replicated database; one that takes longer is known by its log alone.",
)


@command(
    _BEGIN,
    "portable migrate aws gcp -e prod --plan\nportable migrate aws gcp -e prod\n"
    "portable migrate start kind/one kind/two    # the same as `portable migrate kind/one kind/two`",
)
@_options(ends=True)
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
@_MOST
@_COMPARE
@_WATCH
@_JOBS
@_YES
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
        result = flow.migrate(request, between, emit=progress, mode=mode, confirm=confirm, options=_choices(options))
    _tell(session, result)


@command("resume", "portable migrate resume -e prod\nportable migrate resume aws gcp -e prod")
@_options(ends=False)
@_MOST
@_COMPARE
@_WATCH
@_JOBS
@click.pass_obj
def resume(session: Session, request: Request, between: tuple[End, End] | None, **options: Any) -> None:
    """Go on with a migration that was broken off, from any machine.

    Without FROM and TO the cluster is asked where the spec has the app.
    """
    from portable.migrate import flow

    with session.operation() as progress:
        result = flow.resume(request, between, emit=progress, options=_choices(options))
    _tell(session, result)


@command("status", "portable migrate status -e prod\nportable migrate status aws gcp -e prod --output json")
@_options(ends=False, engine=False)
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
@_options(ends=False)
@_YES
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
@_options(ends=False)
@click.option("--discard", is_flag=True, help="Go back without what was written since traffic moved.")
@_WATCH
@_JOBS
@_MOST
@_COMPARE
@_YES
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
            options=_choices(options),
        )
    _tell(session, result)


@command("finalize", "portable migrate finalize -e prod\nportable migrate finalize -e prod --yes --keep-cluster")
@_options(ends=False)
@click.option("--keep-cluster", is_flag=True, help="Delete the app, keep the cluster.")
@_YES
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


def _between(request: Request, source: str | None, destination: str | None) -> tuple[End, End] | None:
    """None where neither is named. Raises UsageError for one without the other, for unknown clouds, and for one place twice."""
    if source is None:
        return None
    if destination is None:
        raise UsageError(f"from {source} to where?", fix=f"name both ends: for example `portable migrate {source} gcp`")
    ends = _end(request, source), _end(request, destination)
    if ends[0] == ends[1]:
        raise UsageError(
            f"{source} and {destination} are the same cluster, {ends[0]}",
            fix="name another cluster: for example "
            f"`portable migrate {ends[0].cloud} {ends[0].cloud}/{ends[0].cluster}-2`",
        )
    return ends


def _end(request: Request, words: str) -> End:
    from dataclasses import replace

    from portable.migrate.journal import End
    from portable.target import open_target

    cloud, slash, cluster = words.partition("/")
    if not cloud or (slash and not cluster):
        raise UsageError(f"{words!r} is no CLOUD or CLOUD/CLUSTER", fix="for example `gcp` or `gcp/shop-2`")
    home = open_target(replace(request, cloud=cloud, cluster=cluster or None), images=False).home
    return End(home.cloud, home.cluster)


def _choices(options: dict[str, Any]) -> Any:
    from portable.migrate.move import Options

    most = options["max_downtime"]
    return Options(
        max_downtime=None if most is None else float(most),
        watch=float(options["watch"]),
        wait_for_jobs=float(options["wait_for_jobs"]),
        share=options.get("share") or 0,
        compare=float(options["compare"]),
    )


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
