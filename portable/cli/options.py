"""Options and arguments that several commands share, and the command class that brings the common ones and the example."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal

import click
from click.shell_completion import CompletionItem

from portable.cli.session import Session


class Cloud(click.ParamType):
    """The name or alias of a provider plugin. Plugins are looked up later: this only helps the shell to complete."""

    name = "cloud"

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        from portable.provider import provider_names

        return [CompletionItem(name) for name in provider_names() if name.startswith(incomplete)]


class Environment(click.ParamType):
    """The name of one of the spec's environments."""

    name = "env"

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        return [CompletionItem(name) for name in _spec_names(ctx, "environments") if name.startswith(incomplete)]


class WorkloadName(click.ParamType):
    """The name of one of the spec's workloads."""

    name = "workload"

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        return [CompletionItem(name) for name in _spec_names(ctx, "workloads") if name.startswith(incomplete)]


def _spec_names(ctx: click.Context, what: Literal["environments", "workloads"]) -> Sequence[str]:
    """For completion only: a spec that is wrong or missing completes nothing, it does not complain."""
    from portable.errors import PortableError
    from portable.spec import load_app
    from portable.target import find_file

    try:
        loaded = load_app(find_file(ctx.params.get("file")))
    except (PortableError, OSError):
        return ()
    return tuple(loaded.environments if what == "environments" else loaded.app.workloads)


def common_options() -> list[click.Parameter]:
    def choose_output(ctx: click.Context, _param: click.Parameter, value: str | None) -> None:
        if value is not None:
            ctx.ensure_object(Session).json = value == "json"

    def drop_color(ctx: click.Context, _param: click.Parameter, value: bool) -> None:
        if value:
            ctx.ensure_object(Session).color = False
            ctx.color = False

    def be_verbose(ctx: click.Context, _param: click.Parameter, value: bool) -> None:
        if value:
            ctx.ensure_object(Session).verbose = True

    def option(name: str, callback: Callable[..., None], words: str, **kind: Any) -> click.Option:
        return click.Option([name], expose_value=False, callback=callback, help=words, **kind)

    return [
        option(
            "--output",
            choose_output,
            "Text for people (default) or JSON for programs.",
            type=click.Choice(["text", "json"]),
        ),
        option("--no-color", drop_color, "No colours; so does the variable NO_COLOR.", is_flag=True),
        option("--verbose", be_verbose, "Every object, long values whole, tracebacks.", is_flag=True),
    ]


class PortableCommand(click.Command):
    """A command with the common options and an example in its help."""

    def __init__(self, *args: Any, example: str = "", **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.example = example
        self.params += common_options()

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Example"):
            for line in self.example.splitlines():
                formatter.write(" " * formatter.current_indent + line + "\n")


def command(name: str, example: str, **attributes: Any) -> Callable[[Callable[..., Any]], PortableCommand]:
    def make(function: Callable[..., Any]) -> PortableCommand:
        return click.command(name, cls=PortableCommand, example=example, **attributes)(function)

    return make


ENVIRONMENT = click.option("-e", "--environment", type=Environment(), help="An environment of the spec.")
STATE = click.option("--state", metavar="URL", help="A Pulumi backend for state; default: files of this user.")
KUBERNETES_PROVIDER = click.option(
    "--kubernetes-provider",
    type=click.Choice(["auto", "official", "builtin"]),
    default="auto",
    show_default=True,
    help="Which Pulumi provider serves the Kubernetes objects.",
)
SPEC = click.Path(path_type=Path)  # a file, or a folder that has one
SPEC_FILE = click.option("--file", type=SPEC, metavar="FILE", help="The spec; default: portable.yaml, then score.yaml.")


def target_options(
    *, file: Literal["argument", "option"] = "argument", engine: bool = False
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """The spec file, -e, --cloud, --context (and with `engine` --kubernetes-provider), given to the command as `request`."""

    def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(function)
        def call(*args: Any, **kwargs: Any) -> Any:
            from portable.target import Request

            request = Request(
                file=kwargs.pop("file"),
                environment=kwargs.pop("environment"),
                cloud=kwargs.pop("cloud"),
                state=kwargs.pop("state", None),
                context=kwargs.pop("context", None),
                kubernetes_provider=kwargs.pop("kubernetes_provider", "auto"),
            )
            return function(*args, request=request, **kwargs)

        made: Callable[..., Any] = call
        if engine:
            made = KUBERNETES_PROVIDER(made)
        made = STATE(made)
        made = click.option(
            "--context", metavar="NAME", help="A context of your kubeconfig: its cluster is used as it is."
        )(made)
        made = click.option(
            "--cloud", type=Cloud(), help="aws, gcp, azure or kind (also eks, gke, aks); default: the environment's."
        )(made)
        made = ENVIRONMENT(made)
        return click.argument("file", type=SPEC, required=False)(made) if file == "argument" else SPEC_FILE(made)

    return decorate
