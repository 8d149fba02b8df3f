"""history, rollback, restart, scale, exec, top: an app that runs, day after day."""

from __future__ import annotations

import os
import sys
import threading
from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from portable.cli.asking import confirmation, require_terminal
from portable.cli.options import WorkloadName, command, target_options
from portable.cli.session import Session

if TYPE_CHECKING:
    from portable.exec import Process
    from portable.target import Request


@command("history", "portable history --cloud kind\nportable history -e prod --output json")
@target_options()
@click.pass_obj
def history(session: Session, request: Request) -> None:
    """List the app's revisions and what each changed.

    The newest first: when, by whom, what became of it, and what was restarted or scaled meanwhile.
    """
    from portable.history import history as read

    found = read(request)
    if session.json:
        session.write_json({"revisions": [asdict(entry) for entry in found]})
    elif not found:
        click.echo("nothing was deployed yet")
    else:
        from portable.terminal.operate import print_history

        print_history(session.out, found)


@command("rollback", "portable rollback --cloud kind\nportable rollback 3 -e prod --yes")
@click.argument("revision", type=click.IntRange(min=1), required=False)
@target_options(file="option", engine=True)
@click.option("--yes", "-y", is_flag=True, help="Go back without asking.")
@click.pass_obj
def rollback(session: Session, revision: int | None, request: Request, yes: bool) -> None:
    """Put the whole app back at an earlier revision.

    REVISION is a number of `portable history`; default: the last good one before the present. Images go by the digest that
    ran. Data stays as it is: volumes, databases and secrets are not rolled back, and jobs are not run again. The spec is not
    changed: the next `up` would bring its version back, and `plan` shows that.
    """
    require_terminal(session, not yes, "rollback")
    from portable.rollback import rollback as go_back

    with session.operation() as progress:
        confirm = None if yes else confirmation(session, progress, "Go back?")
        result = go_back(request, revision, emit=progress, confirm=confirm)
    if session.json:
        session.write_result(asdict(result))
        return
    from portable.terminal.operate import print_rollback

    print_rollback(session.out, result)


@command("restart", "portable restart web\nportable restart web worker -e prod")
@click.argument("workloads", nargs=-1, required=True, type=WorkloadName(), metavar="WORKLOAD...")
@target_options(file="option")
@click.pass_obj
def restart(session: Session, workloads: tuple[str, ...], request: Request) -> None:
    """Give workloads new pods, without a failed request.

    As an update does: no pod goes before its successor is ready. Waits until all are. A workload of one pod that owns a volume, and a database, is away for the time of its start.
    """
    from portable.restart import restart as start_anew

    with session.operation() as progress:
        result = start_anew(request, workloads, emit=progress)
    if session.json:
        session.write_result(asdict(result))
        return
    from portable.terminal.operate import print_restarted

    print_restarted(session.out, result)


@command("scale", "portable scale web 5\nportable scale worker 0 -e dev")
@click.argument("workload", type=WorkloadName())
@click.argument("replicas", type=click.IntRange(min=0, max=10_000))
@target_options(file="option")
@click.pass_obj
def scale(session: Session, workload: str, replicas: int, request: Request) -> None:
    """Change the number of a workload's pods, until the next `up`.

    Refused where an autoscaler decides: change scale.min and scale.max in the spec there. 0 stops the workload.
    """
    from portable.restart import scale as change

    with session.operation() as progress:
        result = change(request, workload, replicas, emit=progress)
    if session.json:
        session.write_result(asdict(result))
        return
    from portable.terminal.operate import print_scaled

    print_scaled(session.out, result)


@command("top", "portable top --cloud kind\nportable top -e prod --output json")
@target_options()
@click.pass_obj
def top(session: Session, request: Request) -> None:
    """Show what each workload uses of processor and memory.

    Beside what its pods ask for and may have at most. Needs metrics-server in the cluster.
    """
    from portable.top import top as read

    found = read(request)
    if session.json:
        session.write_json({"workloads": [asdict(workload) for workload in found]})
    elif not found:
        click.echo("no pod runs")
    else:
        from portable.terminal.operate import print_top

        print_top(session.out, found)


@command("exec", "portable exec web\nportable exec db -- psql -c 'select 1'\ncat dump.sql | portable exec db -- psql")
@click.argument("workload", type=WorkloadName())
@click.argument("words", nargs=-1, type=click.UNPROCESSED, metavar="[-- COMMAND...]")
@target_options(file="option")
@click.option("--pod", metavar="NAME", help="This pod; default: the newest that is ready.")
@click.option("--container", metavar="NAME", help="This container; default: the pod's main one.")
@click.option("--no-tty", is_flag=True, help="No terminal for the command, even where there is one here.")
@click.pass_obj
def exec_(
    session: Session,
    workload: str,
    words: tuple[str, ...],
    request: Request,
    pod: str | None,
    container: str | None,
    no_tty: bool,
) -> int:
    """Run a command in a pod of a workload.

    Without COMMAND a shell, and in a postgres or redis resource its own client. Interactive where this is a terminal;
    otherwise standard input is passed on. Exits with the command's exit code.
    """
    from portable.exec import choose_container, command_for, process
    from portable.target import compile_target, connect, open_target

    target = open_target(request, images=False)
    objects = compile_target(target)
    tty = not (no_tty or session.json) and sys.stdin is not None and sys.stdin.isatty() and sys.stdout.isatty()
    with connect(target) as kube:
        at = choose_container(kube, objects.namespace, workload, pod=pod, container=container)
        with process(kube, at, command_for(target.app, workload, words), stdin=True, tty=tty) as running:
            if tty:
                return _interactive(running)
            _pass_input(running)
            if not session.json:
                return _pass_output(running)
            said: dict[int, bytes] = {1: b"", 2: b""}
            for channel, data in running.read():
                said[channel] += data
    out, err = (text.decode(errors="replace") for text in said.values())
    session.write_json({"pod": at.pod, "container": at.name, "exit_code": running.code, "stdout": out, "stderr": err})
    return running.code


def _interactive(running: Process) -> int:
    from portable.terminal.raw import raw

    with raw(running.resize):
        _pass_input(running)
        return _pass_output(running)


def _pass_input(running: Process) -> None:
    """Ends with the process: reading from a terminal cannot be called off."""
    from portable.exec import CHUNK, carry

    if sys.stdin is None or sys.stdin.closed:
        running.end_input()
        return
    descriptor = sys.stdin.fileno()
    threading.Thread(target=carry, args=(running, lambda: os.read(descriptor, CHUNK)), daemon=True).start()


def _pass_output(running: Process) -> int:
    for channel, data in running.read():
        stream = (sys.stdout if channel == 1 else sys.stderr).buffer
        stream.write(data)
        stream.flush()
    return running.code
