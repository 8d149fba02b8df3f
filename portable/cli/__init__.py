"""The command line. `main` is the only function of `portable` that catches errors, and its caller the only one that exits.

`--version` is answered before anything is imported, not even `collections.abc`: scripts and editors ask it often.
"""

import sys

from portable import __version__


def main(arguments: list[str] | None = None) -> int:
    """Runs one command line (without the program's name; None: this process's). Returns the exit code; raises nothing."""
    given = sys.argv[1:] if arguments is None else list(arguments)
    if given == ["--version"]:
        sys.stdout.write(f"portable {__version__}\n")
        return 0
    from portable.cli.run import run

    return run(given)
