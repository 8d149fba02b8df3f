"""secret set, rotate and list: values go from standard input or a file to the cluster, and are never an argument, a state or a log."""

from __future__ import annotations

import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from portable.cli.options import command, target_options
from portable.cli.session import Session
from portable.errors import ClusterGone, UsageError

if TYPE_CHECKING:
    from portable.target import Request


_KEYS = click.option("--key", "keys", multiple=True, help="Which key to set; may be repeated, each with a --from-file.")
_FILES = click.option(
    "--from-file",
    "files",
    multiple=True,
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="Read the value from this file, byte for byte; default: standard input, or a hidden prompt on a terminal.",
)


@click.group("secret")
def secret() -> None:
    """Set, rotate and list the values of the spec's secrets.

    They live in the cluster only: in no file, no state and no log.

    \b
    Example:
      portable secret set api-token < token.txt
    """


@command(
    "set",
    "portable secret set api-token < token.txt\n"
    "portable secret set tls-cert --key tls.crt --from-file cert.pem --key tls.key --from-file key.pem",
)
@click.argument("name")
@target_options(file="option")
@_KEYS
@_FILES
@click.pass_obj
def set_(session: Session, name: str, request: Request, keys: tuple[str, ...], files: tuple[Path, ...]) -> None:
    """Set the value of a secret, in the cluster itself. One newline at the end of standard input is dropped.

    A registry's credentials have the keys username and password. What uses the secret gets it with the next `portable up`.
    """
    from portable.secrets import set_secret, user_keys
    from portable.target import compile_target, connect, open_target

    target = open_target(request, images=False)
    objects = compile_target(target)
    wanted = keys or user_keys(target.app, objects, name)
    values = _read_values(session, name, wanted, files)
    session.secrets += [value.decode(errors="replace") for value in values.values()]
    with connect(target) as kube:
        state = set_secret(kube, target.app, objects, name, values)
    if session.json:
        session.write_json(state)
        return
    missing = [key for key, is_set in state.keys.items() if not is_set]
    click.echo(
        f"set {name}: {', '.join(values)}" + (f"; still without a value: {', '.join(missing)}" if missing else "")
    )


@command("rotate", "portable secret rotate api-token < token.txt\nportable secret rotate db -e prod")
@click.argument("name")
@target_options(file="option", engine=True)
@_KEYS
@_FILES
@click.pass_obj
def rotate(session: Session, name: str, request: Request, keys: tuple[str, ...], files: tuple[Path, ...]) -> None:
    """Give a secret a new value, and new pods to what uses it.

    NAME is a secret of the spec, whose value comes as for `secret set`; or a postgres or redis resource, which gets another
    generated password. Says what could not be kept from being noticed.
    """
    from portable.rotate import rotate_generated, rotate_value
    from portable.spec.model import Database
    from portable.target import compile_target, open_target
    from portable.terminal.operate import print_rotated

    target = open_target(request, images=False)
    values: dict[str, bytes] | None = None
    if not isinstance(target.app.resources.get(name), Database):
        from portable.secrets import user_keys

        wanted = keys or user_keys(target.app, compile_target(target), name)
        values = _read_values(session, name, wanted, files)
        session.secrets += [value.decode(errors="replace") for value in values.values()]
    elif keys or files:
        raise UsageError(
            f"the password of {name} is generated: it takes no value", fix="leave out --key and --from-file"
        )
    with session.operation() as progress:
        if values is None:
            result = rotate_generated(request, name, emit=progress)
        else:
            result = rotate_value(request, name, values, emit=progress)
    if session.json:
        session.write_result(asdict(result))
    else:
        print_rotated(session.out, result)


@command("list", "portable secret list --cloud kind")
@target_options(file="option")
@click.pass_obj
def list_(session: Session, request: Request) -> None:
    """List the spec's secrets and whether each key has a value. Values are never shown."""
    from portable.secrets import list_secrets
    from portable.target import compile_target, connect, open_target

    target = open_target(request, images=False)
    objects = compile_target(target)
    try:
        with connect(target) as kube:
            found = list_secrets(kube, target.app, objects)
    except ClusterGone:
        found = list_secrets(None, target.app, objects)
    if session.json:
        session.write_json({"secrets": found})
    elif not found:
        click.echo("the spec has no secrets")
    else:
        from portable.terminal.status import print_secrets

        print_secrets(session.out, found)


def _read_values(session: Session, name: str, keys: tuple[str, ...], files: tuple[Path, ...]) -> dict[str, bytes]:
    if len(set(keys)) < len(keys):
        raise UsageError(f"a key is named twice: {', '.join(keys)}")
    if files:
        if len(files) != len(keys):
            raise UsageError(
                f"{len(files)} files for {len(keys)} keys of {name}: {', '.join(keys)}",
                fix="give each --key its own --from-file, in the same order",
            )
        return {key: file.read_bytes() for key, file in zip(keys, files, strict=True)}
    if sys.stdin is not None and sys.stdin.isatty() and not session.json:
        return {key: _ask(name, key).encode() for key in keys}
    if len(keys) > 1:
        raise UsageError(
            f"standard input holds one value, and {name} has the keys {', '.join(keys)}",
            fix=f"set one at a time: `portable secret set {name} --key {keys[0]} < FILE`, or name files with --from-file",
        )
    value = sys.stdin.buffer.read() if sys.stdin is not None else b""
    value = value.removesuffix(b"\n").removesuffix(b"\r")
    if not value:
        raise UsageError("standard input is empty: no value was set", fix="pipe the value in, or use --from-file")
    return dict.fromkeys(keys, value)


def _ask(name: str, key: str) -> str:
    label = name if key == "value" else f"{name}, {key}"
    return click.prompt(f"value of {label} (hidden)", hide_input=True, err=True)


secret.add_command(set_)
secret.add_command(rotate)
secret.add_command(list_)
