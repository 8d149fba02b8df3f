"""The tree of commands. A command's module is imported when it is asked for: `portable validate` does not pay for `up`."""

from __future__ import annotations

import importlib

import click

from portable import __version__
from portable.cli import elsewhere
from portable.cli.options import common_options
from portable.cli.session import Session

# In the order in which a newcomer meets them; each name stands for "module:object".
_COMMANDS = {
    "init": "spec:init",
    "validate": "spec:validate",
    "render": "spec:render",
    "plan": "deploy:plan",
    "up": "deploy:up",
    "build": "dev:build",
    "dev": "dev:dev",
    "status": "observe:status",
    "logs": "observe:logs",
    "open": "observe:open_",
    "outputs": "observe:outputs",
    "history": "operate:history",
    "rollback": "operate:rollback",
    "restart": "operate:restart",
    "scale": "operate:scale",
    "exec": "operate:exec_",
    "top": "operate:top",
    "secret": "secret:secret",
    "destroy": "deploy:destroy",
    "migrate": "migrate:migrate",
    "drift": "clusters:drift",
    "lint": "portability:lint",
    "compare": "portability:compare",
    "import": "portability:import_",
    "export": "eject:export",
    "eject": "eject:eject",
    "clusters": "clusters:clusters",
    "token": "clusters:token",
    "providers": "setup:providers",
    "schema": "spec:schema",
    "doctor": "setup:doctor",
    "completion": "setup:completion",
}


class Commands(click.Group):
    """Finds its commands late, lists them in their own order, and knows other tools' names for them."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _COMMANDS:
            return None
        module, _, name = _COMMANDS[cmd_name].partition(":")
        return getattr(importlib.import_module(f"portable.cli.{module}"), name)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args[0] == "help":
            args = [*args[1:], "--help"]
        name = args[0]
        if name in elsewhere.COMMANDS:
            raise click.UsageError(f"no such command '{name}'. Did you mean '{elsewhere.COMMANDS[name]}'?", ctx)
        if name not in _COMMANDS and not name.startswith("-"):
            raise click.exceptions.NoSuchCommand(name, possibilities=_COMMANDS, ctx=ctx)
        found = super().resolve_command(ctx, args)
        ctx.ensure_object(Session).command = found[0] or ""
        return found


@click.group(
    "portable",
    cls=Commands,
    invoke_without_command=True,
    params=common_options(),
    context_settings={"help_option_names": ["-h", "--help"]},
)
@click.version_option(__version__, prog_name="portable", message="%(prog)s %(version)s")
@click.pass_context
def portable(ctx: click.Context) -> None:
    """One app spec, any Kubernetes cloud: EKS, GKE, AKS, or kind on this machine.

    \b
    Start with:  portable init
                 portable up --cloud kind
    """
    if ctx.invoked_subcommand is None:
        click.echo(ctx.get_help())
