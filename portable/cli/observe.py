"""status, logs, open, outputs: questions about an app that runs."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from portable.cli.options import WorkloadName, command, target_options
from portable.cli.session import Session
from portable.errors import UsageError

if TYPE_CHECKING:
    from portable.compile.objects import Objects
    from portable.logs import LogLine
    from portable.outputs import Address
    from portable.status import Status
    from portable.target import Request, Target

_DURATION = re.compile(r"(?:(\d+)d)?(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s?)?")
_AGES = re.compile(r'"(?:age|seconds)": [\d.]+')
# Everything that could steer a terminal, except colours.
_CONTROL = re.compile(r"\x1b(?!\[[0-9;]*m)|[\x00-\x08\x0b-\x1a\x1c-\x1f\x7f\x80-\x9f]")


class Duration(click.ParamType):
    """A time such as 30s, 10m or 1h30m, as seconds."""

    name = "duration"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        parts = _DURATION.fullmatch(str(value)) if value else None
        if parts is None:
            self.fail(f"{value!r} is no duration such as 30s, 10m or 1h30m", param, ctx)
        days, hours, minutes, seconds = (int(part or 0) for part in parts.groups())
        return ((days * 24 + hours) * 60 + minutes) * 60 + seconds


class Pattern(click.ParamType):
    """A regular expression."""

    name = "regex"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> re.Pattern[str]:
        try:
            return re.compile(str(value))
        except re.error as error:
            self.fail(f"{value!r} is no regular expression: {error}", param, ctx)


@command("status", "portable status --cloud kind\nportable status -e prod --output json\nportable status --watch")
@target_options()
@click.option("--watch", "-w", is_flag=True, help="Go on showing it, until Ctrl-C; with JSON a line for each change.")
@click.pass_context
def status(ctx: click.Context, request: Request, watch: bool) -> None:
    """Show how each workload is, and where the app answers.

    For what is not well: the sign, the event, the exit code, the last log lines and a hint. Beside that the revision, the
    last restart, recent events, the autoscaler's figures, and when certificates end.
    """
    from portable.status import status as read
    from portable.status import watch_status

    session: Session = ctx.obj
    if watch:
        session.streaming = session.json
        try:
            _watch(session, watch_status(request))
        except KeyboardInterrupt:
            ctx.exit(130)  # how one stops watching
    found = read(request)
    if session.json:
        session.write_json(found)
        return
    from portable.terminal.status import print_status

    print_status(session.out, found, whole=session.verbose)


def _watch(session: Session, found: Iterator[Status]) -> None:
    """Text is drawn anew each time on a terminal; elsewhere, as in JSON, what is the same but for its age is not repeated."""
    from portable.terminal.status import print_status

    last = ""
    for status in found:
        known = _AGES.sub("", json.dumps(asdict(status)))
        if session.json and known != last:
            session.write_json(status)
        elif not session.json and (sys.stdout.isatty() or known != last):
            if sys.stdout.isatty():
                click.clear()
            print_status(session.out, status, whole=session.verbose)
        last = known


@command(
    "logs",
    "portable logs -f api --since 10m\nportable logs api worker --grep 'error|timeout'\nportable logs worker --previous",
)
@click.argument("workloads", nargs=-1, type=WorkloadName(), metavar="[WORKLOAD...]")
@target_options(file="option")
@click.option("-f", "--follow", is_flag=True, help="Go on with new lines, also of pods that start later.")
@click.option("--container", help="Only this container; default: all of a pod, without init containers.")
@click.option("--grep", type=Pattern(), help="Only lines in which this regular expression is found.")
@click.option("--since", type=Duration(), help="Only lines from this long ago: 30s, 10m, 1h30m.")
@click.option("--tail", type=click.IntRange(min=0), help="Only this many last lines of each container.")
@click.option("--previous", is_flag=True, help="The run before the present one, for a container that restarted.")
@click.pass_context
def logs(
    ctx: click.Context,
    workloads: tuple[str, ...],
    request: Request,
    follow: bool,
    container: str | None,
    grep: re.Pattern[str] | None,
    since: int | None,
    tail: int | None,
    previous: bool,
) -> None:
    """Print the logs of workloads, or of the whole app.

    From all of their pods, one after the other; with -f as they come.

    WORKLOAD may also be a postgres or redis resource. While following, pods that start later are picked up. --tail counts
    lines before --grep looks at them.
    """
    from portable.logs import Selection, follow_logs, read_logs
    from portable.target import compile_target, connect, open_target

    session: Session = ctx.obj
    session.streaming = session.json
    if follow and previous:
        raise UsageError("--follow and --previous exclude each other", fix="the previous run has ended: leave out -f")
    target = open_target(request, images=False)
    objects = compile_target(target)
    for name in workloads:
        _require_workload(objects, name)
    names = workloads or tuple(objects.workloads)
    chosen = Selection(container, since, tail, previous)
    with connect(target) as kube:
        if not follow:
            lines = read_logs(kube, objects.namespace, names, chosen)
        else:
            ends = all(objects.workloads[name].controller.kind == "Job" for name in names)
            lines = follow_logs(kube, objects.namespace, names, chosen, ends=ends)
        try:
            line = None
            for line in lines:
                if grep is None or not line.time or grep.search(line.text):
                    write_line(session, line, grep)
        except KeyboardInterrupt:
            ctx.exit(130)  # how one stops following: nothing to be said about
        if line is None and not session.json:
            click.echo(f"no line of {', '.join(names)}: see `portable status`", err=True)


def write_line(session: Session, line: LogLine, grep: re.Pattern[str] | None) -> None:
    if session.json:
        session.write_json(line)
        return
    text = _CONTROL.sub("", line.text) if sys.stdout.isatty() else line.text
    prefix = f"{line.pod} {line.container}"
    if not line.time:
        click.secho(f"{prefix} ({line.text})", dim=True, err=True, color=None if session.color else False)
        return
    if grep is not None:
        text = grep.sub(lambda found: click.style(found[0], fg="red", bold=True) if found[0] else "", text)
    click.echo(click.style(prefix, fg=_prefix_color(line.pod)) + f" {text}", color=None if session.color else False)


def _prefix_color(pod: str) -> str:
    """The same colour for the same pod in every run."""
    colors = ("cyan", "green", "yellow", "blue", "magenta")
    return colors[sum(pod.encode()) % len(colors)]


@command("open", "portable open web\nportable open db --local-port 5432")
@click.argument("workload", type=WorkloadName())
@target_options(file="option")
@click.option("--port", help="Name or number of a service port; forwards it even where there is a route.")
@click.option(
    "--local-port", type=click.IntRange(0, 65535), default=0, help="Port of this machine; default: a free one."
)
@click.option("--browser/--no-browser", default=None, help="Open the URL in a browser; default: where there is one.")
@click.pass_context
def open_(
    ctx: click.Context, workload: str, request: Request, port: str | None, local_port: int, browser: bool | None
) -> None:
    """Open a workload's URL, or forward a port to it.

    Prints the URL of its route (and opens a browser where there is one). Without a route, or with --port, a port of this
    machine is forwarded to a pod of the workload until Ctrl-C.
    """
    from portable.outputs import addresses
    from portable.target import compile_target, open_target

    session: Session = ctx.obj
    target = open_target(request, images=False)
    objects = compile_target(target)
    _require_workload(objects, workload)
    found = [address for address in addresses(target, objects) if address.workload == workload]
    if found and port is None and not local_port:
        _show_addresses(session, found)
        if browser or (browser is None and _has_browser() and not session.json):
            click.launch(found[0].url)
        return
    _forward(ctx, target, objects, workload, port, local_port)


def _show_addresses(session: Session, found: list[Address]) -> None:
    if session.json:
        session.write_json({"addresses": found})
        return
    for address in found:
        click.echo(address.url)
        if address.note:
            click.echo(address.note, err=True)


def _forward(
    ctx: click.Context, target: Target, objects: Objects, workload: str, port: str | None, local_port: int
) -> None:
    from portable.reach import choose_port, forward, ready_pod
    from portable.target import connect

    session: Session = ctx.obj
    wanted = choose_port(objects, workload, port)
    with connect(target) as kube:
        ready_pod(kube, objects.namespace, workload)  # says at once where nothing can answer

        def report(message: str) -> None:
            click.echo(message, err=True)

        with forward(kube, objects.namespace, workload, wanted.target, local_port=local_port, report=report) as made:
            if session.json:
                session.write_json(
                    {"host": "127.0.0.1", "port": made.port, "workload": workload, "target": wanted.target}
                )
            else:
                scheme = "http://" if wanted.http else ""
                click.echo(f"{scheme}127.0.0.1:{made.port}")
                click.echo(f"forwards to port {wanted.target} of {workload}; Ctrl-C ends it", err=True)
            try:
                made.wait()
            except KeyboardInterrupt:
                ctx.exit(130)


@command("outputs", "portable outputs --cloud kind\nportable outputs --output json | jq -r '.\"resources.db.host\"'")
@target_options()
@click.pass_obj
def outputs(session: Session, request: Request) -> None:
    """Print names, ports and URLs for other programs.

    Never a secret.
    """
    from portable.outputs import outputs as read

    found = read(request)
    if session.json:
        session.write_json(found)
        return
    from portable.terminal.summary import print_outputs

    print_outputs(session.out, found)


def _require_workload(objects: Objects, name: str) -> None:
    if name in objects.workloads:
        return
    from portable.spec.document import did_you_mean

    near = did_you_mean(name, objects.workloads)
    known = ", ".join(objects.workloads)
    raise UsageError(
        f"the spec has no workload called {name!r}" + (f": {near}" if near else ""),
        detail=f"workloads: {known}",
    )


def _has_browser() -> bool:
    """A graphical one: a text browser that takes over the terminal is not what `open` means."""
    import os

    return sys.stdout.isatty() and (
        sys.platform in ("darwin", "win32") or bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))
    )
