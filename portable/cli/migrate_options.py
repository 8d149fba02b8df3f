"""What the commands of `migrate` share: the two ends, and how long each part may take."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import click

from portable.cli.options import ENVIRONMENT, KUBERNETES_PROVIDER, SPEC_FILE, STATE
from portable.errors import UsageError

if TYPE_CHECKING:
    from portable.migrate.journal import End
    from portable.migrate.move import Options
    from portable.target import Request

YES = click.option("--yes", "-y", is_flag=True, help="Do it without asking.")
_LIMITS = (
    click.option(
        "--max-downtime",
        type=click.IntRange(min=0),
        help="Seconds; where more is predicted, the source is not stopped.",
    ),
    click.option(
        "--compare",
        type=click.IntRange(min=0),
        default=60,
        show_default=True,
        help="Seconds for comparing the content of one replicated database; one that takes longer is known by its log alone.",
    ),
    click.option(
        "--watch",
        type=click.IntRange(min=0),
        default=15,
        show_default=True,
        help="Seconds to watch the target in traffic.",
    ),
    click.option(
        "--wait-for-jobs", type=click.IntRange(min=0), default=600, show_default=True, help="Seconds for jobs that run."
    ),
)


def limits(function: Callable[..., Any]) -> Callable[..., Any]:
    """How long each part may take; see `choices`."""
    for option in reversed(_LIMITS):
        function = option(function)
    return function


def ends_options(*, ends: bool, engine: bool = True) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
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


def choices(options: Mapping[str, Any]) -> Options:
    from portable.migrate.move import Options

    most = options["max_downtime"]
    return Options(
        max_downtime=None if most is None else float(most),
        watch=float(options["watch"]),
        wait_for_jobs=float(options["wait_for_jobs"]),
        share=options.get("share") or 0,
        compare=float(options["compare"]),
    )
