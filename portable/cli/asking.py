"""What a person is shown and asked before something changes."""

from __future__ import annotations

import sys
from collections.abc import Callable, Collection
from dataclasses import replace
from typing import TYPE_CHECKING

import click

from portable.cli.session import Session
from portable.errors import UsageError

if TYPE_CHECKING:
    from portable.plan import Plan
    from portable.terminal.progress import Progress


def require_terminal(session: Session, ask: bool, name: str) -> None:
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


def confirmation(
    session: Session, progress: Progress, words: str, *, given: Collection[str] = ()
) -> Callable[[Plan], bool]:
    """`given`: secrets that this very command sets, and that are therefore not missing."""

    def confirm(plan: Plan) -> bool:
        with progress.paused():
            missing = tuple(name for name in plan.missing if name not in given)
            show_plan(session, replace(plan, missing=missing), error_stream=True)
            if plan.typed:
                typed = click.prompt(f"\n{words} Type {plan.typed}, the environment's name, to agree", err=True)
                return typed.strip() == plan.typed
            return click.confirm(f"\n{words}", err=True)

    return confirm


def show_plan(session: Session, plan: Plan, *, error_stream: bool) -> None:
    from portable.terminal.plan import print_plan

    print_plan(
        session.err if error_stream else session.out,
        title=plan.title,
        cluster=plan.cluster,
        app=plan.app,
        notes=plan.notes,
        costs=plan.costs,
        missing=plan.missing,
        offline=plan.offline,
        whole=session.verbose,
    )
