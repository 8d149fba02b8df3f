"""build, dev: images out of the spec, and local work on the app."""

from __future__ import annotations

import threading
from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from portable.cli.options import command, target_options
from portable.cli.session import Session

if TYPE_CHECKING:
    from portable.dev import Show
    from portable.errors import PortableError
    from portable.logs import LogLine
    from portable.outputs import Address
    from portable.target import Request, Target


@command("build", "portable build --cloud kind\nportable build -e prod --push --output json")
@target_options()
@click.option("--push", is_flag=True, help="Push to the cloud's registry too, or load into the local cluster's nodes.")
@click.pass_obj
def build(session: Session, request: Request, push: bool) -> None:
    """Build the images of containers that have `build`.

    With Docker, BuildKit, Podman or Buildah, whichever is here ($PORTABLE_BUILDER chooses). An image is named by what it is built from;
    one that is there is not built again. `up` does the same by itself.
    """
    from portable.errors import UsageError
    from portable.images.delivery import build_images, deliver
    from portable.target import open_target

    target = open_target(request)
    if not target.app.builds:
        raise UsageError("no container has `build`", fix="add it: `containers: {main: {build: ./api}}`")
    with session.operation() as progress:
        made = build_images(target, progress)
        references = deliver(target, progress).built if push else {}
    if session.json:
        images = [{**asdict(image), "reference": references.get(image.name, "")} for image in made]
        session.write_result({"images": images})
        return
    for image in made:
        click.echo(references.get(image.name, image.name))


@command("dev", "portable dev --cloud kind\nportable dev -e dev")
@target_options()
@click.pass_context
def dev(ctx: click.Context, request: Request) -> None:
    """Work on the app: run it again after each change.

    It runs on a local cluster. Watches the spec and what images are built from. What changed is built and rolled out, or copied into the running
    containers where `build.sync` says so; which of both, and why, is told. Prints all logs, and forwards ports. Ctrl-C ends it
    and leaves the app running.
    """
    from portable.dev import dev as work
    from portable.target import open_target

    session: Session = ctx.obj
    session.streaming = session.json
    target, stop = open_target(request, images=False), threading.Event()
    try:
        work(target, request, _show(session), stop)
    except KeyboardInterrupt:
        stop.set()
        _farewell(session, target, request)
        ctx.exit(130)


def _show(session: Session) -> Show:
    import sys

    from portable.cli.documents import error_document
    from portable.cli.observe import write_line
    from portable.dev import Show
    from portable.terminal.failure import print_failure
    from portable.terminal.progress import json_lines, log_lines

    # Lines and no live tree: the app's own logs come in between.
    progress = json_lines(sys.stdout) if session.json else log_lines(session.err, verbose=session.verbose)

    def log(line: LogLine) -> None:
        if session.json:
            session.write_json({"event": "log", **asdict(line)})
        else:
            write_line(session, line, None)

    def address(found: Address) -> None:
        if session.json:
            session.write_json({"event": "address", **asdict(found)})
        else:
            click.echo(
                f"{found.workload} answers at {found.url}" + (f" ({found.note})" if found.note else ""), err=True
            )

    def failed(error: PortableError) -> None:
        if session.json:
            session.write_json({"event": "failed", "error": error_document(error)})
        else:
            print_failure(session.err, error)
            click.echo("waiting for the next change", err=True)

    return Show(progress, log, address, failed)


def _farewell(session: Session, target: Target, request: Request) -> None:
    where = f"-e {request.environment}" if request.environment else f"--cloud {target.provider.name}"
    end = f"portable destroy {where}" + (f" {request.file}" if request.file else "")
    if session.json:
        session.write_result({"app": target.app.name, "running": True, "end": end})
    else:
        click.echo(f"\n{target.app.name} goes on running; end it with `{end}`", err=True)
