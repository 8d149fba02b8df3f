"""From arguments to an exit code: 0 done, 1 failed, 2 wrong input or usage, 3 there are changes (plan), 130 interrupted."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from itertools import pairwise
from types import FrameType
from typing import IO, NoReturn, cast

import click

from portable.cli import elsewhere
from portable.cli.session import Session
from portable.errors import Interrupted, PortableError, UsageError

COMPLETION_VARIABLE = "_PORTABLE_COMPLETE"
# What they have begun, the next run finishes.
RESUMED = ("up", "destroy", "migrate", "rollback", "restart", "scale", "secret", "drift")


def run(arguments: Sequence[str]) -> int:
    session = Session(json=_wants_json(arguments))
    _never_fail_to_encode()
    with _signals_interrupt():
        try:
            return _invoke(list(arguments), session)
        except BrokenPipeError:
            # The reader (`| head`) has what it wanted. Nothing failed.
            _forget_output()
            return 0
        except KeyboardInterrupt:
            return _report(session, _interrupted(session))
        except PortableError as error:
            return _report(session, error)
        except ModuleNotFoundError as error:
            from portable.provider import missing_sdk

            known = missing_sdk(error)
            return _report(session, known) if known else _report_unexpected(session, arguments, error)
        except Exception as error:  # noqa: BLE001 (the last resort: no traceback reaches a user)
            return _report_unexpected(session, arguments, error)


def _invoke(arguments: list[str], session: Session) -> int:
    from portable.cli.commands import portable

    if instruction := os.environ.get(COMPLETION_VARIABLE):
        from click.shell_completion import shell_complete

        return shell_complete(portable, {"obj": session}, "portable", COMPLETION_VARIABLE, instruction)
    try:
        with portable.make_context("portable", arguments, obj=session) as context:
            result = portable.invoke(context)
    except click.exceptions.Exit as stop:
        result = stop.exit_code
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.format_message(), err=True)
        return error.exit_code
    except click.Abort:
        raise KeyboardInterrupt from None
    except click.ClickException as error:
        raise _as_usage_error(error) from error
    sys.stdout.flush()
    return result if isinstance(result, int) else 0


def _as_usage_error(error: click.ClickException) -> UsageError:
    context = error.ctx if isinstance(error, click.UsageError) else None
    fix = f"see `{context.command_path} --help`" if context else ""
    if isinstance(error, click.NoSuchOption):
        fix = elsewhere.OPTIONS.get(error.option_name, fix)
    message = error.format_message().removesuffix(".")
    return UsageError(message[:1].lower() + message[1:] if message[1:2].islower() else message, fix=fix)


def _report(session: Session, error: PortableError) -> int:
    with suppress(BrokenPipeError):
        if session.json:
            from portable.cli.documents import error_document

            event = {"event": "error"} if session.streaming else {}
            session.write_json({**event, "error": error_document(error)})
        else:
            from portable.terminal.failure import print_failure

            sys.stdout.flush()
            print_failure(session.err, error)
            if session.verbose:
                session.err.print_exception()
    _flush_or_forget()
    return error.exit_code


def _report_unexpected(session: Session, arguments: Sequence[str], error: Exception) -> int:
    from portable.cli.crash import write_report

    doing = session.doing() or f"running `portable {session.command}`".replace(" `", " `").strip()
    where = write_report(arguments, doing, error, secrets=session.secrets)
    fix = "run it again with --verbose to see more, and please report it" + (" with the log" if where.path else "")
    detail = f"the log: {where.path}" if where.path else f"no log could be written: {where.reason}"
    if session.verbose and not session.json:
        sys.stderr.write(where.traceback)
    return _report(session, PortableError(f"something unexpected happened while {doing}", detail=detail, fix=fix))


def _interrupted(session: Session) -> Interrupted:
    doing = session.doing()
    fix = "run the same command to carry on" if session.command in RESUMED else ""
    return Interrupted(f"interrupted while {doing}" if doing else "interrupted", fix=fix)


def _wants_json(arguments: Sequence[str]) -> bool:
    """Known before the arguments are parsed, so that an error in them is JSON too."""
    if "--output=json" in arguments:
        return True
    return ("--output", "json") in pairwise(arguments)


@contextmanager
def _signals_interrupt() -> Iterator[None]:
    """SIGTERM and a closed terminal stop an operation as Ctrl-C does: in order."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def interrupt(_number: int, _frame: FrameType | None) -> NoReturn:
        raise KeyboardInterrupt

    before = {number: signal.signal(number, interrupt) for number in (signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _never_fail_to_encode() -> None:
    """A name that the locale cannot spell is shown with `?`; it is no reason to fail."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            cast("IO[str] | object", stream).reconfigure(errors="replace")  # type: ignore[attr-defined]


def _flush_or_forget() -> None:
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        _forget_output()


def _forget_output() -> None:
    """So that the interpreter's last flush of standard output does not complain."""
    with suppress(OSError, ValueError):
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, sys.stdout.fileno())
        os.close(null)
