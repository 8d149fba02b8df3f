"""docs/reference/cli.md, made from the commands themselves."""

from __future__ import annotations

from collections.abc import Iterator

import click

_HEAD = """# The command line

<!-- Made from the commands themselves by `make docs`; a test compares. -->

## What holds for every command

**FILE** is the spec. Left out: `portable.yaml`, else `score.yaml`, in the current folder.

**Clouds** are `aws`, `gcp`, `azure` and `kind`; `eks`, `gke` and `aks` mean the same. Without `--cloud` the environment's own
cloud is used.

**Exit codes**

| code | meaning |
| --- | --- |
| 0 | done |
| 1 | the operation failed |
| 2 | the input or the usage is wrong |
| 3 | `plan --detailed-exitcode`: there are changes |
| 130 | interrupted by Ctrl-C, SIGTERM or a closed terminal; run the same command again to go on |

A reader that goes away (`portable render | head`) is no failure: a question ends with 0, an operation goes on without being
heard and ends with its own code.

**Streams.** The result goes to standard output; progress, warnings, errors and questions go to standard error. Where standard
error is no terminal, or `CI` is set, progress is one line for each thing that happens.

**Questions** are asked only on a terminal. Elsewhere `up` and `destroy` refuse with 2 unless `--yes` is given (`up --plan` needs
none: the plan was looked at).

**`--output json`.** Standard output holds JSON only.

- A question (`validate`, `render`, `plan`, `status`, `history`, `top`, `outputs`, `secret list`, `providers`, `doctor`) gives one
  document.
- An operation (`up`, `rollback`, `restart`, `scale`, `secret rotate`, `destroy`, `doctor --fix`) gives a line for each event as
  it happens, then a last line: the result.
  `{"event": "step" | "resource" | "workload" | "notice", "time": ..., ...}`, then `{"event": "result", ...}`.
- `logs` gives a line for each log line: `{"pod", "container", "time", "text"}`; `status --watch` one for each change.
- `exec` gives `{"pod", "container", "exit_code", "stdout", "stderr"}` once the command has ended, and exits with its code.
- An error is JSON on standard output too, so that one stream tells all: `{"error": {"type", "message", "detail", "fix",
  "exit_code"}}`, with `problems` (a wrong spec), `causes` (a failed rollout) or `names` (missing secrets). After event lines it
  is the last line and has `"event": "error"`.

**Colours** are used on a terminal only, and not with `--no-color` or when the variable `NO_COLOR` is set.

**Unexpected errors** show no traceback. It is in `portable.log` in the user's log folder (on Linux
`~/.local/state/portable/log`), readable by that user alone, with secrets removed, and on the screen with `--verbose`.

**Completion:** `source <(portable completion bash)`; zsh and fish likewise.
"""


def cli_markdown() -> str:
    """The whole page."""
    from portable.cli.commands import portable

    settings = portable.context_settings
    context = click.Context(portable, info_name="portable", max_content_width=80, terminal_width=80, **settings)
    return "\n".join([_HEAD, *_sections(portable, context)])


def _sections(command: click.Command, context: click.Context) -> Iterator[str]:
    yield f"## `{context.command_path}`\n\n```text\n{command.get_help(context).rstrip()}\n```\n"
    if isinstance(command, click.Group):
        for name in command.list_commands(context):
            child = command.get_command(context, name)
            if child is not None:
                inner = click.Context(child, parent=context, info_name=name, max_content_width=80, terminal_width=80)
                yield from _sections(child, inner)
